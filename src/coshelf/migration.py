"""From a shelf that a dbm module made to a coshelf file of the same name."""

from __future__ import annotations

import dbm
import glob
import os
import secrets
import stat
from typing import Any

from coshelf import umask
from coshelf.codecs.raw_pickles import RawPickles
from coshelf.dbm import Filename, whichdb
from coshelf.durable_files import sync_directory
from coshelf.errors import NotAShelf, ShelfNotFound
from coshelf.opening import open_with_codec

__all__ = ["migrate"]

_KEPT = ".before-coshelf"
_SUFFIXES = ("", ".db", ".pag", ".dir", ".dat", ".bak")


def migrate(path: Filename, keyencoding: str = "utf-8") -> int:
    """Convert a shelf that a dbm module made into a coshelf file at exactly this name; return how many entries it has.

    Values are taken over as the pickles they are: none is loaded. The old files stay beside it, with
    ``.before-coshelf`` behind their names. Whatever fails, the old shelf is still there. A coshelf file stays as it is.

    Args:
        path: as it was given to ``shelve.open``.
        keyencoding: how the old shelf's keys became bytes.

    Raises:
        ShelfNotFound: there is no shelf of that name.
        NotAShelf: it is of an unknown kind, or somebody else's file has a name that is needed.
        UnicodeDecodeError: a key is none in that encoding.
    """
    name = os.path.abspath(os.fsdecode(path))
    kind = whichdb(name)
    if kind is None:
        raise ShelfNotFound(2, "there is no shelf at this path", name)
    if kind == "":
        raise NotAShelf(f"{name} was made by no dbm module that this Python knows")
    if kind == "coshelf.dbm":
        with open_with_codec(name, "r", RawPickles()) as shelf:
            return len(shelf)
    old = [name + suffix for suffix in _SUFFIXES if os.path.lexists(name + suffix)]
    taken = [file + _KEPT for file in old if os.path.lexists(file + _KEPT)]
    if taken:
        raise NotAShelf(f"{taken[0]} is in the way\n  hint: it may be the old shelf of an earlier migration")
    mode = stat.S_IMODE(os.stat(old[0]).st_mode) if old else 0o666 & ~umask.current()
    making = f"{name}.{secrets.token_hex(4)}.migrating"
    try:
        count = _copy(name, making, mode, keyencoding)
        _take_place(name, making, old)
    finally:
        for left in glob.glob(glob.escape(making) + "*"):
            os.unlink(left)
    return count


def _copy(name: str, making: str, mode: int, keyencoding: str) -> int:
    """Make a closed shelf with what the database has."""
    database: Any
    with dbm.open(name, "r") as database, open_with_codec(making, "n", RawPickles(), mode=mode) as shelf:
        keys = database.keys()
        shelf.update((key.decode(keyencoding), database[key]) for key in keys)
        return len(shelf)


def _take_place(name: str, making: str, old: list[str]) -> None:
    """Names that are not needed any more go last: until then the old shelf is whole under them, or the new one is."""
    if name in old:
        os.link(name, name + _KEPT)
    os.replace(making, name)
    for file in old:
        if file != name:
            os.rename(file, file + _KEPT)
    sync_directory(os.path.dirname(name))
