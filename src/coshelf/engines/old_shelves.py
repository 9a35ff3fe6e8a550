"""Which files belong to a shelf that a dbm module made, if their names have suffixes.

``shelve.open("recipes")`` makes ``recipes.dat``, ``recipes.dir`` and ``recipes.bak`` with one module, ``recipes.db`` or
``recipes.pag`` and ``recipes.dir`` with another. A file that merely has such a name is not part of a shelf.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from coshelf.engines.beginnings import first_bytes

__all__ = ["SUFFIXES", "OldShelf", "found_beside", "told_beside"]

SUFFIXES = (".db", ".pag", ".dir", ".dat", ".bak")
"""The suffixes of all files that dbm modules make."""

_BERKELEY_AT = 12
_BERKELEY = frozenset(
    (0x061561).to_bytes(4, order) for order in ("little", "big")
)  # a hash of Berkeley DB, as its ndbm makes them


@dataclass(frozen=True)
class OldShelf:
    """A shelf of several files, or of one whose name has a suffix.

    Attributes:
        kind: the module that made it, as ``dbm.whichdb`` names it.
        files: exactly those that belong to it.
    """

    kind: str
    files: tuple[str, ...]


def found_beside(path: str) -> OldShelf | None:
    """The shelf that dbm modules open by this name, although its files have suffixes."""
    if _begins(path + ".pag") is not None and _begins(path + ".dir") is not None:
        return OldShelf("dbm.ndbm", (path + ".pag", path + ".dir"))
    berkeley = _begins(path + ".db")
    if berkeley is not None and berkeley[_BERKELEY_AT:] in _BERKELEY:
        return OldShelf("dbm.ndbm", (path + ".db",))
    index = _begins(path + ".dir")
    if index is not None and index[:1] in (b"", b"'", b'"') and os.path.lexists(path + ".dat"):
        files = (path + suffix for suffix in (".dat", ".dir", ".bak"))
        return OldShelf("dbm.dumb", tuple(file for file in files if os.path.lexists(file)))
    return None


def told_beside(path: str) -> str | None:
    """The message for a path without a shelf, if an older shelf has this name; None if there is none."""
    found = found_beside(path)
    if found is None:
        return None
    names = ", ".join(map(os.path.basename, found.files))
    return (
        f"there is no shelf at {path}, but there is one that {found.kind} made: {names}. Nothing was changed\n"
        f"  hint: convert it: coshelf.shelve.migrate({path!r}); or copy it: coshelf import {path} NEW\n"
        '  hint: flag "n" makes a new shelf at this path, and coshelf.shelve finds that one from then on'
    )


def _begins(path: str) -> bytes | None:
    """The first bytes of a file; None if it cannot be read."""
    return first_bytes(path, _BERKELEY_AT + 4)
