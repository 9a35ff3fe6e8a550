"""How long a shelf on a server or in SQLite takes beside the bare client that runs the same statements.

    PYTHONPATH=tests/servers python benchmarks/servers.py sqlite postgresql

The shelf, its engine and the bare client take turns at each operation, so other load of the machine slows all three.
The figures are medians, and their ratios to the bare client's. The engine and the bare client handle bytes. The shelf
also pickles, unpickles and verifies. To measure another engine, add a class to ``PEERS``. The modules that start
servers are those of the tests, in tests/servers. SQLite needs none of them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import pickle
import sqlite3
import statistics
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import coshelf
from coshelf import records
from coshelf.contract import Batch
from coshelf.keys import FIRST, LAST, encode

ENTRIES = 10_000
VALUE = "x" * 200
BATCH = 100
OPERATIONS = ("get", "set", f"update of {BATCH}", f"scan of {BATCH}", f"scan of {ENTRIES}")


class Peer(ABC):
    """A bare client of one kind of server, on the rows of a shelf. Each method does what the shelf does, with bytes."""

    def __init__(self, shelf: coshelf.Shelf[Any, Any]) -> None:
        self.shelf = shelf

    @classmethod
    @abstractmethod
    def started(cls) -> contextlib.AbstractContextManager[Peer]:
        """A server, a shelf on it, and the bare client beside it."""

    @abstractmethod
    def get(self, key: bytes) -> bytes: ...

    @abstractmethod
    def set(self, key: bytes, record: bytes) -> None: ...

    @abstractmethod
    def update(self, rows: dict[bytes, bytes]) -> None: ...

    @abstractmethod
    def scan(self, start: bytes, stop: bytes) -> list[tuple[bytes, bytes]]: ...


class Sqlite(Peer):
    """The standard library's sqlite3, with the settings of the engine."""

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator[Peer]:
        with tempfile.TemporaryDirectory() as place, coshelf.open(f"sqlite:{place}/bench.db", trust=True) as shelf:
            peer = cls(shelf)
            peer.database = sqlite3.connect(f"{place}/bench.db", isolation_level=None)
            peer.database.execute("PRAGMA synchronous = NORMAL")
            with contextlib.closing(peer.database):
                yield peer

    database: sqlite3.Connection

    def get(self, key: bytes) -> bytes:
        record: bytes = self.database.execute("SELECT record FROM entries WHERE key = ?", (key,)).fetchall()[0][0]
        return record

    def set(self, key: bytes, record: bytes) -> None:
        self.update({key: record})

    def update(self, rows: dict[bytes, bytes]) -> None:
        self.database.execute("BEGIN IMMEDIATE")
        self.database.execute("UPDATE shelf SET number = number + 1 RETURNING number").fetchall()
        self.database.executemany(
            "INSERT INTO entries VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET record = excluded.record", rows.items()
        )
        self.database.execute("COMMIT")

    def scan(self, start: bytes, stop: bytes) -> list[tuple[bytes, bytes]]:
        query = "SELECT key, record FROM entries WHERE key >= ? AND key < ? ORDER BY key"
        return self.database.execute(query, (start, stop)).fetchall()


class Postgresql(Peer):
    """psycopg: one connection, prepared statements, binary results. A scan of any length is one query."""

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator[Peer]:
        import psycopg
        from postgresql import new_server

        server = new_server()
        try:
            server.make()
            server.start()
            with (
                coshelf.open(server.url(), trust=True) as shelf,
                psycopg.connect(server.admin_url, autocommit=True) as connection,
            ):
                peer = cls(shelf)
                peer.connection = connection
                engine: Any = shelf._handle.engine
                peer.number, peer.lock = engine._shelf.number, engine._shelf.lock
                yield peer
        finally:
            server.remove()

    connection: Any
    number: int
    lock: int

    def _run(self, query: str, parameters: tuple[Any, ...]) -> Any:
        return self.connection.execute(query, parameters, prepare=True, binary=True)

    def get(self, key: bytes) -> bytes:
        query = "SELECT record FROM coshelf_entries WHERE shelf = %s AND key = %s"
        record: bytes = self._run(query, (self.number, key)).fetchall()[0][0]
        return record

    def set(self, key: bytes, record: bytes) -> None:
        from coshelf.engines.postgresql.tables import Statements

        self._run(Statements.PUT, (self.number, key, 1 << 40, None, record, self.lock))

    def update(self, rows: dict[bytes, bytes]) -> None:
        from coshelf.engines.postgresql.tables import Statements

        self._run(Statements.PUT_MANY, (self.number, 1 << 40, self.lock, list(rows), list(rows.values())))

    def scan(self, start: bytes, stop: bytes) -> list[tuple[bytes, bytes]]:
        query = "SELECT key, record FROM coshelf_entries WHERE shelf = %s AND key >= %s AND key < %s ORDER BY key"
        rows: list[tuple[bytes, bytes]] = self._run(query, (self.number, start, stop)).fetchall()
        return rows


