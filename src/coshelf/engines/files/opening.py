"""Opening a directory: it is made if it is missing, and refused if it is not a directory."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import Any

from coshelf.contract import OpenOptions
from coshelf.engines.files.engine import FilesEngine
from coshelf.engines.files.tree import OPEN_DIRECTORY, mode_of_directories
from coshelf.errors import NotAShelf, ShelfNotFound, Unsupported
from coshelf.system.os_errors import translated

__all__ = ["open_engine"]


def open_engine(target: Any, options: OpenOptions, *, as_pickleshare: bool = False) -> FilesEngine:
    """The engine on a directory: ``files:PATH``, or a path. ``as_pickleshare`` is as in :class:`FilesEngine`."""
    path = os.path.abspath(target.removeprefix("files:"))
    made = False
    with translated("open", "the shelf", path):
        if options.flag in ("c", "n"):
            made = _made(path, options.mode)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise ShelfNotFound(f"the directory {path} does not exist") from error
        except NotADirectoryError as error:
            raise NotAShelf(f"{path} is not a directory; it has not been changed") from error
        try:
            engine = FilesEngine(path, descriptor, options, as_pickleshare=as_pickleshare)
        except BaseException:
            os.close(descriptor)
            raise
    if made:
        with suppress(Unsupported):
            engine.trust()
    return engine


def _made(path: str, mode: int) -> bool:
    """Make the directory if it is missing; return whether it was."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return False
    except FileNotFoundError as error:
        raise ShelfNotFound(f"cannot make {path}: the directory {os.path.dirname(path)} does not exist") from error
    descriptor = os.open(path, OPEN_DIRECTORY)
    try:
        os.fchmod(descriptor, mode_of_directories(mode) | os.fstat(descriptor).st_mode & stat.S_ISGID)
    finally:
        os.close(descriptor)
    return True
