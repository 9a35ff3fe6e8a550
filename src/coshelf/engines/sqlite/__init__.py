"""The sqlite engine: a shelf in a SQLite database file. It needs only the standard library."""

from __future__ import annotations

import errno
import functools
import os
from typing import Any

from coshelf.contract import Engine, OpenOptions
from coshelf.engines import old_shelves
from coshelf.engines.sqlite.connections import Connections
from coshelf.engines.sqlite.database import create, look_at
from coshelf.engines.sqlite.engine import SqliteEngine
from coshelf.engines.sqlite.sidecars import Sidecars
from coshelf.errors import NotAShelf, ShelfNotFound
from coshelf.system.file_systems.kinds import refuse_shared_filesystem
from coshelf.system.files import windows_names
from coshelf.system.files.taking_place import replace_empty
from coshelf.trust import marks

__all__ = ["open_engine"]

_SCHEME = "sqlite:"
_ATTEMPTS = 10  # to make a file that other processes remove at once


def open_engine(target: Any, options: OpenOptions) -> Engine:
    """Open the shelf at a path or ``sqlite:PATH``. Make it if the flag allows that."""
    given = target[len(_SCHEME) :] if target[: len(_SCHEME)].lower() == _SCHEME else target
    if not given or "\0" in given:
        raise NotAShelf(f"{given!r} cannot be the path of a shelf: it is empty or has a null character")
    path = os.path.realpath(given)
    trouble = windows_names.trouble_with(path) if windows_names.follows_rules else None
    if trouble is not None:
        raise NotAShelf(f"{given} cannot be the path of a shelf: {trouble}")
    return _open_at(path, options)


def _open_at(path: str, options: OpenOptions) -> Engine:
    refuse_shared_filesystem(path)
    for _ in range(_ATTEMPTS):
        if options.flag in ("c", "n") and not os.path.lexists(path):
            marks.check_secret()
            if options.flag == "c" and (told := old_shelves.told_beside(path)):
                raise NotAShelf(told)
            create(path, options.mode)
        elif options.flag == "n":
            replace_empty(path, options.timeout, functools.partial(_make_over, path))
        try:
            sidecars = Sidecars(path)
        except ShelfNotFound:
            if options.flag in ("c", "n"):
                continue  # it was removed after it was made
            if told := old_shelves.told_beside(path):
                raise ShelfNotFound(errno.ENOENT, told, path) from None
            raise
        connections = Connections(path, sidecars.database, options)
        try:
            connections.refuse_other_names()
            row = look_at(connections)
            sidecars.look_again(writing=options.flag != "r")
            return SqliteEngine(connections, row, sidecars, options, _open_at)
        except BaseException:
            connections.close()
            raise
    raise ShelfNotFound(errno.ENOENT, "the shelf was removed each time it was made", path)


def _make_over(path: str, mode: int) -> bool:
    marks.check_secret()
    return create(path, mode, over=True)
