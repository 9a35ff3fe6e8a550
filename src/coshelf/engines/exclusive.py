"""Shared by the engines whose writers take turns on one lock: commits, and transactions that hold the lock."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from coshelf.contract import Batch, Engine, Exclusive

__all__ = ["ExclusiveEngine", "WritersLock"]


class WritersLock(Protocol):
    """A lock that one thread of one process holds."""

    def is_mine(self) -> bool:
        """Whether this thread holds it."""
        ...

    def hold(self, timeout: float) -> AbstractContextManager[None]:
        """Hold it for a block, without a wait if this thread holds it already.

        Raises ShelfLocked after ``timeout`` seconds.
        """
        ...


class ExclusiveEngine(Engine):
    """A commit holds the lock while it runs. A transaction holds it until it ends."""

    _lock: WritersLock | None
    """The lock of writers; None for a handle that may not write."""

    def _writing(self, timeout: float) -> AbstractContextManager[None]:
        """Holds the lock for a block. Only called by a handle that may write."""
        assert self._lock is not None
        return self._lock.hold(timeout)

    def _apply(self, batch: Batch) -> int | str:
        with self._writing(self._options.timeout):
            return self._apply_alone(batch)

    def _apply_exclusively(self, batch: Batch) -> int | str:
        self._refuse_excess(batch)
        return self._apply_alone(batch)

    @abstractmethod
    def _apply_alone(self, batch: Batch) -> int | str:
        """As :meth:`_apply`, by the thread that holds the lock."""

    @contextmanager
    def exclusive(self, timeout: float | None = None) -> Iterator[Exclusive]:
        self._refuse_writes()
        with self._writing(self._options.timeout if timeout is None else timeout):
            yield Exclusive(self._apply_exclusively)

    def owns_exclusive(self) -> bool:
        return self._lock is not None and self._lock.is_mine()
