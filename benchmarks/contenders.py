"""The contenders: one small class for each store, all with the same few methods."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["CONTENDERS", "Contender"]


class Contender:
    """A persistent dict.

    Attributes:
        promises: what a set that returned survives.
        capped: how many single sets a round makes. There are fewer where each set needs a sync or a file.
        largest: the most entries with which it is measured.
        shared: whether a second process can open it while this process has it open.
    """

    promises = ""
    capped = 20_000
    largest = 1_000_000
    shared = True

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

    def prefix(self, prefix: str) -> Iterator[Any] | None:
        """The items whose keys begin with it. None if the store would have to go through all items."""
        return None


class Coshelf(Contender):
    promises = "the death of any process; power loss, except for the last second"
    options: dict[str, Any] = {}  # noqa: RUF012 (overridden, not changed)

    def open(self) -> None:
        import coshelf

        self.store = coshelf.open(os.path.join(self.directory, "a.shelf"), **self.options)

    def settle(self) -> None:
        self.store.sync()

    def prefix(self, prefix: str) -> Iterator[Any] | None:
        found: Iterator[Any] = iter(self.store.items(prefix=prefix))
        return found


class CoshelfDurable(Coshelf):
    promises = "power loss"
    options = {"durability": "commit"}  # noqa: RUF012
    capped = 2_000


class _Shelve(Contender):
    promises = "nothing"
    shared = False
    module = ""

    def open(self) -> None:
        import importlib
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


class DiskCache(Contender):
    promises = "the death of any process"
    capped = 2_000
    largest = 100_000

    def open(self) -> None:
        import diskcache

        self.store = diskcache.Cache(
            os.path.join(self.directory, "diskcache"), eviction_policy="none", size_limit=1 << 40
        )

    def update(self, entries: Mapping[str, Any]) -> None:
        with self.store.transact():
            for key, value in entries.items():
                self.store[key] = value

    def keys(self) -> Iterator[str]:
        return iter(self.store)

    def items(self) -> Iterator[tuple[str, Any]]:
        return ((key, self.store[key]) for key in self.store)


class SqliteDict(Contender):
    promises = "the death of any process, power loss"
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
    "coshelf, durability=commit": CoshelfDurable,
    "shelve on gdbm": ShelveGnu,
    "shelve on sqlite3": ShelveSqlite,
    "shelve on dumb": ShelveDumb,
    "pickleshare": PickleShare,
    "diskcache": DiskCache,
    "sqlitedict": SqliteDict,
    "rocksdict": RocksDict,
    "py-lmdb alone": Lmdb,
    "pickle alone": PickleAlone,
}
