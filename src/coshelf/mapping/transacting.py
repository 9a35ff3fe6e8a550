"""How a shelf runs transactions, and steps that are transactions: under the exclusive lock, or optimistically."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, Generic, TypeVar

from coshelf import contract
from coshelf.contract import Batch, Reader
from coshelf.errors import Conflict, InvalidKey
from coshelf.mapping import transaction as transactions
from coshelf.mapping.blocks import block
from coshelf.mapping.handle import Handle, Participant
from coshelf.mapping.namespace import Namespace
from coshelf.mapping.transaction import State, Transaction
from coshelf.system.threads.participants import Party, current_party
from coshelf.system.waiting.backoff import Backoff
from coshelf.system.waiting.timeouts import usable_timeout
from coshelf.values.codec import Codec

__all__ = ["Transacting"]

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

_ATTEMPTS = 4  # to commit optimistically, before the exclusive lock is taken if the engine has one
_PATIENT_ATTEMPTS = 400  # if the engine has none: with pauses, some 20 s
_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.1  # with 0.5, the slowest call of eight writers of one counter on a server took 5 s


class Transacting(Generic[K, V]):
    """The transactions of a :class:`coshelf.Shelf`."""

    _handle: Handle
    _namespace: Namespace
    _codec: Codec

    def _joined(self) -> Transaction[K, V] | None:
        """The transaction that a write is part of, with the keys of this namespace. Raises as ``Handle.joined``."""
        state = self._handle.joined()
        return None if state is None else Transaction(state, self._namespace, self._codec)

    @block
    def _transaction(self, timeout: float | None) -> Iterator[Transaction[K, V]]:
        outer = self._handle.joined()
        if outer is not None:
            with outer.nested() as part:
                yield Transaction(part, self._namespace, self._codec)
            return
        party = current_party()
        try:
            yield from self._outermost(timeout)
        finally:  # an interrupt may come just before the block in there is left
            self._handle.leave(party)

    def _outermost(self, timeout: float | None) -> Iterator[Transaction[K, V]]:
        """A transaction of a thread that is in none."""
        engine = self._handle.engine
        if engine.capabilities.exclusive is None:
            with self._handle.taking_part() as participant, engine.instant() as base:

                def commit(batch: Batch) -> object:
                    if isinstance(base, contract.Snapshot):
                        base.close()  # it may hold a connection, and the commit needs another one
                    return engine.commit(batch)

                yield from self._run(participant, base, commit, watched=True)
            return
        with (
            self._handle.taking_part() as participant,
            engine.exclusive(None if timeout is None else usable_timeout(timeout)) as lock,
        ):
            # No other thread or process writes now, so the latest state is the instant of this transaction.
            yield from self._run(participant, engine, lock.commit, watched=False)

    def _holding(self, step: Callable[[Transaction[K, V]], T], *, joined: bool = False) -> T:
        """The result of a step that is a transaction under the exclusive lock. As ``_transaction``, in fewer calls.

        ``joined`` as for :meth:`_atomically`. Otherwise a handler that interrupts the step cannot write in the middle.
        """
        handle = self._handle
        outer = handle.joined()
        if outer is not None:
            with outer.nested() as part:
                return step(Transaction(part, self._namespace, self._codec))
        party = current_party()
        try:
            return self._held(handle, party, step, joined=joined)
        finally:  # an interrupt may come just before the block in there is left
            handle.leave(party)

    def _held(self, handle: Handle, party: Party, step: Callable[[Transaction[K, V]], T], *, joined: bool) -> T:
        engine = handle.engine
        with handle.taking_part() as participant:
            with engine.quick_hold(party) as is_held:
                if is_held:
                    return self._step_held(participant if joined else None, engine.commit_held, step)
            with engine.exclusive() as lock:
                return self._step_held(participant if joined else None, lock.commit, step)

    def _step_held(
        self, joining: Participant | None, commit: Callable[[Batch], object], step: Callable[[Transaction[K, V]], T]
    ) -> T:
        """Run a step, which this task may join, and commit it. This thread holds the exclusive lock."""
        engine = self._handle.engine
        state, transaction = self._begin(engine, watched=False)
        try:
            if joining is not None:
                joining.state = state
            try:
                result = step(transaction)
            finally:
                if joining is not None:
                    joining.state = None
            batch = state.batch()
        finally:
            state.end()
        if batch is not None:
            engine.refuse_wide(batch, whole=True)
            commit(batch)
            self._committed(batch)
        return result

    def _run(
        self, participant: Participant, base: Any, commit: Callable[[Batch], object], *, watched: bool
    ) -> Iterator[Transaction[K, V]]:
        state, transaction = transactions.begin(
            base, self._handle.engine, self._namespace, self._codec, watched=watched
        )
        try:
            participant.state = state
            try:
                yield transaction
            finally:
                participant.state = None
            # Without an instant, the versions of all entries that were read have to be checked.
            batch = state.batch(of_reads=watched and base is self._handle.engine)
        finally:
            state.end()
        if batch is not None:
            self._handle.engine.refuse_wide(batch, whole=True)
            commit(batch)
            self._committed(batch)

    def _begin(self, base: Reader, *, watched: bool) -> tuple[State, Transaction[K, V]]:
        return transactions.begin(base, self._handle.engine, self._namespace, self._codec, watched=watched)

    def _committed(self, batch: Batch) -> None:
        """Called after a transaction of this shelf, for a subclass that keeps values that were read."""

    def _transact(self, function: Callable[[Transaction[K, V]], T], attempts: int = 10) -> T:
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, spread=1.0)
        for attempt in range(1, attempts + 1):
            try:
                with self._transaction(None) as transaction:
                    return function(transaction)
            except Conflict:
                if attempt == attempts:
                    raise
            backoff.sleep()
        raise ValueError("attempts must be at least 1")

    def _locks_for(self, key: K) -> bool:
        """Whether an entry is removed under the exclusive lock: it exists, and the engine locks quickly."""
        engine = self._handle.engine
        if not engine.locks_quickly or self._handle.inside:
            return False
        try:
            return engine.record(self._namespace.encode(key)) is not None
        except InvalidKey:
            return False

    def _atomically(self, step: Callable[[Transaction[K, V]], T], *, joined: bool = False, writes: bool = False) -> T:
        """Run a step that may be repeated, and commit it. After several conflicts the exclusive lock is taken.

        Args:
            step: is given the transaction.
            joined: for a step that calls a function of the user. Its writes to the shelf are part of the step.
            writes: whether the step is known to write, so that the exclusive lock is taken from the start.
        """
        if writes:
            return self._holding(step, joined=joined)
        engine = self._handle.engine
        outer = self._joined()
        if outer is not None:
            return step(outer)
        for _ in range(_ATTEMPTS):
            state, transaction = transactions.begin(engine, engine, self._namespace, self._codec, watched=True)
            with self._handle.taking_part() if joined else nullcontext() as participant:
                if participant is not None:
                    participant.state = state
                result = step(transaction)
                afterwards = _taken_from(participant)
            batch = state.batch()
            state.end()
            if batch is None:
                return result
            try:
                engine.commit(batch)
            except Conflict:
                continue
            self._committed(batch)
            for call in afterwards:
                call()
            return result
        return self._patiently(step)

    def _patiently(self, step: Callable[[Transaction[K, V]], T]) -> T:
        """Run an internal step in transactions, until one has no conflict, or there were too many attempts."""
        return self._transact(step, 1 if self._handle.engine.capabilities.exclusive else _PATIENT_ATTEMPTS)


def _taken_from(participant: Participant | None) -> list[Callable[[], object]]:
    """What is to be called after the commit of a step, which comes after the end of its part in the transaction."""
    if participant is None:
        return []
    calls, participant.afterwards = participant.afterwards, []
    return calls
