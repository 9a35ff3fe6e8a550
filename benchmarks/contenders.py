"""The contenders: one small class for each store, all with the same few methods."""

from __future__ import annotations

import importlib
import os
import pickle
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["CONTENDERS", "OURS", "WORKLOADS", "Contender"]

EVERY = ("set", "latencies", "get", "dirty", "batch", "items", "keys", "count", "opening")
WORKLOADS = (*EVERY, "transaction", "prefix", "increment", "modify")


class Contender:
    """A persistent dict.

    Attributes:
        promises: what a set that returned survives.
        capped: how many single sets a round makes. There are fewer where each set needs a sync or a file.
        batch: how many entries an update has. There are fewer where each of them is a commit of its own.
        largest: the most entries with which it is measured.
        shared: whether a second process can open it while this process has it open.
        works: the workloads, where they are not those of every contender.
        environment: what its process has in its environment.
    """

    promises = ""
    capped = 20_000
    batch = 10_000
    largest = 1_000_000
    shared = True
    works: tuple[str, ...] = EVERY
    environment: Mapping[str, str] = {}

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.store: Any = None

    def open(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.store.close()

    def settle(self) -> None:
        """Wait until the work in the background has ended."""

    def set(self, key: str, value: Any) -> None:
        self.store[key] = value

    def get(self, key: str) -> Any:
        return self.store[key]

    def update(self, entries: Mapping[str, Any]) -> None:
        self.store.update(entries)

    def items(self) -> Iterator[tuple[str, Any]]:
        return iter(self.store.items())

    def keys(self) -> Iterator[str]:
        return iter(self.store.keys())

    def count(self) -> int:
        return len(self.store)

    def delete(self, key: str) -> None:
        del self.store[key]

    def increment(self, key: str) -> None:
        """Add one to a number, atomically; a key that is missing counts as 0."""
        raise NotImplementedError

    def modify(self, key: str) -> None:
        """As :meth:`increment`, by a function of the caller."""
        raise NotImplementedError

    def prefix(self, prefix: str) -> Iterator[Any] | None:
        """The items whose keys begin with it. None if the store would have to go through all items."""
        return None


class Coshelf(Contender):
    promises = "the death of any process; power loss, except for the last second"
    options: Mapping[str, Any] = {}
    works = WORKLOADS

    def open(self) -> None:
        import coshelf

        self.store = coshelf.open(os.path.join(self.directory, "a.shelf"), **self.options)

    def settle(self) -> None:
        self.store.sync()

    def prefix(self, prefix: str) -> Iterator[Any] | None:
        found: Iterator[Any] = iter(self.store.items(prefix=prefix))
        return found

    def increment(self, key: str) -> None:
        self.store.incr(key)

    def modify(self, key: str) -> None:
        self.store.modify(key, _one_more, default=0)


def _one_more(number: int) -> int:
    return number + 1


class CoshelfBefore(Coshelf):
    def increment(self, key: str) -> None:
        self.modify(key)  # it may have no incr


class CoshelfWithoutModule(Coshelf):
    environment = {"COSHELF_NATIVE": "0"}  # noqa: RUF012 (never changed)


class CoshelfDurable(Coshelf):
    promises = "power loss"
    options = {"durability": "commit"}  # noqa: RUF012
    capped = 1_000
    largest = 100_000


class _Shelve(Contender):
    promises = "nothing"
    shared = False
    module = ""

    def open(self) -> None:
        import shelve

        opened = importlib.import_module(self.module).open(os.path.join(self.directory, "shelve"), "c")
        self.store = shelve.Shelf(opened)


class ShelveGnu(_Shelve):
    module = "dbm.gnu"


class ShelveDumb(_Shelve):
    module = "dbm.dumb"
    largest = 100_000


class ShelveSqlite(_Shelve):
    promises = "the death of any process, power loss"
    module = "dbm.sqlite3"
    shared = True
    capped = 1_000
    batch = 1_000
    largest = 100_000


class PickleShare(Contender):
    promises = "the death of any process, except for torn files"
    capped = 2_000
    largest = 10_000

    def open(self) -> None:
        from pickleshare import PickleShareDB

        self.store = PickleShareDB(os.path.join(self.directory, "pickleshare"))

    def close(self) -> None:
        self.store = None

    def get(self, key: str) -> Any:
        self.store.cache.clear()  # the cache would return the object that was stored last
        return self.store[key]


class _Cache(Contender):
    """What diskcache made customary. Its ``incr`` is atomic."""

    promises = "the death of any process"
    capped = 2_000
    largest = 100_000
    works = (*EVERY, "increment")

    def update(self, entries: Mapping[str, Any]) -> None:
        with self.store.transact():
            for key, value in entries.items():
                self.store[key] = value

    def keys(self) -> Iterator[str]:
        return iter(self.store)

    def items(self) -> Iterator[tuple[str, Any]]:
        return ((key, self.store[key]) for key in self.store)

    def increment(self, key: str) -> None:
        self.store.incr(key)


class DiskCache(_Cache):
    module = "diskcache"

    def open(self) -> None:
        cache = importlib.import_module(self.module).Cache
        self.store = cache(os.path.join(self.directory, "diskcache"), eviction_policy="none", size_limit=1 << 40)


class DiskCacheCommunity(DiskCache):
    module = "diskcache_community"


class SciQLopCache(_Cache):
    """Its dict, which evicts nothing."""

    def open(self) -> None:
        from pysciqlop_cache import Index

        self.store = Index(os.path.join(self.directory, "sciqlop"))


class SqliteDict(Contender):
    promises = "the death of any process; it sets synchronous=OFF"
    capped = 500
    largest = 100_000

    def open(self) -> None:
        from sqlitedict import SqliteDict as Opened

        self.store = Opened(os.path.join(self.directory, "sqlitedict"), autocommit=True)

    def settle(self) -> None:
        self.store.commit(blocking=True)

    def set(self, key: str, value: Any) -> None:
        self.store[key] = value
        self.store.commit(blocking=True)  # an assignment returns before the thread that writes has seen it

    def update(self, entries: Mapping[str, Any]) -> None:
        self.store.update(entries)
        self.store.commit(blocking=True)


class RocksDict(Contender):
    promises = "the death of the process"
    shared = False
    works = (*EVERY, "prefix")

    def open(self) -> None:
        from rocksdict import Rdict

        self.store = Rdict(os.path.join(self.directory, "rocksdict"))

    def update(self, entries: Mapping[str, Any]) -> None:
        from rocksdict import WriteBatch

        batch = WriteBatch()
        for key, value in entries.items():
            batch.put(key, value)
        self.store.write(batch)

    def count(self) -> int:
        return sum(1 for _ in self.store.keys())  # noqa: SIM118 (it has no iterator of its own)

    def prefix(self, prefix: str) -> Iterator[Any] | None:
        def rows() -> Iterator[Any]:
            for key, value in self.store.items(from_key=prefix):
                if not key.startswith(prefix):
                    return
                yield key, value

        return rows()


class SqliteAlone(Contender):
    """A lower bound of the time of opening: SQLite as it is, with a pickle in a row."""

    promises = "the death of any process, power loss"
    works = ("opening",)

    def open(self) -> None:
        import sqlite3

        self.store = sqlite3.connect(os.path.join(self.directory, "sqlite3"))

    def update(self, entries: Mapping[str, Any]) -> None:
        with self.store:
            self.store.execute("CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")
            rows = ((key, pickle.dumps(value)) for key, value in entries.items())
            self.store.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?)", rows)

    def get(self, key: str) -> Any:
        row = self.store.execute("SELECT value FROM entry WHERE key = ?", (key,)).fetchone()
        return pickle.loads(row[0])


