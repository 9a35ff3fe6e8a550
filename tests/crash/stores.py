"""What the crash tests write to: a shelf, and LMDB alone, to see that the tests find a store that is known to break."""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import stat
import time
from collections.abc import Callable
from typing import Any, Protocol

import lmdb
from history import Operation, State

import coshelf
from coshelf.engines.lmdb import lmdb_file
from coshelf.engines.lmdb.blobs import folder
from coshelf.engines.lmdb.delta import files, flusher
from coshelf.engines.lmdb.delta.log import LogDelta
from coshelf.system.file_systems import durable
from coshelf.values import buffers, pickle_surgery

INTERVAL = 0.05


class Store(Protocol):
    """Performs operations on a file below a directory, and reads it back.

    ``pause`` is how many seconds it waits before each, so that some reach the disk before the next and some do not.
    """

    path: str
    pause: float

    def perform(self, operation: Operation) -> None: ...
    def read(self) -> State: ...
    def count(self) -> int: ...
    def close(self) -> None: ...
    @property
    def is_open(self) -> bool: ...


class Shelf:
    """A shelf, opened as users open it. ``root`` has a directory ``shelf`` for it, and one for trust marks."""

    name = "a.shelf"

    def __init__(self, root: str, pause: float = 0, **options: Any) -> None:
        self.path = os.path.join(root, "shelf", self.name)
        self.shelf: coshelf.Shelf[Any, Any] | None = None
        self._options = {"timeout": 10, **options}
        self.pause = pause

    def perform(self, operation: Operation) -> None:
        time.sleep(self.pause)
        if operation.kind in ("open", "reopen"):
            self.close()
            self.shelf = coshelf.open(self.path, **self._options)
            return
        if self.shelf is None:  # an earlier reopening failed
            self.shelf = coshelf.open(self.path, **self._options)
        match operation.kind:
            case "set":
                for key, value in operation.puts.items():
                    self.shelf[key] = value
            case "delete":
                for key in operation.deletes:
                    if key in self.shelf:  # not if it went before the writer was killed
                        del self.shelf[key]
            case "update":
                self.shelf.update(operation.puts)
            case "transaction":
                with self.shelf.transaction() as transaction:
                    for key in operation.deletes:
                        transaction.pop(key, None)
                    transaction.update(operation.puts)
            case "clear":
                self.shelf.clear()
            case "sync":
                self.shelf.sync()

    def read(self) -> State:
        assert self.shelf is not None
        return dict(self.shelf.items())

    def count(self) -> int:
        assert self.shelf is not None
        return len(self.shelf)

    @property
    def is_open(self) -> bool:
        return self.shelf is not None

    def close(self) -> None:
        shelf, self.shelf = self.shelf, None
        if shelf is not None:
            shelf.close()


class ShelfOfBuffers(Shelf):
    """A shelf whose values are buffers, of which those from 600 bytes on lie in blobs, so that there are many."""

    large = 600

    def __init__(self, root: str, pause: float = 0, **options: Any) -> None:
        super().__init__(root, pause, **options)
        buffers.LARGE = pickle_surgery.LARGE = self.large

    @staticmethod
    def stored(value: Any) -> bytearray:
        return bytearray(pickle.dumps(value))

    def perform(self, operation: Operation) -> None:
        puts = {key: self.stored(value) for key, value in operation.puts.items()}
        super().perform(Operation(operation.kind, puts, operation.deletes))

    def read(self) -> State:
        assert self.shelf is not None
        report = self.shelf.check()
        assert report.ok, report
        return {key: pickle.loads(value) for key, value in super().read().items()}

    def blobs(self) -> list[str]:
        folder = self.path + ".coshelf-blobs"
        return os.listdir(folder) if os.path.exists(folder) else []


