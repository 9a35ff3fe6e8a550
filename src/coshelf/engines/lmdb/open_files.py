"""The open files of a shelf in one process. All code that reads and writes them uses this object.

LMDB must not be closed while a thread is in one of its calls, and some of these calls let other threads run. So a
thread that calls LMDB is *inside*: between ``enter`` and ``leave``. :mod:`environment` opens and closes the files.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol

from coshelf.contract import Doorbell, PollingBell
from coshelf.engines.closed import closed_shelf
from coshelf.engines.lmdb.delta.deltas import Deltas
from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.files.sidecars import Files, open_files
from coshelf.engines.lmdb.files.state_page import Bell, StatePage
from coshelf.engines.lmdb.files.use_table import UseTable, make_table, open_table
from coshelf.engines.lmdb.lmdb_file import BaseFile, LmdbFile
from coshelf.engines.lmdb.locks.exclusive import ExclusiveLock
from coshelf.engines.lmdb.locks.lending import lend
from coshelf.engines.lmdb.locks.turns import again_when_overtaken
from coshelf.engines.lmdb.order import is_full, limits_in
from coshelf.engines.lmdb.registry import REGISTRY
from coshelf.engines.lmdb.shelf_row import BOUNDED, ROW_KEY, ShelfRow, unpack_row
from coshelf.engines.lmdb.watching.eras import begin_era
from coshelf.engines.whereabouts import OpenName
from coshelf.errors import CoshelfError, ReadOnlyShelf, ShelfClosed, TransactionInProgress
from coshelf.system.threads.cooperation import this_thread
from coshelf.system.threads.living import Living

if TYPE_CHECKING:
    import lmdb

    from coshelf.engines.lmdb.delta.delta import Delta
    from coshelf.engines.lmdb.delta.state import DeltaState
    from coshelf.values.blobs import NewBlob
    from coshelf.values.limits import Limits

__all__ = ["NOT_SEEN", "OpenFiles"]

NOT_SEEN: Final = (None, 0)
"""What a process has seen of the table of uses before it looked."""


class KeptTransaction(Protocol):
    """A read transaction of the base that outlives one call."""

    since: float

    @property
    def alive(self) -> bool: ...

    def close(self) -> None: ...

    def abandon(self) -> object: ...


class OpenFiles(abc.ABC):
    """An open shelf: its base, and its delta if it has one.

    Attributes:
        files: the file and the state page.
        row: the shelf row, as it was when the files were opened.
        registered: whether writers know of the readers of this process. If not, each read must be confirmed.
        has_damage: whether records are damaged.
        reads_plainly: whether a read needs neither to be confirmed nor to be checked for damage.
        delta_state: what the state page says about the delta; None if there is no delta.
        flush_interval: the shortest interval that a handle asked for.
        may_write: whether a handle was opened for writing.
        is_resting: whether the interpreter is ending. Then the thread that makes a commit also flushes it.
        seen_uses: the table of uses, if the shelf is bounded, and this process has it open; and what the state page
            said about that table when this process looked at it. It is one attribute because Python finds attributes
            more slowly in an object that has more than 30.
        users: the number of handles that have the shelf open.
        name: the file's name. It tells whether the name still leads to the open file.
    """

    files: Files
    row: ShelfRow

    def __init__(self, path: str, *, timeout: float, trusted: bool) -> None:
        self.path = path
        self._trusted = trusted
        self._timeout = timeout
        self.flush_interval = float("inf")
        self.may_write = False
        self.is_resting = False
        self.users = 0
        self._tracked: Living[KeptTransaction] = Living()
        self._base: BaseFile | None = None
        self._outgoing: BaseFile | None = None  # that the threads inside still use, while the file is to be replaced
        self._deltas: Deltas | None = None
        self._opened_deltas: list[Delta] = []  # the list in self._deltas, or an empty one
        self.delta_state: DeltaState | None = None
        self.seen_uses: tuple[UseTable | None, int] = NOT_SEEN
        self._inside: list[None] = []
        self._block = _Inside(self)
        self._exclusive: ExclusiveLock | None = None
        self.name = OpenName(path, lambda: self.files.descriptor)

    @abc.abstractmethod
    def _renew(self) -> BaseFile:
        """Open the files again, in a process that inherited this object."""

    @abc.abstractmethod
    def _close_unused(self) -> None:
        """Close the files: the last thread has left, and they have no users."""

    def _open(self, *, write: bool) -> None:
        self._deltas, self._opened_deltas, self.delta_state = None, [], None
        self.seen_uses = NOT_SEEN
        self.files = open_files(self.path, write=write, timeout=self._timeout, trusted=self._trusted)
        self.registered = self.files.page is not None
        self.has_damage = self.files.has_damage
        self.reads_plainly = self.registered and not self.has_damage
        try:
            base = BaseFile(self.path, self.files.descriptor, registered=self.registered, others=len(REGISTRY))
            try:
                self.row = self.read_row(base)
                if self.files.page is not None:
                    self.files.page.lock_by(base.lock_descriptor, shows_life=base.shows_life)
                    self._open_delta(self.files.page, base)
                    if self.files.alone:
                        self._begin_limits(self.files.page, base)
                        begin_era(self.files.page.watch, base, self.path)
                if self.files.alone:
                    self.files.share()
                lend(self.files, base.descriptor)
            except BaseException:
                self._close_deltas()
                base.close()
                raise
            if self.files.page is not None and self._exclusive is not None:
                self._exclusive.renew(self.files.page)
            elif self.files.page is not None:
                self._exclusive = ExclusiveLock(self.path, self.files.page, self)
        except BaseException:
            self.files.close()
            raise
        self._base = base

    def _open_delta(self, page: StatePage, base: BaseFile) -> None:
        self._deltas = Deltas(self.files, page.delta, self.row, base, lambda: REGISTRY.lock)
        self._opened_deltas = self._deltas.opened
        self.delta_state = page.delta if page.delta.is_expected else None
        self._deltas.open_dirty()

    # --- limits ------------------------------------------------------------------------------------------------------

    def _begin_limits(self, page: StatePage, base: BaseFile) -> None:
        """Note in the state page what the base has of limits. This process is alone with the shelf."""
        page.note_uses(exist=False)
        page.note_full(is_full=False)
        if self.row.writer_features & BOUNDED:
            with translated(self.path, "read"), base.begin() as transaction:
                limits = limits_in(transaction, self.path)
                page.note_full(is_full=is_full(transaction, limits, self.row, self.path))
            self.make_uses(limits)

    def limits(self) -> Limits:
        """The limits that the base has. The caller is inside."""
        with translated(self.path, "read"), self.base.begin() as transaction:
            return limits_in(transaction, self.path)

    def make_uses(self, limits: Limits) -> None:
        """Make the table of uses, if there is none. The caller holds the base's write lock, or is alone."""
        page = self.page
        if page.uses:
            return
        with contextlib.suppress(OSError):  # no space, or no right to make files: reads are not noted
            make_table(self.path, self.files.status, limits)
            page.note_uses(exist=True)

    def current_uses(self) -> UseTable | None:
        """The table of uses, opened if this process has not opened it yet."""
        page = self.files.page
        table, known = self.seen_uses
        if page is None or known == page.uses:
            return table
        with REGISTRY.lock:
            if self.seen_uses[1] != page.uses:
                there = page.uses
                self.seen_uses = open_table(self.path, self.files.refuse_exposed) if there else None, there
        return self.seen_uses[0]

    def _close_deltas(self) -> None:
        if self._deltas is not None:
            self._deltas.close()

    def lmdb_files(self) -> list[LmdbFile]:
        """The LMDB files that this process has open: base and deltas."""
        base = self._base or self._outgoing
        tables = [delta for delta in self._opened_deltas if isinstance(delta, LmdbFile)]
        return [*tables] if base is None else [base, *tables]

    @property
    def is_open(self) -> bool:
        """Whether this process has the files open. A forked child has not, until it uses the shelf."""
        return self._base is not None

    # --- the files, for a thread that is inside ----------------------------------------------------------------------

    @property
    def base(self) -> BaseFile:
        """The shelf's own file, for a thread that is inside."""
        base = self._base or self._outgoing
        assert base is not None
        return base

    @property
    def page(self) -> StatePage:
        """The state page. Raises :class:`ReadOnlyShelf` in a process that reads without it."""
        if self.files.page is None:
            raise ReadOnlyShelf(f"{self.path} is read by this user without locks and cannot be written")
        return self.files.page

    def read_row(self, base: BaseFile) -> ShelfRow:
        """The shelf row as the base has it now."""
        while True:
            with translated(self.path, "read"), base.begin() as transaction:
                try:
                    return unpack_row(transaction.get(ROW_KEY), self.path)
                except CoshelfError:
                    if base.is_confirmed(transaction):
                        raise

    @property
    def deltas(self) -> Deltas:
        """The deltas. Raises :class:`ReadOnlyShelf` in a process that reads without locks."""
        if self._deltas is None:
            raise ReadOnlyShelf(f"{self.path} is read by this user without locks and cannot be written")
        return self._deltas

    def make_delta(self) -> bool:
        """See :meth:`Deltas.make`."""
        if not self.deltas.make():
            return False
        self.current_delta()  # opened now, since a caller may need it while it holds the base's write lock
        return True

    def current_delta(self) -> Delta:
        """The delta, once it is made. If another process has replaced it, the new one is opened."""
        opened, state = self._opened_deltas, self.delta_state
        if opened and state is not None and state.is_of(opened[-1].identity):
            return opened[-1]
        return self.deltas.current()

    @property
    def latest_delta(self) -> Delta | None:
        """The delta that this process used last, if it has used one."""
        return self._opened_deltas[-1] if self._opened_deltas else None

    @property
    def has_delta(self) -> bool:
        """Whether commits go to a delta, if there is space for one. The first commit makes it."""
        return self.delta_state is not None

    @property
    def is_delta_made(self) -> bool:
        return self.delta_state is not None and self.delta_state.is_made

    def flushed_by(self, transaction: lmdb.Transaction[bytes]) -> int:
        """The number up to which the base has every commit, as a transaction of the base sees it."""
        return unpack_row(transaction.get(ROW_KEY), self.path).sequence

    @abc.abstractmethod
    def naming(self, blobs: Iterable[NewBlob]) -> AbstractContextManager[None]:
        """For a block that commits a batch with these blobs."""

    # --- locks and the bell -------------------------------------------------------------------------------------------

    @property
    def exclusive(self) -> ExclusiveLock:
        """The exclusive lock. Raises :class:`ReadOnlyShelf` in a process that reads without locks."""
        if self._exclusive is None:
            raise ReadOnlyShelf(f"{self.path} is read by this user without locks and cannot be written")
        return self._exclusive

    @property
    def exclusive_or_none(self) -> ExclusiveLock | None:
        return self._exclusive

    def is_held_by_others(self) -> bool:
        """Whether another thread or process holds the exclusive lock, or died with it."""
        return self.exclusive.is_others()

    def is_held_by_this_thread(self) -> bool:
        """Whether this thread holds the exclusive lock."""
        return self.exclusive.is_mine()

    def bell(self) -> Doorbell:
        """The doorbell. A process that cannot map the state page polls instead."""
        return Bell(lambda: self.page, self.inside) if self.registered else PollingBell()

    def wake(self) -> None:
        """Wake the threads that wait at the bell: their shelf may have been closed."""
        if self.registered and self._base is not None:
            with contextlib.suppress(ShelfClosed), self.inside():
                self.page.wake()

    def make_way(self) -> None:
        """End the write transactions of this thread that have not settled. What was interrupted is done again."""
        for file in self.lmdb_files():
            with contextlib.suppress(TransactionInProgress):
                file.turns.make_way(this_thread())

    def is_quiet(self) -> bool:
        """Whether no commit is under way. A commit that begins after this call sees the flag of the exclusive lock.

        The caller, who has set that flag, is inside. This may be False although it is quiet.
        """
        delta, state = self.latest_delta, self.delta_state
        return delta is not None and state is not None and state.is_of(delta.identity) and delta.is_quiet()

    @again_when_overtaken
    def barrier(self, *, after_death: bool) -> None:
        """Wait for the commits under way.

        After a death, take the base's write lock, too. LMDB makes a commit visible only after it is durable. So a dead
        process may have left a commit that becomes visible when the next writer takes the lock, and no read before that
        shows it.
        """
        if after_death or not self.is_delta_made:
            with self.base.writing():  # the caller is inside, like all steps of the exclusive lock
                pass
        if self.is_delta_made:  # asked again: a commit that this waited for may have made the delta
            self.current_delta().barrier()

    def settle_dead_commits(self) -> None:
        """Make every commit visible that a process made before it died. The caller is inside, and may write."""
        self.barrier(after_death=True)

    # --- being inside ------------------------------------------------------------------------------------------------

    def enter(self) -> BaseFile:
        """Keep the files open until :meth:`leave`. A process that inherited them opens them again."""
        self._inside.append(None)
        try:
            if not self.users:
                raise closed_shelf(self.path)
            base = self._base or self._renew()
        except BaseException:
            self.leave()
            raise
        return base

    def leave(self) -> None:
        try:  # not contextlib.suppress, which would cost every get a tenth of its time
            self._inside.pop()
        except IndexError:  # a signal handler forked meanwhile, and this is the child
            return
        if not self.users and not self._inside:
            self._close_unused()

    def inside(self) -> _Inside:
        """A context manager: the thread is inside for the block."""
        return self._block

    @property
    def is_busy(self) -> bool:
        """Whether a thread is inside."""
        return bool(self._inside)

    def track(self, transaction: KeptTransaction) -> None:
        self._tracked.add(transaction)

    def read_since(self) -> list[float]:
        """For each read transaction that is kept: since when, by the monotonic clock."""
        return [transaction.since for transaction in list(self._tracked) if transaction.alive]


class _Inside:
    """The context manager of :meth:`OpenFiles.inside`. All blocks share one object: the files count who is inside."""

    __slots__ = ("_files",)

    def __init__(self, files: OpenFiles) -> None:
        self._files = files

    def __enter__(self) -> None:
        self._files.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._files.leave()
