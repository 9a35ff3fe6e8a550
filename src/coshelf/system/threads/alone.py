"""One thread of this process at a time, for moments. Each forked child has the lock anew.

A forked child makes its locks and tables anew at their first use, because a thread that only its parent has may hold
the inherited ones. Two threads of the child may come to that at once. They take turns here::

    if self._pid != os.getpid():
        with alone():
            if self._pid != os.getpid():
                self._begin()  # sets self._pid last
"""

from __future__ import annotations

import os
import threading

from coshelf.system.threads.cooperation import new_reentrant_lock

__all__ = ["alone"]

_lock: list[threading.RLock] = [new_reentrant_lock()]


def alone() -> threading.RLock:
    """The lock, for a block that makes something which all threads share. Nothing in it waits for another lock."""
    return _lock[0]


def _renew() -> None:
    _lock[0] = new_reentrant_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
