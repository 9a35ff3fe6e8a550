"""The times of files: what tells one version of a value from another, here and in old pickleshare processes."""

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
    """What differs when any program has changed a file."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def version_of(status: os.stat_result) -> str:
    """All files of a batch have one modification time, to the nanosecond, which no other batch has."""
    return str(status.st_mtime_ns)


def stamp_after(times: Iterable[int]) -> int:
    """The modification time for a batch: in a later whole second than what it replaces, and not used before.

    pickleshare compares whole seconds, and takes a value of the same second for the one that it has.
    """
    second = max([time.time_ns() // SECOND, *(last // SECOND + 1 for last in times)])
    return second * SECOND + random.SystemRandom().randrange(SECOND)
