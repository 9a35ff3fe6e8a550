"""Paths as users write them."""

from __future__ import annotations

import os
import re

__all__ = ["Path", "expanded"]

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
