"""Paths as users write them."""

from __future__ import annotations

import os
import re

__all__ = ["Path", "expanded", "is_one_name", "names_directory"]

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
"""The types that users may give as a path."""

_SCHEME = re.compile(r"(files|lmdb|sqlite):(?=~)", re.IGNORECASE)


def expanded(target: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """Replace ``~`` at the beginning of a path, or of the path in a URL, by the home directory; ``~ann`` by Ann's.

    >>> expanded("./~/recipes.shelf"), expanded("redis://host/0/~")
    ('./~/recipes.shelf', 'redis://host/0/~')
    >>> expanded("sqlite:~/recipes.db") == "sqlite:" + os.path.expanduser("~/recipes.db")
    True
    """
    text = os.fsdecode(target)
    scheme = _SCHEME.match(text)
    if scheme is not None and isinstance(target, str):
        return scheme.group() + os.path.expanduser(text[scheme.end() :])
    return os.path.expanduser(text) if text[:1] == "~" else text


def names_directory(path: str) -> bool:
    """Whether a path ends with a separator, so that it can only be a directory. On Windows that is ``/`` or ``\\``.

    >>> names_directory("values/"), names_directory("recipes.shelf")
    (True, False)
    """
    return path.endswith((os.sep, os.altsep or os.sep))


def is_one_name(first: str, second: str) -> bool:
    """Whether two paths that lead to one file are the same name of it, and not two hard links.

    File systems that fold names (as a rule those of Windows and macOS) find ``X.shelf`` by ``x.shelf``, and a name in
    one normal form of Unicode by another form.

    >>> is_one_name("recipes.shelf", "recipes.shelf"), is_one_name("recipes.shelf", "meals.shelf")
    (True, False)
    """
    if first == second:
        return True
    if _folded(first) != _folded(second):
        return False
    try:
        return os.stat(second).st_nlink == 1
    except OSError:
        return False


def _folded(path: str) -> str:
    import unicodedata  # here: programs seldom use two forms of one name

    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
