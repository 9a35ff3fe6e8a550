"""The times of files, by which coshelf and old pickleshare processes recognise a new version of a value."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterable

__all__ = ["SECOND", "Stamp", "stamp_after", "stamp_of", "version_of"]

SECOND = 1_000_000_000
"""In nanoseconds."""

Stamp = tuple[int, int, int, int]
"""Inode, size, and times of the last change of the content and of anything."""


def stamp_of(status: os.stat_result) -> Stamp:
    """A value that is another one after any program has changed the file."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def version_of(status: os.stat_result) -> str:
    """The modification time in nanoseconds. All files of a batch have the same one, and no other batch has it."""
    return str(status.st_mtime_ns)


def stamp_after(times: Iterable[int]) -> int:
    """The modification time for a batch. It is in a later second than the files that are replaced, and not used before.

    pickleshare compares whole seconds: it takes a value of the same second for the one in its cache.
    """
    second = max([time.time_ns() // SECOND, *(last // SECOND + 1 for last in times)])
    return second * SECOND + random.SystemRandom().randrange(SECOND)
