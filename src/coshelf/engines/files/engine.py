"""The engine: reads, and commits by renaming whole files over others."""

from __future__ import annotations

import dataclasses
import os
import stat
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial

from coshelf import records
from coshelf.contract import (
    ABSENT,
    Batch,
    Capabilities,
    Changes,
    Doorbell,
    Entry,
    OpenOptions,
    PollingBell,
    Position,
    Snapshot,
)
from coshelf.engines.directory_lock import DirectoryLock, flocked
from coshelf.engines.exclusive import ExclusiveEngine
from coshelf.engines.files.changes import Bells
from coshelf.engines.files.history import FilesChanges, FilesHistory
from coshelf.engines.files.layout import Layout, PathsAlone
from coshelf.engines.files.locked import LockedDirectory, LockedFile
from coshelf.engines.files.names import is_long, trailer
from coshelf.engines.files.observing import observer_of
from coshelf.engines.files.paths import Parts, parts_of
from coshelf.engines.files.root import Root, mark_root
from coshelf.engines.files.staging import Staging
from coshelf.engines.files.stamps import SECOND, Stamp, stamp_after, stamp_of, version_of
from coshelf.engines.files.store_ids import store_id_of
from coshelf.engines.files.tree import Tree, is_missing, mode_of_directories
from coshelf.engines.files.turn_table import FilesTableHome
from coshelf.engines.memory import TableSnapshot
from coshelf.engines.sorted_table import SortedTable
from coshelf.engines.turn_table.table import TableTurns
from coshelf.errors import (
    DamagedRecord,
    NotAShelf,
    Unsupported,
    UntrustedValue,
)
from coshelf.keys import FIRST, LAST, decode, encode, prefix_end, shown
from coshelf.system.file_systems.directory_changes import are_reported
from coshelf.system.file_systems.durable import sync, sync_file_system
from coshelf.system.file_systems.kinds import shared
from coshelf.system.files.directories import open_directory, remove_file
from coshelf.system.files.os_errors import translated
from coshelf.system.locks.whole_file import EXCLUSIVE, SHARED
from coshelf.trust import marks
from coshelf.trust.exposure import exposure_above, exposure_of
from coshelf.trust.provenance import unmarked

__all__ = ["FilesEngine"]

_CAPABILITIES = Capabilities(
    ordered="sorts",
    snapshots="copies",
    atomic="none",
    exclusive="processes",
    cheap_count=False,
    changes="latest",
)
_OLD = bytes([records.OLD_PICKLE])
_OTHERS_SEARCH = stat.S_IXGRP | stat.S_IXOTH
_MANY = 100  # files whose content is made durable one by one


