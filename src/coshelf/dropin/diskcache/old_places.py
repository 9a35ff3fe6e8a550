"""Recognises directories that diskcache made."""

from __future__ import annotations

import os
import re

from coshelf.dropin.diskcache.layout import SHELF
from coshelf.dropin.diskcache.names import DBNAME
from coshelf.system.files.paths import expanded

__all__ = ["databases", "is_for_cache", "is_taken_over", "is_to_be_taken_over"]

_SHARD = re.compile(r"[0-9]{3,}")


def databases(directory: str) -> list[str]:
    """The folders below a directory that have a database of diskcache, in the order of its shards.

    "" is the directory itself, which Cache, Deque and Index use. "000" and the following ones are those of FanoutCache.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    shards = sorted((name for name in names if _SHARD.fullmatch(name)), key=int)
    return [name for name in ("", *shards) if os.path.isfile(os.path.join(directory, name, DBNAME))]


def is_taken_over(directory: str) -> bool:
    """Whether a directory has the shelf of a cache."""
    return os.path.lexists(os.path.join(directory, SHELF))


def is_to_be_taken_over(directory: str) -> bool:
    """Whether diskcache made a directory, and it has no shelf yet."""
    return not is_taken_over(directory) and bool(databases(directory))


def is_for_cache(source: str, target: str) -> bool:
    """Whether a directory of diskcache is to become the shelf of a cache, by the name of the target."""
    return os.path.basename(target) == SHELF and os.path.isdir(expanded(source)) and bool(databases(expanded(source)))
