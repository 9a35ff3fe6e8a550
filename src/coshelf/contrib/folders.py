"""Keys with slashes as a tree of folders, listed without a visit to what lies deeper."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coshelf.mapping.reading import Readable

__all__ = ["children"]

_AFTER_SLASH = chr(ord("/") + 1)


def children(shelf: Readable[Any, Any], folder: str = "") -> Iterator[str]:
    """The names right below a folder, in the order of the keys: those of entries, and of folders with a slash.

    A folder costs one look-up, whatever is in it. A name may be both an entry and a folder.

    Args:
        shelf: what has the keys.
        folder: "", or the path of a folder with a slash at its end.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:")
    >>> shelf.update({"a": 1, "b/c": 2, "b/d/e": 3, "b/d/f": 4})
    >>> list(children(shelf)), list(children(shelf, "b/"))
    (['a', 'b/'], ['c', 'd/'])
    """
    start: str | None = folder
    while start is not None:
        begin, start = start, None
        for key in shelf.keys(prefix=folder, start=begin):
            name, slash, _ = key[len(folder) :].partition("/")
            yield name + slash
            if slash:
                start = folder + name + _AFTER_SLASH
                break
