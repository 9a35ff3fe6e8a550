"""Opening a directory: it is made if it is missing, and refused if it is not a directory."""

from __future__ import annotations

import os
import time
from typing import Any

from coshelf.contract import OpenOptions
from coshelf.engines.files.engine import FilesEngine
from coshelf.engines.files.root import LONGEST_MAKING, is_being_made, make_root
from coshelf.errors import NotAShelf, ShelfNotFound
from coshelf.system.files.os_errors import translated
from coshelf.system.waiting.backoff import Backoff

__all__ = ["open_engine"]

_FIRST_PAUSE = 0.0005  # seconds between two looks at a directory that is being made
_LONGEST_PAUSE = 0.02


def open_engine(target: Any, options: OpenOptions, *, as_pickleshare: bool = False) -> FilesEngine:
    """The engine on a directory: ``files:PATH``, or a path. ``as_pickleshare`` is as in :class:`FilesEngine`."""
    given = target.removeprefix("files:")
    if not given:
        raise NotAShelf("'' cannot be the path of a shelf: it is empty\n  hint: 'files:.' is the working directory")
    path = os.path.abspath(given)
    with translated("open", "the shelf", path):
        if options.flag in ("c", "n"):
            make_root(path, options.mode)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
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
