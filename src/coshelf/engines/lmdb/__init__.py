"""The lmdb engine: a file that any number of processes and threads read and write at once."""

from __future__ import annotations

import errno
import functools
import os
from typing import Any

from coshelf.contract import Engine, OpenOptions
from coshelf.engines import old_shelves
from coshelf.engines.lmdb import environment
from coshelf.engines.lmdb.engine import LmdbEngine
from coshelf.engines.lmdb.files import creation
from coshelf.engines.lmdb.registry import REGISTRY
from coshelf.errors import NotAShelf, ShelfNotFound
from coshelf.system.file_systems.kinds import refuse_shared_filesystem
from coshelf.system.files.taking_place import replace_empty
from coshelf.trust import marks

__all__ = ["open_engine"]

_SCHEME = "lmdb:"
_ATTEMPTS = 10  # to make a file that other processes keep removing


def open_engine(target: Any, options: OpenOptions) -> Engine:
    """Open the shelf at a path or ``lmdb:PATH``. Make it if the flag allows that."""
    given = target[len(_SCHEME) :] if target[: len(_SCHEME)].lower() == _SCHEME else target
    if not given or "\0" in given:
        raise NotAShelf(f"{given!r} cannot be the path of a shelf: it is empty or has a null character")
    path = os.path.realpath(given)
    refuse_shared_filesystem(path)
    REGISTRY.refuse_gone(path)
    create = options.flag in ("c", "n")
    for _ in range(_ATTEMPTS):
        if create and not os.path.lexists(path):
            marks.check_secret()
            if options.flag == "c" and (told := old_shelves.told_beside(path)):
                raise NotAShelf(told)
            creation.create(path, options.mode)
        elif options.flag == "n":
            replace_empty(path, options.timeout, functools.partial(_make_over, path))
        try:
            opened = environment.acquire(
                path, write=options.flag != "r", timeout=options.timeout, trusted=options.trusted
            )
        except ShelfNotFound:
            if create:
                continue  # it was removed between making and opening
            if told := old_shelves.told_beside(path):
                raise ShelfNotFound(errno.ENOENT, told, path) from None
            raise
        return LmdbEngine(opened, options)
    raise ShelfNotFound(errno.ENOENT, "the shelf was removed each time it was made", path)


def _make_over(path: str, mode: int) -> bool:
    marks.check_secret()
    return creation.create_over(path, mode)
