"""The delta as a log in shared memory, by the module in C. docs/design.md, "The delta as a log".

Writers hold a mutex for less than a microsecond. Readers take nothing. A flush gives writers another segment, so it
keeps none of them out. The module in C guards its own steps: no handler of Python runs inside one of its commits.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, TypeVar

from coshelf import native, records
from coshelf.contract import Batch
from coshelf.engines.lmdb.delta.delta import (
    Behind,
    Delta,
    DeltaCommits,
    DeltaFull,
    DeltaHost,
    Moved,
    NotRead,
    Places,
    Taken,
    version_of,
)
from coshelf.engines.lmdb.delta.state import DIRTY, GENERATION, DeltaIdentity, DeltaState
from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.files.sidecar_directory import delta_path
from coshelf.engines.lmdb.files.state_page import BELL, CLAIM, FULL
from coshelf.engines.lmdb.long_keys import physical
from coshelf.engines.lmdb.shelf_row import ROW_KEY, unpack_row
from coshelf.engines.lmdb.watching.told import grouped
from coshelf.errors import CoshelfError, DamagedShelf, StorageError, TransactionInProgress
from coshelf.system import clock
from coshelf.system.failpoints import ARMED, reach
from coshelf.system.files.descriptors import duplicate_above
from coshelf.system.files.flags import ASIDE

if TYPE_CHECKING:
    from coshelf._native import Log

__all__ = ["LOG_SIZES", "LogDelta"]

P = ParamSpec("P")
T = TypeVar("T")

# A header, two indexes of 512 KiB, and two segments of 64 or 16 MiB. If address space is limited, the smaller is tried.
_FIXED = 4096 + (1 << 20)
LOG_SIZES = (_FIXED + (128 << 20), _FIXED + (32 << 20))

_STANDARD = 2  # the number of the last standard stream

# Why a commit was not made, from enum log_result in native/log.h, with its sign changed.
_CLAIMED = -2
_MOVED = -3
_FULL = -4
_NO_SPACE = -5
_CHANGED = -6
_NESTED = -7


def _typed(method: Callable[Concatenate[LogDelta, P], T]) -> Callable[Concatenate[LogDelta, P], T]:
    """Decorate a method that uses the log: the errors of the module in C become ours."""

    @functools.wraps(method)
    def call(self: LogDelta, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except CoshelfError:
            raise
        except (ValueError, RuntimeError, OSError) as error:
            raise self.typed(error) from error

    return call


class _Closing:
    """Takes the place of flusher and name while the shelf is closed: the module in C then leaves commits to Python."""

    gone = "the shelf is being closed"
    noticed: Final[list[None]] = []
    thread = None


_CLOSING = _Closing()


class LogDelta(Delta):
    """A delta whose rows are those of a log."""

    keeps_changes_in_rows = False

    def __init__(self, shelf: str, identity: DeltaIdentity, state: DeltaState) -> None:
        self.identity = identity
        self.shelf = shelf
        self.is_due = False
        self._state = state
        self.path = path = delta_path(shelf, identity.generation)
        try:
            self.descriptor = _above_the_standard_ones(os.open(path, os.O_RDWR | ASIDE))
        except OSError as error:
            raise StorageError(error.errno, f"cannot open the delta: {error.strerror}", path) from error
        try:
            if not self._is_at(os.fstat(self.descriptor)):
                raise StorageError(f"{path} is not the delta that the state page names")
            self.log = self._opened()
        except OSError as error:
            os.close(self.descriptor)
            if isinstance(error, CoshelfError):
                raise
            raise StorageError(error.errno, f"cannot open the delta: {error.strerror}", path) from error

    def _opened(self) -> Log:
        identity = self.identity
        claim, generation, dirty, bell = (4 * word for word in (CLAIM, GENERATION, DIRTY, BELL))
        try:
            return native.log(
                self.descriptor,
                identity.map_size,
                self._state.page,
                claim=claim,
                generation=generation,
                dirty=dirty,
                bell=bell,
                mine=identity.generation,
            )
        except ValueError as error:
            raise DamagedShelf(f"{self.path} is damaged: {error}") from error

    def _is_at(self, information: os.stat_result) -> bool:
        return (information.st_dev, information.st_ino) == (self.identity.device, self.identity.inode)

    def make(self) -> None:
        """Make the log in its new file. Raises OSError if there is no space."""
        self.log.make(self.identity.offset)

    def verify(self, *, alone: bool) -> None:
        """Raise :class:`DamagedShelf` if it is not what a log is. Alone with a left one, make it usable."""
        problem = self.log.problem(alone)
        if problem is None and alone and not self.log.settle():
            problem = "it has records that no commit wrote"
        if problem is not None:
            raise DamagedShelf(f"{self.path} is damaged: {problem}")

    def is_in_place(self) -> bool:
        try:
            return self._is_at(os.stat(self.path))
        except FileNotFoundError:
            return False

    def end_stores(self) -> None:
        self.log.notice_by(_CLOSING, _CLOSING, 4 * FULL)

    def close(self) -> None:
        self.log.close()
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def abandon(self) -> object:
        self.close()
        return None

    def typed(self, error: ValueError | RuntimeError | OSError) -> CoshelfError:
        """Our error for one of the module in C: of damage, of a call inside a commit, or of the mutex."""
        if isinstance(error, RuntimeError):
            return self._nested()
        if isinstance(error, ValueError):
            return DamagedShelf(f"{self.path} is damaged: {error}")
        return StorageError(error.errno, f"cannot commit: {error.strerror or error}", self.path)

    def _nested(self) -> CoshelfError:
        return TransactionInProgress(
            f"this call interrupted this thread in the middle of a commit to {self.shelf}, at a step that cannot be "
            "interrupted\n  hint: in a signal handler or finalizer, only note what is to be written, and write it later"
        )

    def last_number(self) -> int:
        return self.log.number

    # --- committing --------------------------------------------------------------------------------------------------

    def put_one(self, key: bytes, body: bytes, partial: int, holding: bool = False) -> int | None:
        log = self.log
        try:
            if ARMED:
                number = log.commit([(key, body, partial)], holding, [], log.stamp(), _reach_applied)
            else:
                number = log.put(key, body, partial, holding)
        except (ValueError, RuntimeError, OSError) as error:
            raise self.typed(error) from error
        if number <= 0:
            return None
        if ARMED:
            reach("commit-done")
            self._state.words[BELL] = number & 0xFFFFFFFF
        self.is_due = log.is_due
        return number

    @_typed
    def commit(
        self, batch: Batch, partial: dict[bytes, int], host: DeltaHost, *, holding: bool, helped: bool
    ) -> int | None:
        log = self.log
        rows = [(key, b"", records.checksum(key, b"")) for key in batch.deletes]
        rows += [(key, body, partial[key]) for key, body in batch.puts.items()]
        while True:
            stamp = log.stamp()
            if batch.checks:
                self._check(batch, host)
            is_mine = holding or host.is_held_by_this_thread()
            checked = list(batch.checks)
            if ARMED or batch.blobs:
                with ExitStack() as stack:
                    before = functools.partial(_before_publishing, stack, batch, host)
                    number = log.commit(rows, is_mine, checked, stamp, before)
            else:
                number = log.commit(rows, is_mine, checked, stamp, None)
            if number > 0:
                self.is_due = log.is_due
                return number
            if number == _CHANGED:
                continue
            self._refuse(number, helped=helped)
            return None

    def _check(self, batch: Batch, host: DeltaHost) -> None:
        """Compare the versions that the batch names. The log refuses the commit if one of them has changed since."""
        found = {key: self.log.get(key) for key in batch.checks}
        with host.base.begin() as reading:
            flushed = host.flushed_by(reading)
            batch.refuse_conflicts(lambda key: version_of(found[key], reading.get(physical(key)), flushed))

    def _refuse(self, reason: int, *, helped: bool) -> None:
        """Return if another one holds the exclusive lock; otherwise raise what :meth:`Delta.commit` raises."""
        if reason == _MOVED:
            raise Moved
        if reason == _FULL and not helped:
            raise Behind
        if reason in (_FULL, _NO_SPACE):
            raise DeltaFull(for_good=False)
        if reason == _NESTED:
            raise self._nested()

    @contextmanager
    def numbering(self) -> Iterator[int]:
        yield self._take_number()

    @_typed
    def _take_number(self) -> int:
        return self.log.take_number()

    @_typed
    def barrier(self) -> None:
        self.log.barrier()

    def is_quiet(self) -> bool:
        self.barrier()  # commits take less than a microsecond, so it is quiet at once
        return True

    @contextmanager
    def retiring(self) -> Iterator[int]:
        """The exclusive lock keeps commits out; this waits for those that are under way."""
        self.barrier()
        yield self.log.number

    # --- reading -----------------------------------------------------------------------------------------------------

    @_typed
    def get(self, key: bytes) -> bytes | None:
        return self.log.get(key)

    @_typed
    def rows(self, start: bytes, stop: bytes) -> list[tuple[bytes, bytes]]:
        return self.log.rows(start, stop)

    @_typed
    def has_more(self, start: bytes, stop: bytes, limit: int) -> bool:
        return self.log.count(start, stop) > limit

    @_typed
    def everything(self) -> list[tuple[bytes, bytes]]:
        return self.log.rows(b"", None)

    # --- changes -----------------------------------------------------------------------------------------------------

    @_typed
    def commits(self, after: int, places: Places = NotRead, most: int = 1 << 62) -> DeltaCommits:
        rows, reached = self.log.changes(after, places, most)
        return DeltaCommits(list(grouped(rows, clock.now())), 0, reached)

    def told_after(self) -> int:
        return 0

    @_typed
    def last_commit(self) -> int:
        return self.log.last()

    # --- flushing ----------------------------------------------------------------------------------------------------

    @contextmanager
    def taking(self, flushed: int) -> Iterator[Taken]:
        rows, last = self._swap(flushed)
        yield Taken(last, rows, _nothing)

    @_typed
    def _swap(self, flushed: int) -> tuple[list[tuple[bytes, bytes]], int]:
        return self.log.swap(flushed)

    def remove(self, flushed: int, nonce: bytes, host: DeltaHost) -> None:
        """Under the base's write lock no other process empties a segment."""
        base, state = host.base, self._state
        with translated(self.path, "empty"), base.writing() as transaction:
            if not state.is_of(self.identity):
                return
            row = unpack_row(transaction.get(ROW_KEY), host.path)
            base.turns.settle(transaction)
            state.confirm(row.nonce)
            if ARMED:
                reach("empty-begun")
            self._remove(row.sequence)

    @_typed
    def _remove(self, flushed: int) -> None:
        self.log.remove(flushed)


def _before_publishing(stack: ExitStack, batch: Batch, host: DeltaHost) -> None:
    """Called under the mutex when nothing can go wrong any more: the blobs are kept from here on."""
    if ARMED:
        reach("commit-applied")
    if batch.blobs:
        stack.enter_context(host.naming(batch.blobs))


def _above_the_standard_ones(descriptor: int) -> int:
    """A descriptor above those of the standard streams. If a program has closed one, messages would go into the log."""
    if descriptor > _STANDARD:
        return descriptor
    try:
        return duplicate_above(descriptor, _STANDARD + 1)
    finally:
        os.close(descriptor)


def _reach_applied() -> None:
    reach("commit-applied")


def _nothing() -> None:
    pass