class Raw:
    """LMDB alone. With ``sync=False`` a power cut may leave anything."""

    def __init__(self, root: str, *, sync: bool, mapped: bool = False, pause: float = 0) -> None:
        self.path = os.path.join(root, "shelf", "raw.lmdb")
        self.pause = pause
        self._options = {"sync": sync, "writemap": mapped, "map_size": 1 << 30, "subdir": False, "lib_version": 0}
        self._environment: lmdb.Environment | None = None

    @staticmethod
    def key(key: Any) -> bytes:
        return hashlib.blake2b(repr(key).encode(), digest_size=20).digest()

    def perform(self, operation: Operation) -> None:
        time.sleep(self.pause)
        if operation.kind in ("open", "reopen"):
            self.close()
            new = not os.path.exists(self.path)
            self._environment = lmdb.open(self.path, **self._options)
            if new:
                _sync(self.path)
                _sync(os.path.dirname(self.path))
            return
        assert self._environment is not None
        if operation.kind == "sync":
            return
        with self._environment.begin(write=True) as transaction:
            if operation.kind == "clear":
                transaction.drop(self._environment.open_db(None, transaction), delete=False)
            for key in operation.deletes:
                transaction.delete(self.key(key))
            for key, value in operation.puts.items():
                transaction.put(self.key(key), pickle.dumps((key, value)))

    def read(self) -> State:
        assert self._environment is not None
        with self._environment.begin() as transaction:
            return dict(pickle.loads(row) for _, row in transaction.cursor())

    def count(self) -> int:
        assert self._environment is not None
        return int(self._environment.stat()["entries"])

    @property
    def is_open(self) -> bool:
        return self._environment is not None

    def close(self) -> None:
        environment, self._environment = self._environment, None
        if environment is not None:
            environment.close()


def _sync(path: str) -> None:
    """LMDB does not sync what it creates; what is asked here is what it does afterwards."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _shelf_without_syncing_names(root: str) -> Store:
    """A shelf whose creation forgets to sync the directory, to see that this is noticed."""
    sync = durable.sync

    def sync_files(descriptor: int) -> None:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            sync(descriptor)

    durable.sync = sync_files
    return Shelf(root, durability="commit")


def _shelf_without_synced_flushes(root: str) -> Store:
    """A shelf whose base is not synced, to see that this is noticed."""
    opened = lmdb_file.lmdb.open
    lmdb_file.lmdb.open = lambda *given, **options: opened(*given, **{**options, "sync": False})  # type: ignore[assignment]
    return Shelf(root, durability="commit")


def _shelf_without_synced_blobs(root: str) -> Store:
    """A shelf whose blobs are not synced, to see that this is noticed."""
    folder.BlobFolder.sync = lambda self, identities: None  # type: ignore[method-assign]
    return ShelfOfBuffers(root, durability="commit")


def _shelf_that_empties_first(root: str) -> Store:
    """A shelf that takes commits out of the delta before they are in the base, to see that this is noticed."""
    copy = flusher.Flusher._copy

    def copy_and_empty(self: Any, delta: Any, *more: Any) -> tuple[int, bool, set[bytes]]:
        copied = copy(self, delta, *more)
        if isinstance(delta, LogDelta):
            delta.log.remove(copied[0])
        else:
            with delta.writing() as transaction:
                delta._keep_only(transaction, [])
                transaction.commit()
        return copied

    flusher.Flusher._copy = copy_and_empty  # type: ignore[method-assign]
    return Shelf(root, flush_interval=INTERVAL, pause=INTERVAL / 3)


def _shelf_of_any_boot(root: str) -> Store:
    """A shelf that does not notice a reboot, to see that this is noticed."""
    files.boot_id = lambda: bytes(16)
    return Shelf(root, flush_interval=INTERVAL, pause=INTERVAL / 3)


STORES: dict[str, Callable[[str], Store]] = {
    # What has returned is durable.
    "shelf": functools.partial(Shelf, durability="commit"),
    # What has returned is safe from kills, and durable soon.
    "shelf in intervals": functools.partial(Shelf, flush_interval=INTERVAL, pause=INTERVAL / 3),
    # As safe from kills, and durable when it is synced or closed.
    "shelf flushed when asked": functools.partial(Shelf, flush_interval=3600),
    "shelf of buffers": functools.partial(ShelfOfBuffers, durability="commit"),
    "shelf of buffers in intervals": functools.partial(ShelfOfBuffers, flush_interval=INTERVAL, pause=INTERVAL / 3),
    "shelf of buffers that are not synced": _shelf_without_synced_blobs,
    "shelf whose flushes are not synced": _shelf_without_synced_flushes,
    "shelf that empties before it flushes": _shelf_that_empties_first,
    "shelf that takes up the delta of any boot": _shelf_of_any_boot,
    "shelf without syncing names": _shelf_without_syncing_names,
    "lmdb": lambda root: Raw(root, sync=True),
    "lmdb without syncs": lambda root: Raw(root, sync=False),
    "slow lmdb without syncs": lambda root: Raw(root, sync=False, pause=INTERVAL / 3),
    "slow mapped lmdb without syncs": lambda root: Raw(root, sync=False, mapped=True, pause=INTERVAL / 3),
}
