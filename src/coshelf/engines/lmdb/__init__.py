"""The lmdb engine: a file that any number of processes and threads read and write at once."""

from __future__ import annotations

import errno
import os
from typing import Any

from coshelf import trust
from coshelf.engines.contract import Engine, OpenOptions
from coshelf.engines.filesystem import refuse_shared_filesystem
from coshelf.engines.lmdb import creation, environment
from coshelf.engines.lmdb.engine import LmdbEngine
from coshelf.engines.lmdb.registry import REGISTRY
from coshelf.errors import NotAShelf, ShelfNotFound

__all__ = ["open_engine"]

_SCHEME = "lmdb:"
_ATTEMPTS = 10  # at making a file that others remove at once


def open_engine(target: Any, options: OpenOptions) -> Engine:
    """Open the shelf at a path or ``lmdb:PATH``, making it if the flag allows."""
    given = target[len(_SCHEME) :] if target[: len(_SCHEME)].lower() == _SCHEME else target
    if not given or "\0" in given:
        raise NotAShelf(f"{given!r} is no path for a shelf")
    path = os.path.realpath(given)
    refuse_shared_filesystem(path)
    REGISTRY.refuse_gone(path)
    create = options.flag in ("c", "n")
    for _ in range(_ATTEMPTS):
        made = None
        if create and not os.path.lexists(path):
            trust.check_secret()
            made = creation.create(path, options.mode)
        try:
            opened = environment.acquire(
                path, write=options.flag != "r", timeout=options.timeout, trusted=options.trusted
            )
        except ShelfNotFound:
            if create:
                continue  # it was removed between the two
            raise
        engine = LmdbEngine(opened, options)
        try:
            if made is not None:
                engine.trust()
        except BaseException:
            engine.close()
            raise
        return engine
    raise ShelfNotFound(errno.ENOENT, "the shelf was removed each time it was made", path)