class Lmdb(Contender):
    """A lower bound of the time: py-lmdb alone, without syncs, in a loop."""

    promises = "nothing: corrupt after power loss"

    def open(self) -> None:
        import lmdb

        path = os.path.join(self.directory, "raw.lmdb")
        self.store = lmdb.open(
            path, subdir=False, map_size=1 << 36, sync=False, lib_version=0, max_spare_txns=4
        )  # fmt: skip

    def set(self, key: str, value: Any) -> None:
        with self.store.begin(write=True) as transaction:
            transaction.put(key.encode(), pickle.dumps(value))

    def get(self, key: str) -> Any:
        with self.store.begin() as transaction:
            return pickle.loads(transaction.get(key.encode()))

    def update(self, entries: Mapping[str, Any]) -> None:
        with self.store.begin(write=True) as transaction:
            for key, value in entries.items():
                transaction.put(key.encode(), pickle.dumps(value))

    def items(self) -> Iterator[tuple[str, Any]]:
        with self.store.begin() as transaction:
            for key, value in transaction.cursor():
                yield key.decode(), pickle.loads(value)

    def keys(self) -> Iterator[str]:
        with self.store.begin() as transaction:
            for key in transaction.cursor().iternext(values=False):
                yield key.decode()

    def count(self) -> int:
        return int(self.store.stat()["entries"])


class PickleAlone(Contender):
    """A lower bound of the time: a dict of pickles in memory."""

    promises = "nothing: in memory"
    shared = False

    def open(self) -> None:
        self.store = {} if self.store is None else self.store

    def close(self) -> None:
        """Do nothing. The dict is the only copy of the entries."""

    def set(self, key: str, value: Any) -> None:
        self.store[key] = pickle.dumps(value)

    def get(self, key: str) -> Any:
        return pickle.loads(self.store[key])

    def update(self, entries: Mapping[str, Any]) -> None:
        for key, value in entries.items():
            self.store[key] = pickle.dumps(value)

    def items(self) -> Iterator[tuple[str, Any]]:
        return ((key, pickle.loads(value)) for key, value in self.store.items())


CONTENDERS: dict[str, type[Contender]] = {
    "coshelf": Coshelf,
    "coshelf, no module": CoshelfWithoutModule,
    "coshelf, before": CoshelfBefore,
    "coshelf, durability=commit": CoshelfDurable,
    "shelve on gdbm": ShelveGnu,
    "shelve on sqlite3": ShelveSqlite,
    "shelve on dumb": ShelveDumb,
    "pickleshare": PickleShare,
    "diskcache": DiskCache,
    "diskcache-community": DiskCacheCommunity,
    "pysciqlop-cache": SciQLopCache,
    "sqlitedict": SqliteDict,
    "rocksdict": RocksDict,
    "sqlite3 alone": SqliteAlone,
    "py-lmdb alone": Lmdb,
    "pickle alone": PickleAlone,
}
OURS = tuple(name for name in CONTENDERS if name.startswith("coshelf"))
"""Ours; "coshelf, before" is an earlier version, measured if its source is given."""
