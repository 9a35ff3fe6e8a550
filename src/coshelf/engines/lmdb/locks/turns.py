"""Write transactions that interrupt each other in one thread. A thread must never wait for itself.

A signal handler, or a finalizer that the garbage collector calls, can run between any two steps of a commit, and may
write. LMDB has one writer at a time, and the handler cannot wait for the commit that it interrupted. So the handler
ends that commit's transaction, of which nothing has been committed, and writes. The interrupted commit then finds its
transaction gone and does everything again. In a few steps that is not possible. Before these a writer *settles*: from
then on the handler gets an error.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import lmdb

from coshelf.errors import CoshelfError, StorageError, TransactionInProgress
from coshelf.system.threads import existing
from coshelf.system.threads.cooperation import this_thread

__all__ = ["Overtaken", "WriteTurns", "again_when_overtaken"]

P = ParamSpec("P")
T = TypeVar("T")

_MOST = 100
_PATIENCE = 3  # times that a writer lets itself be overtaken in a row


def _is_thread_of_this_process(number: int) -> bool:
    """Whether a thread belongs to this process. A thread of another process goes on, so this one can wait for it."""
    return existing.exists(number) is not False


class Overtaken(Exception):
    """This thread must do its commit again: a handler that interrupted it has written."""


class WriteTurns:
    """The write transactions of one LMDB file in this process, by thread.

    Attributes:
        own: the transaction of each thread, by its number. Looking up a thread that has none begins one. Beginning and
            remembering are one step of the interpreter, so no handler can come in between. A thread that ends its
            transaction takes it out.
        overtaken: how many times in a row a writer was overtaken. A number that is not exact does no harm.
    """

    def __init__(self, shelf: str, begin: Callable[[], lmdb.Transaction[bytes]]) -> None:
        self._shelf = shelf
        self.own: defaultdict[int, lmdb.Transaction[bytes]] = defaultdict(begin)
        self._settled: set[int] = set()
        self.overtaken = 0

    def make_way(self, thread: int) -> None:
        """End the transaction that this thread has. Raises :class:`TransactionInProgress` if the writer has settled."""
        mine = self.own.get(thread)
        if mine is not None and _is_open(mine):
            if thread in self._settled:
                raise TransactionInProgress(
                    f"this call interrupted this thread in the middle of a commit to {self._shelf}, at a step that "
                    "cannot be interrupted\n  hint: in a signal handler or finalizer, only note what is to be "
                    "written, and write it later"
                )
            mine.abort()
        self.own.pop(thread, None)

    def refuse_hopeless(self, holder: int) -> None:
        """Raise if this thread would wait for a thread of this process that will never run again."""
        if sys.is_finalizing() and _is_thread_of_this_process(holder):
            raise StorageError(
                f"{self._shelf} cannot be written any more: the interpreter is ending, and another thread (number "
                f"{holder}) is in the middle of a commit"
            )

    def has_lost(self, transaction: lmdb.Transaction[bytes]) -> bool:
        """Whether a transaction of this thread was ended for another one."""
        return self.own.get(this_thread()) is not transaction

    def settle(self, transaction: lmdb.Transaction[bytes]) -> None:
        """Let no handler write from here to the end of :meth:`ending`. Raises :class:`Overtaken` if one has written."""
        self._settled.add(this_thread())
        self.refuse_lost(transaction)

    @contextmanager
    def settled(self, transaction: lmdb.Transaction[bytes]) -> Iterator[None]:
        """Let no handler write in a block. Raises :class:`Overtaken` if one has written."""
        thread = this_thread()
        was_settled = thread in self._settled
        try:
            self.settle(transaction)
            yield
        finally:
            if not was_settled:
                self._settled.discard(thread)

    def refuse_lost(self, transaction: lmdb.Transaction[bytes]) -> None:
        """Raise :class:`Overtaken` if the transaction was ended for another one."""
        if self.has_lost(transaction):
            raise Overtaken

    def ending(self, transaction: lmdb.Transaction[bytes]) -> _Ending:
        """For a block: end the transaction, unless it was committed. Errors of a lost one become ``Overtaken``."""
        return _Ending(self, transaction)

    def end_left(self, before: lmdb.Transaction[bytes] | None) -> None:
        """End the transaction that this thread has, unless it is the one that it had ``before``."""
        mine = self.own.get(this_thread())
        if mine is not None and mine is not before:
            self.end(mine)

    def end(self, transaction: lmdb.Transaction[bytes]) -> None:
        """End a transaction of this thread, unless it was committed."""
        transaction.abort()
        thread = this_thread()
        self._settled.discard(thread)
        self.own.pop(thread, None)


class _Ending:
    """The block of :meth:`WriteTurns.ending`."""

    __slots__ = ("_transaction", "_turns")

    def __init__(self, turns: WriteTurns, transaction: lmdb.Transaction[bytes]) -> None:
        self._turns = turns
        self._transaction = transaction

    def __enter__(self) -> lmdb.Transaction[bytes]:
        turns, transaction = self._turns, self._transaction
        if turns.overtaken > _PATIENCE:
            try:
                turns.settle(transaction)
            except BaseException as error:
                turns.overtaken += isinstance(error, Overtaken)
                turns.end(transaction)
                raise
        return transaction

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        turns, transaction = self._turns, self._transaction
        try:
            if error is None:
                turns.overtaken = 0
            elif isinstance(error, Overtaken):
                turns.overtaken += 1
            elif isinstance(error, (lmdb.Error, CoshelfError)) and turns.has_lost(transaction):
                raise Overtaken from error
        finally:
            turns.end(transaction)


def _is_open(transaction: lmdb.Transaction[bytes]) -> bool:
    try:
        transaction.id()
    except lmdb.Error:
        return False
    return True


class _Writes(Protocol):
    """What has methods that write."""

    def lmdb_files(self) -> Sequence[_File]:
        """The LMDB files that this process has open, and that the methods write to."""


class _File(Protocol):
    @property
    def turns(self) -> WriteTurns: ...


S = TypeVar("S", bound=_Writes)


def again_when_overtaken(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Decorate a method that writes: it does everything again after it was overtaken.

    If it raises, no transaction is left that it began. An interrupt (Ctrl-C) may come just before the block of a
    transaction is entered, or just before the end of it is under way, where the block itself does not end it.
    """

    def repeated(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        thread = this_thread()
        before = {id(file.turns): file.turns.own.get(thread) for file in self.lmdb_files()}
        for _ in range(_MOST):
            try:
                return method(self, *args, **kwargs)
            except Overtaken:
                continue
            except BaseException:
                for file in self.lmdb_files():
                    file.turns.end_left(before.get(id(file.turns)))
                raise
        raise TransactionInProgress(
            f"signal handlers and finalizers of this thread that write kept interrupting it, {_MOST} times in a row"
        )

    return repeated
