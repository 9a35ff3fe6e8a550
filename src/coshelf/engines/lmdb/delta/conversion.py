"""Puts a table in the place of a log, in a process without the module in C, which cannot use a log.

The commits that wait in the log are copied to the table, so nothing is lost, and no process misses a commit. The
processes that have the module follow to the table. The log's mutex, which keeps their commits out meanwhile, is taken
through the C library.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from coshelf.engines.lmdb.delta.log_file import INDEXES_END, undo
from coshelf.errors import StorageError
from coshelf.system.memory import mutexes
from coshelf.system.memory.shared import shared

__all__ = ["keeping_commits_out"]

_MUTEX_AT = 64


@contextmanager
def keeping_commits_out(descriptor: int, name: str) -> Iterator[None]:
    """Hold the mutex of a log for a block. Raises :class:`StorageError` if that is impossible here."""
    if mutexes.kind() is None:
        raise StorageError(
            f"{name} is a log, for which this process needs the module in C, and it cannot convert it: it has no "
            "mutexes that tell of the death of a process\n"
            "  hint: install coshelf with its module here, or close the shelf in the processes that have it"
        )
    page = shared(descriptor, INDEXES_END, writable=True)
    try:
        mutex = mutexes.RobustMutex(page, _MUTEX_AT)
        try:
            if mutex.take():
                undo(descriptor, page)
                mutex.mend()
        except OSError as error:
            raise StorageError(error.errno, f"cannot lock the delta: {error.strerror}", name) from error
        try:
            yield
        finally:
            mutex.give_back()
            del mutex
    finally:
        page.release()
