"""Which other processes have a database of diskcache open."""

from __future__ import annotations

import os

from coshelf.system.locks.holders import holders

__all__ = ["processes_with"]

_ATTEMPTS = 10


def processes_with(database: str) -> list[int]:
    """The ids of other processes that have an SQLite database open, as far as the system tells (Linux alone does).

    Each connection to a database with a write-ahead log holds a lock on the file ``-shm`` beside it. Linux lists all
    locks. That is asked instead of trying a lock: to close a file that this process has locked would drop its locks.
    """
    try:
        status = os.stat(f"{database}-shm")
    except OSError:  # there is no log
        return []
    for _ in range(_ATTEMPTS):  # a lock can be missed while others come and go
        found = holders(status)
        if found:
            return sorted(found)
    return []
