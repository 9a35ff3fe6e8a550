"""Locks on whole files, which belong to an open file.

A lock ends with the last descriptor of its open file, and so with the process. A forked child shares it.
"""

from __future__ import annotations

from coshelf.system.locks.kinds import EXCLUSIVE, SHARED, Kind

try:
    from coshelf.system.locks.flock import close, release, take, try_to_take

    has_flock = True
except ImportError:
    from coshelf.system.locks.byte_ranges import close, release, take, try_to_take

    has_flock = False

__all__ = ["EXCLUSIVE", "SHARED", "Kind", "close", "has_flock", "release", "take", "try_to_take"]
