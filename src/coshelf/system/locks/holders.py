"""Which processes hold record locks on a file, as SQLite and other programs take them. Linux lists all locks."""

from __future__ import annotations

import os

__all__ = ["holders"]

_LOCKS = "/proc/locks"


def holders(found: os.stat_result) -> set[int]:
    """The ids of other processes that hold a record lock on a file. Empty where the system has no list of locks.

    A lock can be missing from the list while others come and go, because it is read in parts.
    """
    if not hasattr(os, "major"):
        return set()
    place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    try:
        with open(_LOCKS, encoding="ascii") as file:
            lines = [line.split() for line in file.read().splitlines()]
    except OSError:
        return set()
    # A line of a process that waits for a lock has "->" as its second word.
    found_there = {int(words[4]) for words in lines if len(words) > 5 and words[1] == "POSIX" and words[5] == place}
    return found_there - {os.getpid(), 0}
