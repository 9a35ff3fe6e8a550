"""``writeback=True`` in threads that share a shelf. docs/reference/rules.md."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from unit_support import Pair

import coshelf
from coshelf.mapping import holders
from coshelf.mapping.holders import Holders


def in_threads(*works: Callable[[], None]) -> None:
    failed: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    if failed:
        raise failed[0]


@pytest.mark.parametrize("engine", ["lmdb", "sqlite", "memory"])
@pytest.mark.parametrize("nested", [False, True])
def test_threads_that_append_and_sync_lose_nothing(engine: str, nested: bool, tmp_path: Path) -> None:
    target = {"lmdb": tmp_path / "my.shelf", "sqlite": f"sqlite:{tmp_path}/my.shelf", "memory": "memory:"}[engine]
    with coshelf.open(target, writeback=True) as shelf:
        shelf["l"] = {"inner": []}

        def work() -> None:
            for turn in range(40):
                inner = shelf["l"]["inner"] if nested else shelf["l"].setdefault(threading.get_ident(), [])
                inner.append(turn)
                shelf.sync()

        in_threads(*[work] * 8)
        shelf.sync()
        assert sum(map(len, shelf["l"].values())) == 8 * 40


def test_threads_that_store_anew_and_sync_are_not_taken_for_somebody_else(pair: Pair) -> None:
    def change() -> None:
        for turn in range(60):
            pair.mine["a"].append(turn)
            pair.mine.sync()

    def store() -> None:
        for turn in range(60):
            pair.mine["a"] = [turn]

    pair.mine["a"] = []
    in_threads(change, store, store)
    pair.mine.sync()


class Other:
    """A thread that does what it is told and lives until the end of the test."""

    def __init__(self) -> None:
        self._told: list[Callable[[], None] | None] = []
        self._turn = threading.Condition()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            with self._turn:
                assert self._turn.wait_for(lambda: self._told, 300)
                work = self._told[0]
            if work is not None:
                work()
            with self._turn:
                self._told.clear()
                self._turn.notify_all()
            if work is None:
                return

    def __call__(self, work: Callable[[], Any] | None) -> None:
        with self._turn:
            self._told.append(work)
            self._turn.notify_all()
            assert self._turn.wait_for(lambda: not self._told, 300)

    def end(self) -> None:
        self(None)
        self._thread.join(300)


@pytest.fixture
def other() -> Iterator[Other]:
    thread = Other()
    yield thread
    if thread._thread.is_alive():
        thread.end()


def test_what_another_thread_was_handed_stays_the_one_object_until_it_syncs(pair: Pair, other: Other) -> None:
    pair.theirs["a"] = [1]
    handed: list[Any] = []
    other(lambda: handed.append(pair.mine["a"]))
    pair.mine["a"].append(2)
    pair.mine.sync()
    assert pair.theirs["a"] == [1, 2]
    assert pair.mine["a"] is handed[0]
    handed[0].append(3)
    other(pair.mine.sync)
    assert pair.theirs["a"] == [1, 2, 3]


def test_what_a_thread_that_has_ended_was_handed_is_forgotten(pair: Pair, other: Other) -> None:
    other(lambda: pair.mine.setdefault("a", [1]))
    other.end()
    pair.mine["a"].append(2)
    pair.mine.sync()
    # A thread that flushes may have got the number of the one that has ended. It ends soon, too.
    end = time.monotonic() + holders.LONGEST / 2
    while pair.mine._cache._entries() and time.monotonic() < end:
        time.sleep(0.01)
        pair.mine.sync()
    assert not pair.mine._cache._entries()
    assert pair.theirs["a"] == [1, 2]


def test_what_another_thread_has_unchanged_does_not_hide_what_somebody_else_stored(pair: Pair, other: Other) -> None:
    pair.theirs["a"] = ["old"]
    other(lambda: pair.mine["a"])
    pair.theirs["a"] = ["new"]
    pair.mine.sync()
    assert pair.mine["a"] == ["new"]


def test_sync_in_a_transaction_is_refused_while_another_thread_waits_for_its_end(pair: Pair, other: Other) -> None:
    pair.mine["a"] = [1]
    begun = threading.Event()

    def write_back() -> None:
        begun.set()
        pair.mine.sync()

    with pair.mine.transaction() as transaction:
        transaction["b"] = 1
        other(lambda: pair.mine["a"].append(2))
        thread = threading.Thread(target=write_back)
        thread.start()
        assert begun.wait(300)
        with pytest.raises(coshelf.TransactionInProgress):
            pair.mine.sync()
    thread.join(300)
    pair.mine.sync()
    assert dict(pair.theirs) == {"a": [1, 2], "b": 1}


def test_nothing_is_remembered_of_what_is_not_kept(pair: Pair) -> None:
    pair.theirs.update({number: number for number in range(100)})
    for number in range(200):
        assert pair.mine.get(number) == (number if number < 100 else None)
    assert not pair.mine._cache._holders._asked


# --- who was handed what ---------------------------------------------------------------------------------------------


def test_key_is_held_until_every_thread_that_asked_has_synced(other: Other) -> None:
    holders = Holders()
    holders.note("a")
    assert not holders.release("a")
    holders.note("a")
    other(lambda: holders.note("a"))
    assert holders.release("a")
    assert holders.release_all() == {"a"}
    other(lambda: holders.release("a"))
    assert not holders.release("a")
    assert holders.release_all() == set()


def test_thread_that_has_not_asked_for_long_holds_nothing(other: Other, monkeypatch: pytest.MonkeyPatch) -> None:
    holders = Holders()
    other(lambda: holders.note("a"))
    monkeypatch.setattr("coshelf.mapping.holders.LONGEST", -1.0)
    assert not holders.release("a")
