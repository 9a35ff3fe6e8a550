"""``Shelf.lock``, ``semaphore`` and ``barrier``."""

from __future__ import annotations

import weakref
from typing import Any

from coshelf.coordination.barriers import Barrier
from coshelf.coordination.locks import Lock, Semaphore
from coshelf.coordination.names import BARRIERS, LOCKS, SEMAPHORES, line_name
from coshelf.coordination.owners import Owners
from coshelf.errors import ReadOnlyShelf, Unsupported
from coshelf.mapping.handle import Handle
from coshelf.mapping.namespace import Namespace
from coshelf.system.waiting.timeouts import usable_timeout

__all__ = ["Coordinating"]

_MOST = 1 << 30
_KEPT = 256  # locks


class Coordinating:
    """The methods of a :class:`coshelf.Shelf` by which those that share it wait for each other."""

    _handle: Handle
    _namespace: Namespace
    _locks: dict[tuple[str, float | None, bool], Lock]
    """Locks that were made, because making one takes longer than taking it."""

    def lock(self, name: Any, *, timeout: float | None = None, reentrant: bool = False) -> Lock:
        """A lock that one thread or asyncio task at a time has, among all processes that share the shelf.

        Those that wait get the lock in order of arrival. It is free again when the holder gives it back, when its
        thread or task ends, when its process ends, and when the shelf is closed. docs/coordination.md says what is
        promised.

        Args:
            name: a str, or another key. It needs no entry. A ``sub`` has its own names.
            timeout: for how many seconds ``with`` waits. None: without limit.
            reentrant: whether the thread or task that has the turn can take it again.

        Raises:
            Unsupported: the engine has no locks (``capabilities.turns`` is None).
            ReadOnlyShelf: the shelf was opened with flag "r".
            TurnTimeout: by ``with``, after the timeout. The message and ``holders`` name who has the turn.
            TurnHeld: by ``with`` and ``acquire``, if this thread or task would wait for itself.
            ValueError, TypeError: the timeout is negative, or no number.
            TransactionInProgress: by the same, inside a transaction or edit of the shelf: take the lock first.
            TurnLost: at the end of the block, if the lease ended while it ran.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> with shelf.lock("deploy", timeout=5) as turn:
        ...     turn.held
        True
        """
        try:
            lock = self._locks[name, timeout, reentrant]
            if lock.owners is self._handle.owners:
                return lock
        except (KeyError, AttributeError, TypeError):  # not made yet, or an unhashable name, which is no key
            pass
        return self._new_lock(name, timeout, reentrant)

    def _new_lock(self, name: Any, timeout: float | None, reentrant: bool) -> Lock:
        handle = self._handle
        line = line_name(LOCKS, self._namespace.encode(name))
        lock = Lock(handle, handle.owners or _begin(handle), line, _limit(timeout), 1, reentrant)
        if type(name) is str:
            kept = self.__dict__.setdefault("_locks", {})
            if len(kept) >= _KEPT:
                kept.clear()
            kept[name, timeout, reentrant] = lock
        return lock

    def semaphore(self, name: Any, permits: int, *, timeout: float | None = None) -> Semaphore:
        """A semaphore that up to ``permits`` threads or tasks have at once, among all processes that share the shelf.

        Args:
            name: as for :meth:`lock`.
            permits: 1 or more. All should give the same number; the one that joined last is valid.
            timeout: as for :meth:`lock`.

        Raises:
            ValueError: the number of permits is less than 1, or the timeout is negative.
            Unsupported, ReadOnlyShelf, TurnTimeout, TurnHeld, TransactionInProgress, TurnLost: as for :meth:`lock`.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> with shelf.semaphore("gpu", 2) as turn:
        ...     turn.held
        True
        """
        handle = self._handle
        line = line_name(SEMAPHORES, self._namespace.encode(name))
        return Semaphore(handle, handle.owners or _begin(handle), line, _limit(timeout), _count("permits", permits))

    def barrier(self, name: Any, parties: int, *, timeout: float | None = None) -> Barrier:
        """A barrier: ``wait()`` returns when ``parties`` threads or tasks wait, of all processes that share the shelf.

        Args:
            name: as for :meth:`lock`.
            parties: 1 or more. All should give the same number; the one that joined last is valid.
            timeout: for how many seconds ``wait()`` waits. None: without limit.

        Raises:
            ValueError: the number of parties is less than 1, or the timeout is negative.
            Unsupported, ReadOnlyShelf: as for :meth:`lock`.
            TurnTimeout: by ``wait()``, if not all came in time.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf.barrier("start", parties=1).wait() > 0
        True
        """
        handle = self._handle
        line = line_name(BARRIERS, self._namespace.encode(name))
        return Barrier(handle, handle.owners or _begin(handle), line, _limit(timeout), _count("parties", parties))


def _limit(timeout: float | None) -> float | None:
    return None if timeout is None else usable_timeout(timeout)


def _count(name: str, number: int) -> int:
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"{name} is an int, not {type(number).__name__}")
    if not 1 <= number <= _MOST:
        raise ValueError(f"{name} is a number from 1 to {_MOST:,}, not {number}")
    return number


def _begin(handle: Handle) -> Owners:
    """The owners of turns of a handle, from its first use of a line on."""
    engine, reference = handle.engine, weakref.ref(handle)
    if handle.flag == "r" and not handle.closed:
        raise ReadOnlyShelf(
            f"{engine.where} was opened with flag 'r' and cannot be written, nor can a process stand in a line there\n"
            "  hint: open it with flag 'w' or 'c'"
        )
    if engine.capabilities.turns is None:
        raise Unsupported(
            f"the {engine.name} engine has no locks, semaphores and barriers ({engine.where})\n"
            "  hint: keep them in a shelf of another engine beside it; capabilities.turns says which one has them"
        )

    def is_inside() -> bool:
        found = reference()
        return found is not None and found.is_inside()

    def is_closed() -> bool:
        found = reference()
        return found is None or found.closed

    made = Owners(engine.turns(), engine.where, handle.inside, is_inside, is_closed)
    owners: Owners = vars(handle).setdefault("owners", made)  # if two threads begin at once, both get the first one
    return owners
