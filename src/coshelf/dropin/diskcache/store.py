"""The open shelf of a cache, and the transactions of its threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from coshelf.contract import Batch, Engine
from coshelf.dropin.diskcache.layout import ENTRIES, PICKLED, Row
from coshelf.dropin.diskcache.names import Timeout
from coshelf.dropin.diskcache.rows import Rows, Totals
from coshelf.errors import (
    Conflict,
    ReadOnlyShelf,
    ShelfClosed,
    ShelfLocked,
    StorageFull,
    TransactionInProgress,
    Unsupported,
)
from coshelf.mapping.shelf import Shelf
from coshelf.system.threads.participants import Party, current_party

__all__ = ["Store"]

T = TypeVar("T")

_ENTRIES, _PICKLED = ENTRIES.start, PICKLED.start
_ATTEMPTS = 4  # without a lock
_NOTHING_STORED = (
    Conflict,
    ReadOnlyShelf,
    ShelfClosed,
    ShelfLocked,
    StorageFull,
    TransactionInProgress,
    Unsupported,
)


class _Again(Exception):
    """Another commit came in between. Nothing was done."""


class Store:
    """An open shelf. All threads of a cache share it, and so does a forked child.

    A step reads without a lock, and commits if nothing else was committed since. If that fails several times, it takes
    the exclusive lock. A block takes the lock from the start.

    Args:
        shelf: the open shelf.
        timeout: seconds to wait for other writers.
        remove_file: removes a value's file, given its name.
    """

    def __init__(self, shelf: Shelf[Any, Any], timeout: float, remove_file: Callable[[str], object]) -> None:
        self.shelf = shelf
        handle = shelf._handle
        self.engine: Engine = handle.engine
        self.codec = handle.codec
        self.inside: dict[Party, Rows] = {}
        """The threads that are in a transaction of this cache, by process and owner."""
        self._timeout = timeout
        self._remove_file = remove_file

    # --- reading -----------------------------------------------------------------------------------------------------

    def find(self, key: Any, raw: bool) -> Row | None:
        """The row of a key as :meth:`Disk.put` returns it; None if it does not exist. Takes no lock."""
        if not self.inside:
            row: Row | None = self.engine.quick(key, _ENTRIES if raw else _PICKLED)
            if row is not NotImplemented:
                return row
        return self.reader().find(key, raw)

    def get(self, encoded: bytes) -> Any:
        """The value of a key that is given by its bytes; None if it does not exist."""
        return self.reader().get(encoded)

    def totals(self) -> Totals:
        """What is counted."""
        return self.reader().totals()

    def reader(self) -> Rows:
        """The transaction of this thread's block; if it is in none, one that is only read from."""
        rows = self._outer()
        return Rows(self.engine, self.codec) if rows is None or rows.is_stepping else rows

    def _outer(self) -> Rows | None:
        return self.inside.get(current_party()) if self.inside else None

    # --- a step ------------------------------------------------------------------------------------------------------

    def step(
        self, function: Callable[[Rows], T], retry: bool, new_file: str | None = None, *, locked: bool = False
    ) -> T:
        """The result of a function that reads and writes, in one commit, or as a part of this thread's block.

        Args:
            function: it is given the transaction. It may be called again, and what it did is undone then.
            retry: whether to wait on after the timeout.
            new_file: the name of a file that was written for the step. It is removed if the step fails.
            locked: whether to take the lock from the start, so that the function is called once: for a long step, and
                for one that depends on what is written without it. Its old files are removed under the lock, too.

        Raises:
            Timeout: another thread or process kept the lock for longer than the timeout.
        """
        outer = self._outer()
        if outer is not None:
            return self._part(outer, function, new_file)
        attempt = _ATTEMPTS if locked else 0
        while True:
            attempt += 1
            try:
                if attempt <= _ATTEMPTS:
                    return self._attempt(function, new_file)
                return self._alone(function, new_file)
            except _Again:
                continue
            except ShelfLocked:
                if not retry:
                    self._discard(new_file)
                    raise Timeout from None

    def step_at_once(self, function: Callable[[Rows], object]) -> bool:
        """As :meth:`step` if no other thread or process is in a transaction. Returns whether it was done."""
        outer = self._outer()
        if outer is not None:
            if outer.is_stepping:
                return False
            self._part(outer, function, None)
            return True
        try:
            with self.engine.exclusive(0) as lock:
                self._held(current_party(), lock.commit, function, None)
        except ShelfLocked:
            return False
        return True

    def _attempt(self, function: Callable[[Rows], T], new_file: str | None) -> T:
        """Run a step without a lock. Raises :class:`_Again` if something else was committed meanwhile."""
        rows = Rows(self.engine, self.codec)
        rows.begin()
        try:
            result = function(rows)
            batch = rows.batch()
        except BaseException as error:
            self._abandon(rows)
            if isinstance(error, Exception) and not rows.is_current():
                raise _Again from None  # what it read was not of one instant
            self._discard(new_file)
            raise
        if batch is None:
            if not rows.is_current():
                raise _Again
            self._tidy(rows)
            return result
        try:
            self._commit(rows, batch, self.engine.commit)
        except Conflict:
            raise _Again from None
        except ShelfLocked:
            raise
        except _NOTHING_STORED:
            self._discard(new_file)
            raise
        return result

    def _alone(self, function: Callable[[Rows], T], new_file: str | None) -> T:
        """Run a step under the exclusive lock. If ShelfLocked is raised, it was not run."""
        party, engine = current_party(), self.engine
        with engine.quick_hold(party) as is_held:
            if is_held:
                return self._held(party, engine.commit_held, function, new_file)
        with engine.exclusive(self._timeout) as lock:
            return self._held(party, lock.commit, function, new_file)

    def _held(
        self, party: Party, commit: Callable[[Batch], object], function: Callable[[Rows], T], new_file: str | None
    ) -> T:
        rows = Rows(self.engine, self.codec)
        rows.is_stepping = True
        if new_file is not None:
            rows.new_files.append(new_file)
        self.inside[party] = rows
        try:
            result = function(rows)
            batch = rows.batch()
        except BaseException:
            self._abandon(rows)
            raise
        finally:
            self.inside.pop(party, None)
        self._commit(rows, batch, commit)
        return result

    def _part(self, outer: Rows, function: Callable[[Rows], T], new_file: str | None) -> T:
        """Run a step as a part of a block. If it raises, its own writes are undone."""
        if outer.is_stepping:
            self._discard(new_file)
            raise TransactionInProgress(
                f"this call interrupted a call of the same thread that changes {self.engine.where}\n"
                "  hint: in a signal handler or finalizer, only note what is to be written, and write it later"
            )
        mark = outer.mark()
        if new_file is not None:
            outer.new_files.append(new_file)
        outer.is_stepping = True
        try:
            return function(outer)
        except BaseException:
            for name in outer.go_back(mark):
                self._remove_file(name)
            raise
        finally:
            outer.is_stepping = False

    # --- a block -----------------------------------------------------------------------------------------------------

    @contextmanager
    def transact(self, retry: bool) -> Iterator[None]:
        """A block whose calls are committed together at its end, or not at all if it raises.

        A block inside the block is part of it.
        """
        if self._outer() is not None:
            yield
            return
        while True:
            hold = self.engine.exclusive(self._timeout)
            try:
                lock = hold.__enter__()
                break
            except ShelfLocked:
                if not retry:
                    raise Timeout from None
        try:
            yield from self._block(lock.commit)
        finally:
            hold.__exit__(None, None, None)

    def _block(self, commit: Callable[[Batch], object]) -> Iterator[None]:
        party = current_party()
        rows = self.inside[party] = Rows(self.engine, self.codec)
        try:
            yield
            batch = rows.batch()
        except BaseException:
            self._abandon(rows)
            raise
        finally:
            self.inside.pop(party, None)
        self._commit(rows, batch, commit)

    # --- files -------------------------------------------------------------------------------------------------------

    def drop_file(self, name: str) -> None:
        """Remove a file that no entry names any more; at the end of this thread's block, if it is in one."""
        outer = self._outer()
        if outer is None:
            self._remove_file(name)
        else:
            outer.old_files.append(name)

    def _commit(self, rows: Rows, batch: Batch | None, commit: Callable[[Batch], object]) -> None:
        if batch is not None:
            try:
                commit(batch)
            except _NOTHING_STORED:
                self._abandon(rows)
                raise
        # After any other error the rows may have been stored: no file is removed, and at worst one is left over.
        self._tidy(rows)

    def _tidy(self, rows: Rows) -> None:
        for name in rows.old_files:
            self._remove_file(name)

    def _abandon(self, rows: Rows) -> None:
        for name in rows.new_files:
            self._remove_file(name)

    def _discard(self, name: str | None) -> None:
        if name is not None:
            self._remove_file(name)
