"""Puts a table in the place of a log, in a process without the module in C, which cannot use a log.

The commits that wait in the log are copied to the table, so nothing is lost, and no process misses a commit. The
processes that have the module follow to the table. The log's mutex, which keeps their commits out meanwhile, is taken
through the C library.
"""

from __future__ import annotations

import ctypes
import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from coshelf.engines.lmdb.delta.log_file import INDEXES_END, undo
from coshelf.errors import StorageError
from coshelf.system.memory.shared import shared

__all__ = ["keeping_commits_out"]

_MUTEX_AT = 64
_LONGEST_WAIT = 0.05  # seconds; signals are noticed between two waits


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


@contextmanager
def keeping_commits_out(descriptor: int, name: str) -> Iterator[None]:
    """Hold the mutex of a log for a block. Raises :class:`StorageError` if that is impossible here."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        lock, unlock, mend = (
            library.pthread_mutex_timedlock, library.pthread_mutex_unlock, library.pthread_mutex_consistent
        )  # fmt: skip
    except (OSError, AttributeError) as error:
        raise StorageError(
            f"{name} is a log, for which this process needs the module in C, and it cannot convert it: {error}\n"
            "  hint: install coshelf with its module here, or close the shelf in the processes that have it"
        ) from error
    page = shared(descriptor, INDEXES_END, writable=True)
    try:
        mutex = ctypes.byref(ctypes.c_char.from_buffer(page, _MUTEX_AT))
        while (result := lock(mutex, ctypes.byref(_soon()))) == errno.ETIMEDOUT:
            pass
        if result == errno.EOWNERDEAD:
            undo(descriptor, page)
            mend(mutex)
        elif result:
            raise StorageError(result, f"cannot lock the delta: {os.strerror(result)}", name)
        try:
            yield
        finally:
            unlock(mutex)
            del mutex
    finally:
        page.release()


def _soon() -> _Time:
    end = time.time() + _LONGEST_WAIT
    return _Time(int(end), int(end % 1 * 1e9))
