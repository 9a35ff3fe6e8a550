"""Which other processes have a database of diskcache open."""

from __future__ import annotations

import os

__all__ = ["processes_with"]

_LOCKS = "/proc/locks"
_ATTEMPTS = 10


def processes_with(database: str) -> list[int]:
    """The ids of other processes that have an SQLite database open, as far as the system tells.

    Each connection to a database with a write-ahead log holds a lock on the file ``-shm`` beside it. Linux lists all
    locks. That is asked instead of trying a lock: to close a file that this process has locked would drop its locks.
    """
    try:
        status = os.stat(f"{database}-shm")
        place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        for _ in range(_ATTEMPTS):  # the list is read in parts, and a lock can be missed while others come and go
            found = _holders(place)
            if found:
                return sorted(found)
    except OSError:
        pass  # there is no log, or no such list
    return []


def _holders(place: str) -> set[int]:
    with open(_LOCKS, encoding="ascii") as file:
        lines = [line.split() for line in file.read().splitlines()]
    # A line of a process that waits for a lock has "->" as its second word.
    holders = {int(words[4]) for words in lines if len(words) > 5 and words[1] == "POSIX" and words[5] == place}
    return holders - {os.getpid(), 0}
