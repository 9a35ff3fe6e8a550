"""The deltas of an open shelf in one process: opening, making and replacing them.

The first commit makes the delta. A delta whose map is used up is replaced. docs/design.md, "Base and delta".
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from coshelf import native, records
from coshelf.engines.lmdb.delta.delta import DeltaFull
from coshelf.engines.lmdb.delta.files import decide_kind, make_delta_files, remove_delta_files
from coshelf.engines.lmdb.delta.log import LOG_SIZES, LogDelta
from coshelf.engines.lmdb.delta.log_file import read_log
from coshelf.engines.lmdb.delta.state import DIRECT, LOG, MAPPED, PLAIN, DeltaIdentity, DeltaState
from coshelf.engines.lmdb.delta.table import TableDelta
from coshelf.engines.lmdb.files.sidecar_directory import delta_path
from coshelf.engines.lmdb.locks.turns import again_when_overtaken
from coshelf.engines.lmdb.shelf_row import ROW_KEY, ShelfRow, unpack_row
from coshelf.errors import DamagedShelf, StorageError, StorageFull
from coshelf.system.failpoints import ARMED, reach
from coshelf.system.files.flags import ASIDE

if TYPE_CHECKING:
    from coshelf.engines.lmdb.delta.delta import Delta
    from coshelf.engines.lmdb.files.sidecars import Files
    from coshelf.engines.lmdb.lmdb_file import BaseFile, LmdbFile

__all__ = ["Deltas"]

# The sizes of maps for a new table. If address space is limited (ulimit -v), the smaller one is tried.
_TABLE_MAPS = (128 << 20, 32 << 20)
_KINDS = (LOG, MAPPED, PLAIN)  # in this order they are tried
_NO_ROOM_OR_RIGHT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS)


class Deltas:
    """The deltas that this process has open. ``opening`` gives the lock that it holds while it opens files.

    Attributes:
        state: what the state page says about the delta.
        opened: the delta that this process used last, and before it those that it replaced.
    """

    def __init__(
        self,
        files: Files,
        state: DeltaState,
        row: ShelfRow,
        base: BaseFile,
        opening: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self.path = files.path
        self.state = state
        self.opened: list[Delta] = []
        self._files = files
        self._row = row
        self._base = base
        self._opening = opening

    def lmdb_files(self) -> list[LmdbFile]:
        """The LMDB files that are written here."""
        return [self._base, *(delta for delta in self.opened if isinstance(delta, TableDelta))]

    def open_dirty(self) -> None:
        """Open the delta if it is dirty, so that damage to a delta of dead processes is noticed at once.

        A clean delta is opened at its first use. The first commit makes a missing one.
        """
        if not self.state.is_clean() or (self._files.alone and self.state.is_made):
            self._convert(alone=self._files.alone)
            if not self.opened:
                self.opened.append(self._open_known(alone=self._files.alone))

    def current(self) -> Delta:
        """The delta, opened if this process has not opened it yet. Another process may have replaced the one before."""
        self._convert(alone=False)
        with self._opening():
            if not self.opened or not self.state.is_of(self.opened[-1].identity):
                self.opened.append(self._open_known())
            return self.opened[-1]

    def end_stores(self) -> None:
        """Have every commit from here on ask whether the shelf is open."""
        for delta in self.opened:
            delta.end_stores()

    def close(self) -> None:
        for delta in self.opened:
            delta.close()
        self.opened.clear()

    def _open_known(self, *, alone: bool = False) -> Delta:
        """Open the delta that the state page names. Try again if another process replaces the delta meanwhile."""
        state = self.state
        while True:
            identity = state.identity()
            try:
                delta = _opened(self.path, identity, state)
            except StorageError:
                if state.identity() == identity:
                    raise
                continue
            if delta.is_in_place() and state.identity() == identity:
                try:
                    self._verify(delta, alone=alone)
                except BaseException:
                    delta.close()
                    raise
                return delta
            delta.close()
            if not delta.is_in_place():
                remove_delta_files(self.path, identity.generation)

    def _verify(self, delta: Delta, *, alone: bool) -> None:
        self._files.refuse_exposed(delta.path, delta.descriptor)
        if isinstance(delta, LogDelta):
            delta.verify(alone=alone)
        # LMDB takes an emptied file for a new one. Its commits would repeat numbers of commits in the base.
        if delta.last_number() < self._row.sequence:
            raise DamagedShelf(f"{delta.path} is damaged: the base has commits that it never had")

    @again_when_overtaken
    def make(self) -> bool:
        """Make the delta, unless a process has made it. Return whether it exists. The caller is about to commit.

        It is not made if there is no space for it, or if this user may not make files. Then each commit goes straight
        to the base.
        """
        base, state = self._base, self.state
        if state.is_made:
            return True
        with base.writing() as transaction:
            # Keep out signal handlers: one that committed now would make the same files.
            base.turns.settle(transaction)
            if state.is_made:
                return True
            row = unpack_row(transaction.get(ROW_KEY), self.path)
            kind = decide_kind(self.path, self._files.status)
            with self._opening():  # so that no fork and no other thread finds it half made
                delta = None if kind == DIRECT else self._try_to_make(row, kind)
                if delta is None:
                    return False
                if ARMED:
                    reach("delta-made")
                state.announce(row.nonce, row.nonce)
                self._publish(delta)
                if ARMED:
                    reach("delta-published")
        return True

    def _try_to_make(self, row: ShelfRow, kind: int) -> Delta | None:
        try:
            return self._make_files(row.store_id, kind, 0, row.sequence)
        except StorageFull:
            return None
        except OSError as error:
            if error.errno in _NO_ROOM_OR_RIGHT:
                return None
            if isinstance(error, StorageError):
                raise
            raise StorageError(
                error.errno, f"cannot make a file beside the shelf: {error.strerror}", error.filename or self.path
            ) from error

    def _convert(self, *, alone: bool) -> None:
        """Where this process cannot use a log: put a table in its place."""
        if not native.shares_memory and self.state.identity().kind == LOG:
            self._replace_log(alone=alone)

    @again_when_overtaken
    def _replace_log(self, *, alone: bool) -> None:
        base, state = self._base, self.state
        with base.writing() as transaction:
            base.turns.settle(transaction)
            identity = state.identity()
            if identity.kind != LOG:
                return
            path = delta_path(self.path, identity.generation)
            descriptor = os.open(path, os.O_RDWR | ASIDE)
            try:
                self._files.refuse_exposed(path, descriptor)
                flushed = unpack_row(transaction.get(ROW_KEY), self.path).sequence
                if alone:
                    self._copy_log(descriptor, path, identity, flushed)
                else:
                    from coshelf.engines.lmdb.delta.conversion import keeping_commits_out

                    with keeping_commits_out(descriptor, path):
                        self._copy_log(descriptor, path, identity, flushed)
            finally:
                os.close(descriptor)
        remove_delta_files(self.path, identity.generation)

    def _copy_log(self, descriptor: int, path: str, identity: DeltaIdentity, flushed: int) -> None:
        found = read_log(descriptor, path)
        if found.problem is not None:
            raise DamagedShelf(f"{path} is damaged: {found.problem[1]}")
        table = self._make_files(identity.store_id, MAPPED, identity.generation + 1, found.number)
        try:
            assert isinstance(table, TableDelta)
            table.fill([(row.key, row.record) for row in found.rows.values()])
            table.take_changes(
                ((records.version(row.record), row.key, row.record) for row in found.everything), flushed
            )
        except BaseException as error:
            table.close()
            remove_delta_files(self.path, identity.generation + 1)
            if isinstance(error, DeltaFull):
                raise StorageFull(f"cannot open {self.path}: no space left for another delta") from error
            raise
        self._publish(table)

    def make_next(self, old: Delta, number: int) -> None:
        """Replace the delta ``old`` by a new one. The caller holds the write locks of base and delta."""
        before = old.identity
        delta = self._make_files(before.store_id, before.kind, before.generation + 1, number)
        self.state.clean()
        self._publish(delta)
        remove_delta_files(self.path, before.generation)

    def _make_files(self, store_id: bytes, kind: int, generation: int, offset: int) -> Delta:
        try:
            return self._open_new(
                make_delta_files(self.path, self._files.status, store_id, kind, generation, offset)
            )  # fmt: skip
        except BaseException:
            remove_delta_files(self.path, generation)
            raise

    def _publish(self, delta: Delta) -> None:
        """Name a new delta in the state page, so that all processes use it."""
        with self._opening():  # so that no other thread opens it a second time
            self.opened.append(delta)
            self.state.set_identity(delta.identity)

    def _open_new(self, identity: DeltaIdentity) -> Delta:
        """Open the empty file of a new delta: of the wanted kind and with a large map, if this machine can."""
        for kind in _KINDS[_KINDS.index(identity.kind) :]:
            for size in LOG_SIZES if kind == LOG else _TABLE_MAPS:
                try:
                    return self._open_empty(identity._replace(kind=kind, map_size=size))
                except StorageFull:
                    raise
                except StorageError as error:
                    failure = error
                    self._empty(identity)
        raise failure

    def _open_empty(self, identity: DeltaIdentity) -> Delta:
        if identity.kind == LOG:
            return self._open_empty_log(identity)
        table = TableDelta(self.path, identity, self.state)
        try:
            table.take_first_space()
        except BaseException:
            table.close()
            raise
        return table

    def _open_empty_log(self, identity: DeltaIdentity) -> Delta:
        path = delta_path(self.path, identity.generation)
        try:
            os.truncate(path, identity.map_size)
        except OSError as error:
            raise StorageError(error.errno, f"cannot make the delta: {error.strerror}", path) from error
        log = LogDelta(self.path, identity, self.state)
        try:
            log.make()
        except OSError as error:
            log.close()
            raise StorageFull(f"cannot open {self.path}: no space left for its delta") from error
        return log

    def _empty(self, identity: DeltaIdentity) -> None:
        """Empty the file of a new delta before the next attempt: LMDB may have begun to write to it."""
        path = delta_path(self.path, identity.generation)
        try:
            os.truncate(path, 0)
        except OSError as error:
            raise StorageError(error.errno, f"cannot empty the delta that was begun: {error.strerror}", path) from error


def _opened(path: str, identity: DeltaIdentity, state: DeltaState) -> Delta:
    return LogDelta(path, identity, state) if identity.kind == LOG else TableDelta(path, identity, state)
