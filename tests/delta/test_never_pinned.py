"""Nobody who reads keeps the pages of a table: it stays small whatever is held open, and for however many commits."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from insides import current_table, environment_of, flush_all, table_pages
from support import Crew

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "never_pinned"

pytestmark = pytest.mark.usefixtures("tables")

COMMITS = 20_000
# One commit takes some three pages. A pin would keep all of them. A flush that waits for the processor keeps some.
MOST = COMMITS  # pages


def test_an_iterator_and_a_snapshot_that_are_held_cost_the_delta_nothing(crew: Crew, path: str) -> None:
    with coshelf.open(path, flush_interval=0.02) as shelf:
        shelf.update(dict.fromkeys(range(500), (0, "x" * 100)))
        shelf.sync()
        shelf["waiting"] = 1
        reader = crew.start(
            SCRIPTS / "holding_reader.py",
            path,
        )
        reader.expect("holding")
        with shelf.snapshot() as held:
            items = iter(shelf.items())
            next(items)
            for turn in range(COMMITS):
                shelf[turn % 500] = (turn, "y" * 100)
            pages = table_pages(shelf)
            assert current_table(shelf).identity.generation == 0
            assert held[0] == (0, "x" * 100)
            assert sum(1 for _ in items) == 500
        reader.tell()
        reader.finish()
        assert pages < MOST


def test_readers_in_a_loop_cost_it_nothing_either(path: str) -> None:
    with coshelf.open(path, flush_interval=0.02) as shelf:
        shelf.update(dict.fromkeys(range(100), 0))
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                assert len(list(shelf.items())) == 100
                shelf.get(5)
                len(shelf)

        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        grown = []
        for _ in range(7):
            before = table_pages(shelf)
            for turn in range(500):
                shelf[turn % 100] = turn
            grown.append(table_pages(shelf) - before)
        stop.set()
        for thread in threads:
            thread.join()
        # Whom the system stops in the middle of a read keeps pages for as long: that shows in some of the parts.
        assert sorted(grown)[3] < 500, grown


@pytest.mark.parametrize("walk", ["all", "part", "one", "backwards", "count"])
def test_scans_that_ended_keep_no_place_of_a_reader(path: str, walk: str) -> None:
    with coshelf.open(path) as shelf:
        shelf.update(dict.fromkeys(range(300), 0))
        shelf.sync()
        steps: dict[str, Callable[[], object]] = {
            "all": lambda: list(shelf.items()),
            "part": lambda: list(shelf.keys(start=100, stop=150)),
            "one": lambda: next(iter(shelf.items())),
            "backwards": lambda: next(reversed(shelf.keys())),
            "count": lambda: len(shelf.keys(start=7)),
        }
        base = environment_of(shelf).base
        gc.disable()
        try:
            for _ in range(50):
                steps[walk]()
            assert len(base.readers()) < 10
        finally:
            gc.enable()


def test_no_reader_slot_of_the_delta_stays_in_use(path: str) -> None:
    with coshelf.open(path, flush_interval=1000) as shelf:
        shelf["first"] = 1
        flush_all(shelf)
        shelf["a"] = 1
        with shelf.snapshot() as snapshot:
            items = iter(shelf.items())
            next(items)
            cursor = snapshot.cursor()
            cursor.first()
            shelf.get("a"), len(shelf), shelf.get_many(["a"]), "a" in shelf
            delta = current_table(shelf)
            with delta.begin_write() as transaction:
                last = transaction.id() - 1
                transaction.abort()
            # A slot shows the transaction that is being read, or that nothing is.
            lines = [line.split() for line in delta.lmdb.readers().splitlines()[1:]]
            assert [line[2] for line in lines if len(line) == 3 and line[2] != "-"] == [], (last, lines)