PEERS: dict[str, type[Peer]] = {"postgresql": Postgresql, "sqlite": Sqlite}


Step = Callable[[int], object]


def record_of(key: bytes, body: bytes) -> bytes:
    """The record that the engine would store. So the shelf can read what the bare client writes."""
    return records.seal(body, records.checksum(key, body), 1 << 40)


def steps_of(peer: Peer) -> dict[str, tuple[Step, Step, Step]]:
    """For each operation, a step of the shelf, of its engine and of the bare client. Only the shelf handles values."""
    shelf = peer.shelf
    engine = shelf._handle.engine
    body = pickle.dumps(VALUE, 5)
    keys = [f"key/{number:06}" for number in range(ENTRIES)]
    encoded = [encode(key) for key in keys]
    rows = {key: record_of(key, body) for key in encoded}
    parts = range(0, ENTRIES - BATCH, BATCH)
    values = [dict.fromkeys(keys[at : at + BATCH], VALUE) for at in parts]
    bodies = [Batch(puts=dict.fromkeys(encoded[at : at + BATCH], body)) for at in parts]
    sealed = [{key: rows[key] for key in encoded[at : at + BATCH]} for at in parts]
    bounds = [(keys[at], keys[at + BATCH]) for at in parts]

    def one(turn: int) -> int:
        return turn * 7 % ENTRIES

    def some(turn: int) -> int:
        return turn % len(parts)

    def range_of(turn: int) -> tuple[bytes, bytes]:
        start, stop = bounds[some(turn)]
        return encode(start), encode(stop)

    return {
        OPERATIONS[0]: (
            lambda turn: shelf[keys[one(turn)]],
            lambda turn: engine.get(encoded[one(turn)]),
            lambda turn: peer.get(encoded[one(turn)]),
        ),
        OPERATIONS[1]: (
            lambda turn: shelf.__setitem__(keys[one(turn)], VALUE),
            lambda turn: engine.put(encoded[one(turn)], body),
            lambda turn: peer.set(encoded[one(turn)], rows[encoded[one(turn)]]),
        ),
        OPERATIONS[2]: (
            lambda turn: shelf.update(values[some(turn)]),
            lambda turn: engine.commit(bodies[some(turn)]),
            lambda turn: peer.update(sealed[some(turn)]),
        ),
        OPERATIONS[3]: (
            lambda turn: count(shelf.items(start=bounds[some(turn)][0], stop=bounds[some(turn)][1])),
            lambda turn: sum(map(len, engine.pages(*range_of(turn)))),
            lambda turn: len(peer.scan(*range_of(turn))),
        ),
        OPERATIONS[4]: (
            lambda _: count(shelf.items()),
            lambda _: sum(map(len, engine.pages(FIRST, LAST))),
            lambda _: len(peer.scan(FIRST, LAST)),
        ),
    }


def count(items: Iterable[object]) -> int:
    """Count the items by iteration. ``list`` would ask a view for its length first."""
    return sum(1 for _ in items)


def measure(peer: Peer, rounds: int) -> dict[str, dict[str, float]]:
    """The median of each operation in microseconds, and its ratio to the bare client's."""
    peer.shelf.update({f"key/{number:06}": VALUE for number in range(ENTRIES)})
    figures = {}
    for name, steps in steps_of(peer).items():
        times: list[list[float]] = [[] for _ in steps]
        for turn in range(rounds if "of" not in name else max(20, rounds // 10)):
            for each, step in zip(times, steps, strict=True):
                began = time.perf_counter()
                step(turn)
                each.append(time.perf_counter() - began)
        shelf, engine, bare = (statistics.median(each[len(each) // 10 :]) * 1e6 for each in times)
        figures[name] = {
            "bare_us": round(bare, 1),
            "engine_us": round(engine, 1),
            "shelf_us": round(shelf, 1),
            "engine_ratio": round(engine / bare, 2),
            "shelf_ratio": round(shelf / bare, 2),
        }
    return figures


def main() -> None:
    """Measure the engines that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", default=sorted(PEERS), help="which engines to measure")
    parser.add_argument("--rounds", type=int, default=3000)
    parser.add_argument("--results", type=Path, help="write the figures to this file, as JSON")
    arguments = parser.parse_args()
    found = {}
    for name in arguments.engines:
        with PEERS[name].started() as peer:
            found[name] = measure(peer, arguments.rounds)
        print(f"{name} ({peer.shelf.capabilities.server})")
        for operation, figures in found[name].items():
            print(
                f"  {operation:14} bare {figures['bare_us']:8.1f} us"
                f"   engine {figures['engine_us']:8.1f} us, {figures['engine_ratio']:.2f} times"
                f"   shelf {figures['shelf_us']:8.1f} us, {figures['shelf_ratio']:.2f} times"
            )
    if arguments.results:
        arguments.results.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
