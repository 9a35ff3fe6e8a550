"""Shared by a shelf and its subs: the open engine, and which tasks are in a transaction of it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from coshelf.contract import Batch, Engine, Flag
from coshelf.engines.closed import ClosedEngine, closed_shelf
from coshelf.errors import ReadOnlyShelf, TransactionInProgress
from coshelf.system.threads.ending import finalizer
from coshelf.system.threads.living import Living
from coshelf.system.threads.participants import Party, current_party, current_task
from coshelf.values.codec import Codec

if TYPE_CHECKING:
    from coshelf.coordination.owners import Owners
    from coshelf.coordination.takers import Takers
    from coshelf.mapping.transaction import State
    from coshelf.memo.claims import Claims

__all__ = ["Commit", "Handle", "Participant", "Watch"]

Commit = Callable[[Batch], "int | str"]


class Watch(Protocol):
    """What waits for changes of the shelf."""

    def close(self) -> None:
        """End it, also if another thread waits in it."""
        ...


class Participant:
    """A task that is in a transaction.

    Attributes:
        task: as :func:`current_task` returns it.
        state: the transaction, while its block runs; None before and after that.
        deferred: writes of signal handlers and finalizers that ran just before or after the block. They are committed
            after the transaction.
        afterwards: what is called after the transaction, to wake those who wait for what it wrote.
    """

    def __init__(self) -> None:
        self.task = current_task()
        self.state: State | None = None
        self.deferred: list[Batch] = []
        self.afterwards: list[Callable[[], object]] = []


class _TakingPart:
    """The block of :meth:`Handle.taking_part`."""

    __slots__ = ("_handle", "_party")

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._party = current_party()

    def __enter__(self) -> Participant:
        participant = self._handle.inside[self._party] = Participant()
        return participant

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._handle.leave(self._party)


class Handle:
    """Shared by a shelf and its subs: the open engine, and how values are encoded.

    Args:
        engine: the engine with the entries.
        codec: how values are encoded.
        flag: the flag of opening.
        reopen: the function that a pickled shelf calls in another process.
        before_close: called with the engine's ``commit`` when the shelf is closed. A shelf that is never closed calls
            it when it is collected, and at exit.
    """

    claims: Claims | None = None
    """The claims of memoized functions, from the first one on. ``setdefault`` makes it, for threads."""
    owners: Owners | None = None
    """The threads and tasks that have turns, from the first lock on. As for ``claims``."""

    def __init__(
        self,
        engine: Engine,
        codec: Codec,
        flag: Flag,
        reopen: Callable[..., Any],
        before_close: Callable[[Commit], None] | None = None,
    ) -> None:
        self.engine = engine
        self.codec = codec
        self.flag: Flag = flag
        self.reopen = reopen
        self.inside: dict[Party, Participant] = {}
        """The tasks that are in a transaction of this handle, by process and owner."""
        self.takers: list[Takers] = []
        """The items that were taken from queues, from the first one on. If two threads add to it, the first counts."""
        self.watches: Living[Watch] = Living()
        """The watches that end when the shelf is closed."""
        self.is_resting = False
        self._opens: list[None] = [None]  # empty from the close on
        self.unswept = 0  # entries with a time that were stored since expired ones were removed
        self._finish = partial(_finish, engine, before_close)
        self._finalizer = finalizer(self, self._finish, partial(_rest, weakref.ref(self), engine, before_close))

    @property
    def closed(self) -> bool:
        return isinstance(self.engine, ClosedEngine)

    # --- writes ------------------------------------------------------------------------------------------------------

    def joined(self) -> State | None:
        """The transaction that a write of this task is part of; None if the write commits by itself.

        Raises:
            ShelfClosed, ReadOnlyShelf: the shelf cannot be written.
            TransactionInProgress: this thread is in a transaction that the write cannot be part of.
        """
        if self.inside and (state := self.state()) is not None:
            return state
        self.refuse_writing()
        return None

    def state(self) -> State | None:
        """The transaction that this task is in, if any. Callers first test whether any task is ``inside``."""
        participant = self.inside.get(current_party())
        return participant.state if participant is not None and participant.task == current_task() else None

    def refuse_writing(self) -> None:
        """Raise as :meth:`joined` for a write that cannot be part of any transaction."""
        if self.is_inside():
            raise TransactionInProgress(
                f"this thread is inside a transaction or edit of {self.engine.where}, and this call cannot "
                "be part of it\n  hint: another task or handle began it, or the call is for the whole shelf; call it "
                "after the transaction"
            )
        if self.flag == "r":
            raise ReadOnlyShelf(f"{self.engine.where} was opened with flag 'r' and cannot be written")

    def is_inside(self) -> bool:
        """Whether this thread or task is in a transaction of the shelf, through any handle."""
        return self.engine.owns_exclusive() or (bool(self.inside) and current_party() in self.inside)

    def commit(self, batch: Batch) -> int | str:
        """Commit a batch that is not part of a transaction. Raises as :meth:`joined`."""
        self.refuse_writing()
        return self.engine.commit(batch)

    def commit_or_defer(self, batch: Batch) -> None:
        """Commit a batch. If this call interrupted the begin or end of a transaction, defer it until after that."""
        participant = self.inside.get(current_party())
        if participant is None or participant.state is not None or participant.task != current_task():
            self.commit(batch)
        else:
            participant.deferred.append(batch)

    def afterwards(self, call: Callable[[], object]) -> None:
        """Call a function after the transaction of this task; at once if it is in none."""
        participant = self.inside.get(current_party())
        if participant is None:
            call()
        else:
            participant.afterwards.append(call)

    def leave(self, party: Party) -> None:
        """A party is in no transaction any more. Commit what was deferred until after it. Harmless if repeated."""
        participant = self.inside.pop(party, None)
        while participant is not None and participant.deferred:
            self.engine.commit(participant.deferred.pop(0))
        while participant is not None and participant.afterwards:
            participant.afterwards.pop(0)()

    def taking_part(self) -> _TakingPart:
        """For a block, this task is in a transaction. Other tasks of the thread are refused meanwhile."""
        return _TakingPart(self)

    # --- the end -----------------------------------------------------------------------------------------------------

    def refuse_closed(self) -> None:
        if self.closed:
            raise closed_shelf(self.engine.where)

    def close(self) -> None:
        engine = self.engine
        if isinstance(engine, ClosedEngine):
            return
        if engine.owns_exclusive() or (self.inside and current_party() in self.inside):
            raise TransactionInProgress(f"{engine.where} cannot be closed by a thread that is inside its transaction")
        try:
            self._opens.pop()  # one step: of two threads that close the shelf, one goes on
        except IndexError:
            return
        self.engine = ClosedEngine(engine)
        vars(self).pop("owners", None)
        self._finalizer.detach()
        for watch in list(self.watches):
            watch.close()
        try:
            for takers in self.takers:
                takers.close()
        finally:
            self._finish()

    def __del__(self) -> None:
        if self.is_resting and not self.closed:  # the interpreter's end: finalizers are not called any more
            # Names may be missing by now. All data is durable; the next process that opens the shelf cleans up.
            with suppress(ImportError, NameError, AttributeError, TypeError):
                self._finish()


def _finish(engine: Engine, before_close: Callable[[Commit], None] | None) -> None:
    try:
        if before_close is not None:
            before_close(engine.commit)
    finally:
        engine.close()


def _rest(reference: weakref.ref[Handle], engine: Engine, before_close: Callable[[Commit], None] | None) -> None:
    handle = reference()
    assert handle is not None
    handle.is_resting = True
    try:
        if before_close is not None:
            before_close(engine.commit)
    finally:
        engine.rest()
