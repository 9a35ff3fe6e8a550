"""Opening a directory: it is made if it is missing, and refused if it is not a directory."""

from __future__ import annotations

import os
import time
from typing import Any

from coshelf.contract import OpenOptions
from coshelf.engines.files.engine import FilesEngine
from coshelf.engines.files.root import LONGEST_MAKING, is_being_made, make_root
from coshelf.errors import NotAShelf, ShelfNotFound, Unsupported
from coshelf.system.files.directories import can_descend, open_directory
from coshelf.system.files.os_errors import translated
from coshelf.system.waiting.backoff import Backoff

__all__ = ["open_engine", "refuse_without_posix"]

_FIRST_PAUSE = 0.0005  # seconds between two looks at a directory that is being made
_LONGEST_PAUSE = 0.02


def refuse_without_posix() -> None:
    """Raise :class:`Unsupported` on a system that has no calls for the files in an open directory (Windows)."""
    if not can_descend:
        raise Unsupported(
            "the files engine needs POSIX: this system cannot open files by their names in an open directory\n"
            "  hint: a path without a slash at its end is a shelf in one file, and so is sqlite:PATH"
        )


def open_engine(target: Any, options: OpenOptions, *, as_pickleshare: bool = False) -> FilesEngine:
    """The engine on a directory: ``files:PATH``, or a path. ``as_pickleshare`` is as in :class:`FilesEngine`."""
    refuse_without_posix()
    given = target.removeprefix("files:")
    if not given:
        raise NotAShelf("'' cannot be the path of a shelf: it is empty\n  hint: 'files:.' is the working directory")
    path = os.path.abspath(given)
    with translated("open", "the shelf", path):
        if options.flag in ("c", "n"):
            make_root(path, options.mode)
        try:
            descriptor = open_directory(path, follow=True)
        except FileNotFoundError as error:
            raise ShelfNotFound(f"the directory {path} does not exist") from error
        except NotADirectoryError as error:
            raise NotAShelf(f"{path} is not a directory; it has not been changed") from error
        try:
            _await_maker(descriptor)
            return FilesEngine(path, descriptor, options, as_pickleshare=as_pickleshare)
        except BaseException:
            os.close(descriptor)
            raise


def _await_maker(descriptor: int) -> None:
    """Wait until the process that has just made the directory has marked it, or has taken too long for that."""
    backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
    end = time.monotonic() + LONGEST_MAKING
    while is_being_made(descriptor) and time.monotonic() < end:
        backoff.sleep()
