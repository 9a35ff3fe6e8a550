"""Shared by a shelf and its subs: the open engine, and which tasks are in a transaction of it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from coshelf.contract import Batch, Engine, Flag
from coshelf.engines.closed import ClosedEngine
from coshelf.errors import ReadOnlyShelf, ShelfClosed, TransactionInProgress
from coshelf.system.ending import finalizer
from coshelf.system.participants import current_task, current_thread
from coshelf.values.codec import Codec

if TYPE_CHECKING:
    from coshelf.mapping.transaction import State
    from coshelf.memo.claims import Claims

__all__ = ["Commit", "Handle", "Participant"]

Commit = Callable[[Batch], "int | str"]


class Participant:
    """A task that is in a transaction.

    Attributes:
        task: as :func:`current_task` returns it.
        state: the transaction, while its block runs; None before and after that.
        deferred: writes of signal handlers and finalizers that ran just before or after the block. They are committed
            after the transaction.
    """

    def __init__(self) -> None:
        self.task = current_task()
        self.state: State | None = None
        self.deferred: list[Batch] = []


class _TakingPart:
    """The block of :meth:`Handle.taking_part`."""

    __slots__ = ("_handle", "_thread")

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._thread = current_thread()

    def __enter__(self) -> Participant:
        participant = self._handle.inside[self._thread] = Participant()
        return participant

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._handle.leave(self._thread)


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
        self.inside: dict[tuple[int, int], Participant] = {}
        """The tasks that are in a transaction of this handle, by pid and thread."""
        self.claims: Claims | None = None
        """The claims of memoized functions, from the first call that computes on."""
        self.is_resting = False
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
        participant = self.inside.get(current_thread())
        return participant.state if participant is not None and participant.task == current_task() else None

    def refuse_writing(self) -> None:
        """Raise as :meth:`joined` for a write that cannot be part of any transaction."""
        if self._is_inside():
            raise TransactionInProgress(
                f"this thread is inside a transaction or edit of {self.engine.where}, and this call cannot "
                "be part of it\n  hint: another task or handle began it, or the call is for the whole shelf; call it "
                "after the transaction"
            )
        if self.flag == "r":
            raise ReadOnlyShelf(f"{self.engine.where} was opened with flag 'r' and cannot be written")

    def _is_inside(self) -> bool:
        return self.engine.owns_exclusive() or (bool(self.inside) and current_thread() in self.inside)

    def commit(self, batch: Batch) -> int | str:
        """Commit a batch that is not part of a transaction. Raises as :meth:`joined`."""
        self.refuse_writing()
        return self.engine.commit(batch)

    def commit_or_defer(self, batch: Batch) -> None:
        """Commit a batch. If this call interrupted the begin or end of a transaction, defer it until after that."""
        participant = self.inside.get(current_thread())
        if participant is None or participant.state is not None or participant.task != current_task():
            self.commit(batch)
        else:
            participant.deferred.append(batch)

    def leave(self, thread: tuple[int, int]) -> None:
        """A thread is in no transaction any more. Commit what was deferred until after it. Harmless if repeated."""
        participant = self.inside.pop(thread, None)
        while participant is not None and participant.deferred:
            self.engine.commit(participant.deferred.pop(0))

    def taking_part(self) -> _TakingPart:
        """For a block, this task is in a transaction. Other tasks of the thread are refused meanwhile."""
        return _TakingPart(self)

    # --- the end -----------------------------------------------------------------------------------------------------

    def refuse_closed(self) -> None:
        if self.closed:
            raise ShelfClosed(f"the shelf {self.engine.where} has been closed")

    def close(self) -> None:
        engine = self.engine
        if isinstance(engine, ClosedEngine):
            return
        if self._is_inside():
            raise TransactionInProgress(f"{engine.where} cannot be closed by a thread that is inside its transaction")
        self.engine = ClosedEngine(engine)
        self._finalizer.detach()
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