class FilesEngine(ExclusiveEngine):
    """Entries in the files of a directory.

    With ``as_pickleshare`` it behaves as pickleshare. Every file is an entry, and its path is the key. Any directory
    may be emptied. It is not an error to close a shelf whose directory was deleted meanwhile.
    """

    name = "files"
    keeps_settings = False  # a file holds a bare pickle, as with pickleshare
    _lock: DirectoryLock

    def __init__(self, path: str, descriptor: int, options: OpenOptions, *, as_pickleshare: bool = False) -> None:
        self.where = path
        self._options = options
        self._as_pickleshare = as_pickleshare
        self._tree = Tree(path, descriptor)
        self._root = Root(self._tree)
        self._prepare_root()
        self._layout = PathsAlone(self._tree) if as_pickleshare else Layout(self._tree)
        self._staging = Staging(path, descriptor)
        self._is_shared = shared(path) is not None
        self._batch_lock = self._lock_beside("batch.lock") or LockedDirectory(self._staging.shared)
        writers = self._lock_beside("writers.lock") or LockedDirectory(self._root_again)
        self._lock = DirectoryLock(descriptor, path, writers)
        self._bells = Bells(self._tree)
        self._turns = TableTurns(FilesTableHome(self, self._staging, descriptor, options.timeout, self._refuse_use))
        self._histories: dict[int, FilesHistory] = {}  # by pid: a forked child begins its own
        self._unsynced: set[Parts] = set()
        self._has_written = False
        self._closed = False
        self._guards = False
        self.capabilities = dataclasses.replace(
            _CAPABILITIES,
            watch="doorbell" if not self._is_shared and are_reported() else "poll",
            turns=None if self._is_shared else "processes",
            acknowledged="durable" if options.durability == "commit" else "machine",
        )

    def _prepare_root(self) -> None:
        """Mark a new or empty directory as a shelf's. Raises :class:`NotAShelf` for flag "n" on any other directory."""
        if not self._as_pickleshare and not self._root.is_marked() and self._options.flag != "r":
            if self._root.is_empty():
                self._root.mark(self._options.mode)
            elif self._options.flag == "n":
                self._root.refuse_unmarked()
        self._tree.twins.learn(self._tree.descriptor)

    def _root_again(self) -> int:
        try:
            return open_directory(".", self._tree.descriptor)
        except FileNotFoundError:
            self._root.refuse_gone()
            raise

    def is_in_place(self) -> bool:
        """Whether the path still leads to this directory."""
        return self._root.is_in_place()

    def close_when_unused(self) -> None:
        """Close it, without a sync, when nothing refers to it any more. Other threads may use it now."""
        weakref.finalize(self, _release, self._tree, self._bells)

    def _lock_beside(self, name: str) -> LockedFile | None:
        """What to lock on a file system that several kernels use."""
        return LockedFile(self._staging.shared, name) if self._is_shared else None

    def _translated(self, doing: str) -> AbstractContextManager[None]:
        return translated(doing, "the shelf", self.where)

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Entry | None:
        with self._translated("read"), self._tree.in_use():
            for parts in self._layout.places(key):
                entry = self._entry(key, parts)
                if entry is not None:
                    return entry
        return None

    def _entry(self, key: bytes, parts: Parts) -> Entry | None:
        try:
            found = self._tree.read(parts, inspect=partial(self._refuse_exposed, key, parts) if self._guards else None)
        except DamagedRecord as error:
            if self._counts(parts):
                raise DamagedRecord(str(error), decode(key)) from None
            return None
        if found is None:
            return None
        data, status = found
        body = data if data[0] == records.PICKLE else _OLD + data
        return Entry(records.seal(body, records.checksum(key, body), 0), version_of(status))

    def _counts(self, parts: Parts) -> bool:
        """Whether a file is an entry. In a directory that is not a shelf's own, other files hold no pickle."""
        return self._as_pickleshare or self._root.is_marked() or self._tree.holds_pickle(parts) is not False

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        with self._instant():
            return [self.get(key) for key in keys]

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        with self._translated("read"), self._tree.in_use(), self._instant():
            found = sorted(self._walk(start, stop), reverse=reverse)
            if keys_only:
                return ((key, None) for key, _ in found)
            return _in_turn([(key, self._attempt(key, parts)) for key, parts in found])

    def _walk(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, Parts]]:
        found = self._layout.walk(start, stop)
        if self._as_pickleshare or self._root.is_marked():
            return found
        return ((key, parts) for key, parts in found if self._counts(parts))

    def others(self) -> list[str]:
        """The paths of files that are not entries: those without a pickle, unless the engine made the directory."""
        with self._translated("read"), self._tree.in_use():
            return sorted("/".join(parts) for _, parts in self._layout.walk(FIRST, LAST) if not self._counts(parts))

    def _attempt(self, key: bytes, parts: Parts) -> Entry | DamagedRecord | None:
        try:
            return self._entry(key, parts)
        except DamagedRecord as error:
            return error

    def count(self, start: bytes, stop: bytes) -> int:
        with self._translated("read"), self._tree.in_use(), self._instant():
            return sum(1 for _ in self._walk(start, stop))

    def snapshot(self) -> Snapshot:
        table = SortedTable()
        for key, entry in self.scan(FIRST, LAST):
            assert entry is not None
            table.put(key, entry)
        return TableSnapshot(table)

    @contextmanager
    def _instant(self) -> Iterator[None]:
        """Keeps a reader of several files from seeing a part of a batch."""
        with ExitStack() as stack:
            if not self._lock.is_mine():
                # Before the first batch there is nothing to lock. If another thing is in its place, it is ignored.
                with suppress(FileNotFoundError, NotAShelf, Unsupported):
                    stack.enter_context(flocked(self._batch_lock, SHARED, self._options.timeout, self.where))
            yield

    def _store_id(self) -> bytes:
        return store_id_of(self._tree.descriptor)

    def revoke(self) -> bool:
        information = os.fstat(self._tree.descriptor)
        return marks.unmark(self._store_id(), information.st_dev, information.st_ino)

    def distrust(self) -> str | None:
        information = os.fstat(self._tree.descriptor)
        store_id = self._store_id()
        if not store_id or not marks.is_marked(store_id, information.st_dev, information.st_ino, None):
            return unmarked(self.where, store_id)
        return self.exposure()

    def exposure(self) -> str | None:
        information = os.fstat(self._tree.descriptor)
        return exposure_of(self.where, information, self._tree.descriptor) or exposure_above(self.where, information)

    def guard(self) -> None:
        # If only this user may search the root, other users cannot reach the files below it.
        self._guards = bool(os.fstat(self._tree.descriptor).st_mode & _OTHERS_SEARCH)

    def _refuse_exposed(self, key: bytes, parts: Parts, descriptor: int, status: os.stat_result) -> None:
        """Raise :class:`UntrustedValue` for a file that other users can write: directories may differ in that."""
        name = decode(key)
        reason = exposure_of(f"{self.where}/{'/'.join(parts)}", status, descriptor)
        if reason is not None:
            raise UntrustedValue(
                f"the value for key {shown(name)}: {reason}\n"
                "  hint: open it with trust=False for plain data, or with trust=True if you trust its writer",
                "",
                name,
            )

    def trust(self) -> None:
        mark_root(self._tree.descriptor, self.where, os.fstat(self._tree.descriptor).st_mode & 0o777)

    def doorbell(self, key: bytes) -> Doorbell:
        if self.capabilities.watch == "doorbell":
            with self._translated("watch"), self._tree.in_use():
                return self._bells.new(self._layout.possible(key))
        return PollingBell()

    def position(self) -> Position:
        with self._translated("watch"), self._tree.in_use():
            return self._observed().position()

    def changes(self, ranges: Sequence[tuple[bytes, bytes]], since: Position) -> Changes:
        with self._translated("watch"), self._tree.in_use():
            return FilesChanges(self._observed(), ranges, since)

    def _observed(self) -> FilesHistory:
        """The changes since the first call in this process."""
        found = self._histories.get(os.getpid())
        if found is None:
            by_looking = self.capabilities.watch == "poll"
            observer = observer_of(self._tree, self._layout, by_looking=by_looking)
            made = FilesHistory(observer, self._has, self._root.refuse_gone, self.where)
            found = self._histories.setdefault(os.getpid(), made)
            if found is not made:  # another thread was faster
                made.close()
        return found

    def _has(self, key: bytes) -> bool:
        found = self._layout.find(key)
        return found is not None and self._counts(found[0])

    def paths(self, prefix: str = "") -> list[str]:
        """The keys below a prefix, sorted, as paths."""
        start = encode(prefix)
        return ["/".join(parts) for _, parts in self._paths(start, prefix_end(start))]

    def _paths(self, start: bytes, stop: bytes) -> list[tuple[bytes, Parts]]:
        with self._translated("read"), self._tree.in_use(), self._instant():
            return sorted(self._walk(start, stop))

    def stamp(self, key: bytes) -> Stamp | None:
        """A value that is another one after any program has changed the file of a key; None if there is no file."""
        found = self._layout.find(key)
        return None if found is None else stamp_of(found[1])

    def stamps(self, directory: str) -> dict[str, Stamp]:
        """The keys of the files in a directory, which ends with a slash, and their stamps."""
        with self._translated("read"), self._tree.in_use(), self._instant():
            found = self._tree.files_in(parts_of(encode(directory.removesuffix("/"))))
        return {directory + name: stamp_of(status) for name, status in found.items()}

    def age(self, key: bytes) -> float:
        """Seconds since the file of a key was last changed."""
        found = self.stamp(key)
        return 0.0 if found is None else time.time() - found[3] / SECOND

    # --- writing -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self, timeout: float) -> Iterator[None]:
        with self._tree.in_use():
            if self._is_shared:
                with self._translated("write"):
                    os.close(self._staging.shared(make=True))
            with self._lock.hold(timeout):
                yield

    def _apply_alone(self, batch: Batch) -> str:
        return self._lock.committing(self._commit, batch)

    def _commit(self, batch: Batch) -> str:
        with self._translated("write"):
            bodies = {key: _data(body) for key, body in batch.puts.items()}
            self._root.refuse_gone()
            self._has_written = True
            batch.refuse_conflicts(self._version)
            leaving = self._leaving(batch)
            homes = self._layout.homes(bodies, leaving)
            puts = {parts: _content(parts, key, bodies[key]) for key, (parts, _) in homes.items()}
            leaving -= puts.keys()
            for parts, status in homes.values():
                if status is not None:
                    self._refuse_foreign(parts)
            replaced = [*homes.values(), *((parts, None) for parts in leaving)]
            stamp = stamp_after(self._time(parts, status) for parts, status in replaced)
            try:
                self._rename(puts, leaving, stamp)
            except FileNotFoundError:
                self._root.refuse_gone()
                raise
            self._has_changed(puts.keys() | leaving)
        return str(stamp)

    def _leaving(self, batch: Batch) -> set[Parts]:
        """The files that a batch removes. Raises :class:`NotAShelf` if one of them may not be."""
        leaving = {parts for key in batch.deletes for parts in self._layout.places(key) if self._refuse_foreign(parts)}
        cleared = {
            parts
            for start, stop in batch.clears
            for _, parts in self._layout.walk(start, stop, shadowed=True)
            if self._tree.holds_pickle(parts)
        }
        if cleared and not self._as_pickleshare:
            self._root.refuse_unmarked()
        return leaving | cleared

    def _rename(self, puts: dict[Parts, bytes], leaving: set[Parts], stamp: int) -> None:
        """Write the files of a batch. A reader of several files sees all of them or none."""
        mode, durable = self._options.mode, self._options.durability == "commit"
        with self._staging.open() as staging:
            for parts, data in puts.items():
                staging.write(parts, data, stamp, mode, durable)
            with flocked(self._batch_lock, EXCLUSIVE, self._options.timeout, self.where):
                for parts in leaving:
                    self._remove(parts)
                for parts in puts:
                    with self._tree.directory(parts[:-1], make=mode_of_directories(mode)) as parent:
                        staging.place(parts, parent)

    def _has_changed(self, changed: set[Parts]) -> None:
        if self._options.durability == "commit":
            self._sync_names(changed)
        elif len(self._unsynced) <= _MANY:
            self._unsynced |= changed

    def _version(self, key: bytes) -> object:
        found = self._layout.find(key)
        return ABSENT if found is None else version_of(found[1])

    def _refuse_foreign(self, parts: Parts) -> bool:
        """Whether there is a file. Raises :class:`NotAShelf` for one that holds no pickle."""
        holds_pickle = self._tree.holds_pickle(parts)
        if holds_pickle is False:
            raise NotAShelf(f"the file {'/'.join(parts)!r} in {self.where} holds no pickle; it has not been changed")
        return holds_pickle is not None

    def _time(self, parts: Parts, status: os.stat_result | None) -> int:
        """When the file at a path last changed. If there is no file, when one could have been deleted."""
        found = status or self._tree.look(parts)
        if found is None:
            found = self._tree.look(parts[:-1]) if parts[:-1] else os.fstat(self._tree.descriptor)
        return 0 if found is None else found.st_mtime_ns

    def _remove(self, parts: Parts) -> None:
        with self._tree.directory(parts[:-1]) as parent:
            try:
                remove_file(parts[-1], parent)
            except FileNotFoundError:
                pass  # an old process has removed it: old processes take no lock

    def turns(self) -> TableTurns:
        if self._is_shared:
            raise Unsupported(
                f"{self.where} is {shared(self.where) or 'on a file system that several kernels share'}: processes of "
                "several machines share no memory, so it has no locks, queues and the like\n"
                "  hint: keep the shelf on a local disk, or on a server (postgresql:, redis:)"
            )
        return self._turns

    def _refuse_use(self) -> None:
        self._refuse_writes()
        self._root.refuse_gone()

    # --- the end -----------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        with self._translated("sync"):
            if self._has_written and not self._as_pickleshare:
                self._root.refuse_gone()
            changed, self._unsynced = self._unsynced, set()
            if len(changed) > _MANY:
                sync_file_system(self._tree.descriptor)
                return
            for parts in changed:
                self._tree.sync_file(parts)
            self._sync_names(changed)

    def _sync_names(self, changed: set[Parts]) -> None:
        """Make the names of files durable, and those of the directories above them."""
        for above in {parts[:length] for parts in changed for length in range(len(parts))}:
            try:
                with self._tree.directory(above) as directory:
                    sync(directory)
            except OSError as error:
                if not is_missing(error):  # removed meanwhile, with all that was in it
                    raise

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        history = self._histories.get(os.getpid())
        if history is not None:
            history.close()
        try:
            self._turns.close()
            self.sync()
        finally:
            _release(self._tree, self._bells)

    def rest(self) -> None:
        self.sync()
        self._options = dataclasses.replace(self._options, durability="commit")

    def reopen_arguments(self) -> tuple[str, OpenOptions]:
        return f"files:{self.where}", self._options.for_reopening()


def _in_turn(found: list[tuple[bytes, Entry | DamagedRecord | None]]) -> Iterator[tuple[bytes, Entry | None]]:
    for key, entry in found:
        if isinstance(entry, DamagedRecord):
            raise entry
        if entry is not None:
            yield key, entry


def _release(tree: Tree, bells: Bells) -> None:
    bells.close()
    tree.close()


def _data(body: bytes) -> bytes:
    """The pickle in a body, which is all that a file holds."""
    if body[0] == records.PICKLE:
        return body
    if body[:1] == _OLD:
        return body[1:]
    raise Unsupported("the files engine stores bare pickles, and this value is not a pickle")


def _content(parts: Parts, key: bytes, data: bytes) -> bytes:
    """What a file holds: the value, and after it the key if that is too long for a file's name."""
    return data + trailer(key) if is_long(parts) else data
