"""Blocks of the synchronous face (a transaction, an edit) that a task enters and leaves with ``async with``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Generic, TypeVar

from coshelf.aio.misuse import Unawaited
from coshelf.aio.running import acting_here, end_on, enter_gate, is_inside, leave_gate, limits, make_call
from coshelf.aio.threads import current_task
from coshelf.errors import ShelfLocked, TransactionInProgress
from coshelf.mapping.handle import Handle
from coshelf.system.threads.participants import Abandoned, TaskOwner

__all__ = ["Block"]

T = TypeVar("T")
A = TypeVar("A")


class Block(Unawaited, Generic[T, A]):
    """A block that belongs to the task which enters it. It begins and ends in worker threads, as that task's.

    Args:
        handle: the handle of the shelf.
        make: makes the context manager, with the seconds that are left of the timeout.
        show: what the block gets, for what the context manager returns.
        timeout: seconds to wait for other writers; None: those of opening.
        alone: whether it keeps other writers out.
        at_once: whether it begins in microseconds if no other process is in one, on an engine that locks quickly.
    """

    _entered: AbstractContextManager[T] | None = None

    def __init__(
        self,
        handle: Handle,
        make: Callable[[float], AbstractContextManager[T]],
        show: Callable[[T], A],
        timeout: float | None = None,
        *,
        alone: bool = True,
        at_once: bool = False,
    ) -> None:
        self._handle = handle
        self._make = make
        self._show = show
        self._timeout = timeout
        self._alone = alone
        self._at_once = at_once
        self._has_gate = False

    async def __aenter__(self) -> A:
        if self._entered is not None:
            raise TransactionInProgress("this block was entered before; make a new one for each use")
        self._handle.refuse_closed()
        self._engine = self._handle.engine
        self._task = current_task()
        owner = TaskOwner(self._task)
        is_nested = is_inside(self._handle, owner)
        left = 0.0
        if self._alone and not is_nested and self._handle.engine.capabilities.exclusive is not None:
            left = await enter_gate(self._handle, self._timeout, alone=True)
            self._has_gate = True
        try:
            begun = self._begin_here() if self._has_gate and self._at_once else None
            if begun is None:
                kind = limits().inside if is_nested or self._has_gate else limits().writing
                begun = await make_call(self._handle, kind, self._undo, owner, self._enter, (left,))
            entered, value = begun
        except BaseException:
            self._leave_gate()
            raise
        self._entered = entered
        return self._show(value)

    def _begin_here(self) -> tuple[AbstractContextManager[T], T] | None:
        """Begin the block in the thread of the loop, if that waits for nothing."""
        engine = self._handle.engine
        if not (engine.locks_quickly or engine.commits_at_once):
            return None
        with acting_here(), suppress(ShelfLocked):
            return self._enter(0.0)
        return None

    def _enter(self, left: float) -> tuple[AbstractContextManager[T], T]:
        block = self._make(left)
        return block, block.__enter__()

    def _undo(self, entered: tuple[AbstractContextManager[T], T]) -> None:
        """Leave a block whose task was cancelled while it was entered. It stores nothing."""
        error = Abandoned()
        entered[0].__exit__(Abandoned, error, None)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        entered = self._entered
        assert entered is not None
        try:
            return await end_on(self._engine, entered.__exit__, TaskOwner(self._task), kind, error, traceback)
        finally:
            self._leave_gate()

    def _leave_gate(self) -> None:
        if self._has_gate:
            self._has_gate = False
            leave_gate(self._handle, alone=True)
