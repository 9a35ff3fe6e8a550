"""The engine: reads, and commits by renaming whole files over others."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import random
import stat
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from coshelf import records, trust
from coshelf.durable_files import sync_file_system
from coshelf.engines.contract import (
    ABSENT,
    Batch,
    Capabilities,
    Doorbell,
    Engine,
    Entry,
    Exclusive,
    OpenOptions,
    PollingBell,
    Snapshot,
)
from coshelf.engines.files.changes import Bells
from coshelf.engines.files.locks import DirectoryLock, LockedDirectory, LockedFile, flocked
from coshelf.engines.files.paths import parts_of
from coshelf.engines.files.pickle_files import begins_as_pickle, could_be_pickle
from coshelf.engines.files.staging import LOCK, Staging
from coshelf.engines.files.tree import Parts, Tree, is_missing, translated
from coshelf.engines.filesystem import shared
from coshelf.engines.memory import TableSnapshot
from coshelf.engines.sorted_table import SortedTable
from coshelf.errors import (
    DamagedRecord,
    InvalidKey,
    KeyTooLong,
    NotAShelf,
    ReadOnlyShelf,
    ShelfNotFound,
    TransactionInProgress,
    Unsupported,
    UntrustedValue,
)
from coshelf.keys import FIRST, LAST, encode, prefix_end
from coshelf.private_place import exposure_of
from coshelf.provenance import unmarked

__all__ = ["FilesEngine", "Stamp", "open_engine"]

_CAPABILITIES = Capabilities(
    ordered="sorts",
    snapshots="copies",
    atomic="none",
    exclusive="processes",
    cheap_count=False,
)
_SECOND = 1_000_000_000
_OLD = bytes([records.OLD_PICKLE])
_STORE_ID = "user.coshelf.store"  # an attribute of the root, which pickleshare takes for no key
_OTHERS_SEARCH = stat.S_IXGRP | stat.S_IXOTH
_MANY = 100  # files whose content is made durable one by one

Stamp = tuple[int, int, int, int]
"""Inode, size, and times of the last change of the content and of anything."""


def open_engine(target: Any, options: OpenOptions) -> Engine:
    """The engine on a directory: ``files:PATH``, or a path."""
    path = os.path.abspath(target.removeprefix("files:"))
    made = False
    with translated(path):
        if options.flag in ("c", "n"):
            try:
                os.mkdir(path, options.mode | (options.mode & 0o444) >> 2)
                os.chmod(path, options.mode | (options.mode & 0o444) >> 2)
                made = True
            except FileExistsError:
                pass
            except FileNotFoundError as error:
                raise ShelfNotFound(f"there is no directory {os.path.dirname(path)} to make {path} in") from error
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise ShelfNotFound(f"there is no directory {path}") from error
        except NotADirectoryError as error:
            raise NotAShelf(f"{path} is no directory; it has not been changed") from error
    engine = FilesEngine(path, descriptor, options)
    if made:
        with suppress(Unsupported):
            engine.trust()
    return engine


class FilesEngine(Engine):
    """Entries in the files of a directory."""

    name = "files"
    keeps_settings = False  # a file holds a bare pickle, as its ancestor's do

    def __init__(self, path: str, descriptor: int, options: OpenOptions) -> None:
        self.where = path
        self._options = options
        self._tree = Tree(path, descriptor)
        self._staging = Staging(path, descriptor, options.mode)
        self._is_shared = shared(path) is not None
        self._batch_lock = self._lock_in_staging("batch") or LockedDirectory(self._staging.path)
        writers = self._lock_in_staging("writers") or LockedDirectory(f"/proc/self/fd/{descriptor}")
        self._lock = DirectoryLock(descriptor, path, writers)
        self._bells = Bells(self._tree)
        self._unsynced: set[Parts] = set()
        self._closed = False
        self._guards = False
        self.capabilities = dataclasses.replace(
            _CAPABILITIES,
            watch="poll" if self._is_shared else "doorbell",
            acknowledged="durable" if options.durability == "commit" else "machine",
        )

    def _lock_in_staging(self, name: str) -> LockedFile | None:
        """What to lock on a file system that several kernels use."""
        return LockedFile(os.path.join(self._staging.path, name + LOCK)) if self._is_shared else None

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Entry | None:
        try:
            parts = parts_of(key)
        except (InvalidKey, KeyTooLong):
            return None
        with translated(self.where), self._tree.in_use():
            return self._entry(key, parts)

    def _entry(self, key: bytes, parts: Parts) -> Entry | None:
        found = self._tree.read(parts)
        if found is None:
            return None
        data, status = found
        if self._guards:
            self._refuse_exposed(parts, status)
        body = data if data[0] == records.PICKLE else _OLD + data
        return Entry(records.seal(body, records.checksum(key, body), 0), _version(status))

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        with self._instant():
            return [self.get(key) for key in keys]

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        with translated(self.where), self._tree.in_use(), self._instant():
            found = sorted(self._tree.walk(start, stop), reverse=reverse)
            if keys_only:
                return ((key, None) for key, _ in found)
            return _in_turn([(key, self._attempt(key, parts)) for key, parts in found])

    def _attempt(self, key: bytes, parts: Parts) -> Entry | DamagedRecord | None:
        try:
            return self._entry(key, parts)
        except DamagedRecord as error:
            return error

    def count(self, start: bytes, stop: bytes) -> int:
        with translated(self.where), self._tree.in_use(), self._instant():
            return sum(1 for _ in self._tree.walk(start, stop))

    def snapshot(self) -> Snapshot:
        table = SortedTable()
        for key, entry in self.scan(FIRST, LAST):
            assert entry is not None
            table.put(key, entry)
        return TableSnapshot(table)

    def _instant(self) -> AbstractContextManager[None]:
        """Keeps the files of a batch from appearing one by one before whoever reads several."""
        if self._lock.is_mine() or not os.path.exists(self._batch_lock.path):
            return nullcontext()
        return flocked(self._batch_lock, fcntl.LOCK_SH, self._options.timeout, self.where)

    def _store_id(self) -> bytes:
        """What tells this directory from one that gets its inode later; nothing if it was never marked."""
        try:
            return os.getxattr(self._tree.descriptor, _STORE_ID)
        except OSError:
            return b""

    def revoke(self) -> bool:
        information = os.fstat(self._tree.descriptor)
        return trust.unmark(self._store_id(), information.st_dev, information.st_ino)

    def distrust(self) -> str | None:
        information = os.fstat(self._tree.descriptor)
        store_id = self._store_id()
        if not store_id or not trust.is_marked(store_id, information.st_dev, information.st_ino, None):
            return unmarked(self.where, store_id)
        return exposure_of(self.where, information)

    def guard(self) -> None:
        # Nobody else gets through a root that only this user may search.
        self._guards = bool(os.fstat(self._tree.descriptor).st_mode & _OTHERS_SEARCH)

    def _refuse_exposed(self, parts: Parts, status: os.stat_result) -> None:
        """Raise :class:`UntrustedValue` for a file that is not this user's alone: directories may differ in that."""
        name = "/".join(parts)
        reason = exposure_of(f"{self.where}/{name}", status)
        if reason is not None:
            raise UntrustedValue(
                f"the value for key {name!r}: {reason}\n"
                "  hint: open it with trust=False for plain data, or with trust=True if you trust whoever wrote it",
                "",
                name,
            )

    def trust(self) -> None:
        information = os.fstat(self._tree.descriptor)
        try:
            store_id = os.urandom(16)
            os.setxattr(self._tree.descriptor, _STORE_ID, store_id)
        except OSError as error:
            raise Unsupported(f"{self.where} cannot be marked: {error.strerror}") from error
        trust.mark(store_id, information.st_dev, information.st_ino, self.where)

    def doorbell(self, key: bytes) -> Doorbell:
        if self.capabilities.watch == "doorbell" and _has_path(key):
            with translated(self.where), self._tree.in_use():
                bell = self._bells.new(parts_of(key))
            if bell is not None:
                return bell
        return PollingBell()

    def paths(self, prefix: str = "") -> list[str]:
        """The keys below a prefix, sorted, as paths."""
        start = encode(prefix)
        return ["/".join(parts) for _, parts in self._paths(start, prefix_end(start))]

    def _paths(self, start: bytes, stop: bytes) -> list[tuple[bytes, Parts]]:
        with translated(self.where), self._tree.in_use(), self._instant():
            return sorted(self._tree.walk(start, stop))

    def stamp(self, key: bytes) -> Stamp | None:
        """What differs when the file of a key has changed, whoever changed it; None if there is no file."""
        if not _has_path(key):
            return None
        found = self._tree.look(parts_of(key))
        return _stamp(found) if found is not None and stat.S_ISREG(found.st_mode) else None

    def stamps(self, directory: str) -> dict[str, Stamp]:
        """The keys of the files in a directory, which ends with a slash, and their stamps."""
        with translated(self.where), self._tree.in_use(), self._instant():
            found = self._tree.files_in(parts_of(encode(directory.removesuffix("/"))))
        return {directory + name: _stamp(status) for name, status in found.items()}

    def age(self, key: bytes) -> float:
        """Seconds since the file of a key was last changed."""
        found = self.stamp(key)
        return 0.0 if found is None else time.time() - found[3] / _SECOND

    # --- writing -----------------------------------------------------------------------------------------------------

    def commit(self, batch: Batch) -> str:
        if self.owns_exclusive():
            raise TransactionInProgress(
                f"this thread is inside a transaction of {self.where} and must write through it"
            )
        self._refuse_reader()
        with self._writing(self._options.timeout):
            return self._commit(batch)

    @contextmanager
    def _writing(self, timeout: float) -> Iterator[None]:
        """Keep other writers out."""
        with self._tree.in_use():
            if self._is_shared:
                with translated(self.where):
                    self._staging.make()
            with self._lock.hold(timeout):
                yield

    def _refuse_reader(self) -> None:
        if self._options.flag == "r":
            raise ReadOnlyShelf(f"{self.where} was opened with flag 'r' and cannot be written")

    def _commit(self, batch: Batch) -> str:
        """Commit, with other writers kept out."""
        self._refuse_reader()
        puts = {parts_of(key): _data(body) for key, body in batch.puts.items()}
        deletes = {parts_of(key) for key in batch.deletes if _has_path(key)}
        with translated(self.where):
            batch.refuse_conflicts(self._version)
            leaving = {parts for parts in deletes if self._refuse_foreign(parts)}
            for start, stop in batch.clears:
                leaving.update(parts for _, parts in self._tree.walk(start, stop) if self._is_ours(parts))
            self._refuse_clashes(puts, leaving - puts.keys())
            stamp = self._stamp(set(puts) | leaving)
            durable = self._options.durability == "commit"
            with self._staging.open() as staging:
                for parts, data in puts.items():
                    staging.write(parts, data, stamp, self._options.mode, durable)
                with flocked(self._batch_lock, fcntl.LOCK_EX, self._options.timeout, self.where):
                    for parts in leaving - puts.keys():
                        self._remove(parts)
                    for parts in puts:
                        with self._tree.directory(parts[:-1], make=True) as parent:
                            staging.place(parts, parent)
            changed = set(puts) | leaving
            if durable:
                self._sync_names(changed)
            elif len(self._unsynced) <= _MANY:
                self._unsynced |= changed
        return str(stamp)

    def _version(self, key: bytes) -> object:
        if not _has_path(key):
            return ABSENT
        found = self._tree.look(parts_of(key))
        return _version(found) if found is not None and stat.S_ISREG(found.st_mode) else ABSENT

    def _is_ours(self, parts: Parts) -> bool | None:
        """Whether the file is one that may be removed: it holds a pickle, or nothing. None if there is no file."""
        start = self._tree.first_bytes(parts, 2)
        if start is None:
            return None
        if begins_as_pickle(start):
            return True
        found = self._tree.read(parts, patient=False)  # an old pickle tells only by its end
        return None if found is None else could_be_pickle(found[0])

    def _refuse_foreign(self, parts: Parts) -> bool:
        """Whether there is a file. Raises :class:`NotAShelf` for one that holds no pickle."""
        is_ours = self._is_ours(parts)
        if is_ours is False:
            raise NotAShelf(f"the file {'/'.join(parts)!r} in {self.where} holds no pickle; it has not been changed")
        return is_ours is not None

    def _refuse_clashes(self, puts: dict[Parts, bytes], leaving: set[Parts]) -> None:
        for parts in puts:
            self._tree.refuse_clash(parts, leaving)
            self._refuse_foreign(parts)
            for length in range(1, len(parts)):
                if parts[:length] in puts:
                    raise InvalidKey(
                        f"key {'/'.join(parts)!r} would lie below {'/'.join(parts[:length])!r}, which is in this batch"
                    )

    def _stamp(self, changed: set[Parts]) -> int:
        """The modification time for a batch: in a later whole second than what it replaces, and not used before.

        pickleshare compares whole seconds, and takes a value of the same second for the one that it has.
        """
        second = time.time_ns() // _SECOND
        for parts in changed:
            found = self._tree.look(parts)
            if found is None:  # it may have been deleted just now, so the directory's own time counts
                found = self._tree.look(parts[:-1]) if parts[:-1] else os.fstat(self._tree.descriptor)
            if found is not None:
                second = max(second, found.st_mtime_ns // _SECOND + 1)
        return second * _SECOND + random.SystemRandom().randrange(_SECOND)

    def _remove(self, parts: Parts) -> None:
        with self._tree.directory(parts[:-1]) as parent:
            try:
                os.unlink(parts[-1], dir_fd=parent)
            except FileNotFoundError:
                pass  # by an old process, which knows no lock

    @contextmanager
    def exclusive(self, timeout: float | None = None) -> Iterator[Exclusive]:
        self._refuse_reader()
        with self._writing(self._options.timeout if timeout is None else timeout):
            yield Exclusive(self._commit)

    def owns_exclusive(self) -> bool:
        return self._lock.is_mine()

    # --- the end -----------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        with translated(self.where):
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
                    os.fsync(directory)
            except OSError as error:
                if not is_missing(error):  # removed meanwhile, with all that was in it
                    raise

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self.sync()
        finally:
            self._bells.close()
            self._tree.close()

    def reopen_arguments(self) -> tuple[str, OpenOptions]:
        flag = "w" if self._options.flag in ("c", "n") else self._options.flag
        return f"files:{self.where}", dataclasses.replace(self._options, flag=flag)


def _in_turn(found: list[tuple[bytes, Entry | DamagedRecord | None]]) -> Iterator[tuple[bytes, Entry | None]]:
    for key, entry in found:
        if isinstance(entry, DamagedRecord):
            raise entry
        if entry is not None:
            yield key, entry


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _version(status: os.stat_result) -> str:
    """All files of a batch have one modification time, to the nanosecond, which no other batch has."""
    return str(status.st_mtime_ns)


def _data(body: bytes) -> bytes:
    """The pickle in a body, which is all that a file holds."""
    if body[0] == records.PICKLE:
        return body
    if body[:1] == _OLD:
        return body[1:]
    raise Unsupported("the files engine stores bare pickles, and this value is none")


def _has_path(key: bytes) -> bool:
    try:
        parts_of(key)
    except (InvalidKey, KeyTooLong):
        return False
    return True
