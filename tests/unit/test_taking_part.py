"""Inside a transaction the shelf itself is the transaction's view, for the thread and the task that began it."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from insides import flush_all, until
from unit_support import ENTRIES, WRITES

import coshelf
from collecting import collect
from coshelf.system.threads.cooperation import ServiceThread


class StopHereError(Exception):
    pass


def _inside(shelf: Any, kind: str) -> Any:
    if kind == "edit":
        return shelf.edit("b")
    return shelf.transaction() if kind == "transaction" else shelf.sub("a").transaction()


KINDS = pytest.mark.parametrize("kind", ["edit", "transaction", "transaction of a namespace"])


def _in_thread(work: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def test_every_read_of_the_shelf_sees_what_the_transaction_wrote(shelf: Any) -> None:
    with shelf.transaction() as t:
        t["a"] = "new"
        del t["b"]
        assert shelf["a"] == shelf.get("a") == shelf.get_many(["a"])["a"] == shelf.wait("a", 0) == "new"
        assert "b" not in shelf
        assert shelf == t == dict(shelf.items())
        assert list(shelf) == list(t) == list(shelf.keys())
        assert len(shelf) == len(t) == len(ENTRIES) - 1
        assert list(shelf.values(reverse=True)) == list(t.values(reverse=True))
        assert shelf.cursor().first() == t.cursor().first()
        assert list(shelf.sub("a")) == list(t.sub("a"))
        assert _in_thread(lambda: dict(shelf)) == ENTRIES, "another thread sees what is committed"
        with shelf.snapshot() as snapshot:
            assert snapshot == ENTRIES, "and so does a snapshot"
    assert shelf["a"] == "new"


@pytest.mark.parametrize("kind", ["transaction", "transaction of a namespace"])
@pytest.mark.parametrize("name", sorted(WRITES.keys() - {"edit", "transaction"}))
def test_every_write_to_the_shelf_is_part_of_the_transaction(shelf: Any, kind: str, name: str) -> None:
    write = WRITES[name]
    expected = coshelf.open("memory:")
    expected.update(ENTRIES)
    write(expected)
    with pytest.raises(StopHereError), _inside(shelf, "transaction"):
        write(shelf)
        assert shelf == expected
        assert _in_thread(lambda: dict(shelf)) == ENTRIES
        raise StopHereError
    assert shelf == ENTRIES, "undone with the transaction"
    with _inside(shelf, kind):
        write(shelf)
    assert shelf == expected


def test_helpers_that_edit_and_modify_are_part_of_the_outer_commit(shelf: Any) -> None:
    def note(word: str) -> int:
        with shelf.edit("notes", default=[]) as notes:
            notes.append(word)
        count: int = shelf.modify("count", lambda count: count + 1, default=0)
        return count

    with pytest.raises(StopHereError), shelf.edit("b"):
        note("lost")
        raise StopHereError
    assert "notes" not in shelf
    with shelf.edit("b") as value:
        value["x"] = 2
        assert [note("one"), note("two")] == [1, 2]
    assert (shelf["b"], shelf["notes"], shelf["count"]) == ({"x": 2}, ["one", "two"], 2)


def test_a_transaction_within_is_undone_alone(shelf: Any) -> None:
    with shelf.transaction() as outer:
        outer["kept"] = 1
        with pytest.raises(StopHereError), shelf.transaction() as inner:
            inner["lost"] = shelf["lost too"] = outer["and this"] = 1
            inner.sub("a").clear()
            del inner["kept"]
            raise StopHereError
        with shelf.sub("a").transaction() as inner:
            inner["new"] = 2
        with pytest.raises(coshelf.ShelfClosed):
            inner["late"] = 1
        assert shelf.transact(lambda part: part.setdefault("three", 3)) == 3
    assert shelf == {**ENTRIES, "kept": 1, "a/new": 2, "three": 3}


def test_an_entry_written_within_its_own_edit_or_modify_is_refused(shelf: Any) -> None:
    """Either the inner or the outer change would be lost."""

    def inner(value: Any) -> Any:
        shelf["a"] = "inner"
        return value

    with pytest.raises(coshelf.TransactionInProgress, match="is being changed"):
        shelf.modify("a", inner)
    with pytest.raises(coshelf.TransactionInProgress, match="is being changed"), shelf.edit("b") as value:
        with shelf.edit("b") as again:
            again["x"] = 3
        value["x"] = 2
    assert shelf == ENTRIES


@KINDS
def test_what_cannot_be_part_of_a_transaction_says_so_at_once(shelf: Any, kind: str) -> None:
    with _inside(shelf, kind):
        for call in (shelf.compact, shelf.close):
            with pytest.raises(coshelf.TransactionInProgress, match="inside"):
                call()
        shelf.sync()
    assert shelf == ENTRIES


def test_another_task_of_the_same_loop_does_not_take_part(shelf: Any) -> None:
    async def edit(inside: asyncio.Event, over: asyncio.Event) -> None:
        with shelf.edit("b") as value:
            inside.set()
            await over.wait()
            value["x"] = shelf.modify("count", lambda count: count + 1, default=0)

    async def main() -> None:
        inside, over = asyncio.Event(), asyncio.Event()
        first = asyncio.create_task(edit(inside, over))
        await inside.wait()
        for write in WRITES.values():
            with pytest.raises(coshelf.TransactionInProgress, match="another task"):
                write(shelf)
        assert shelf == ENTRIES, "it reads what is committed"
        over.set()
        await first

    asyncio.run(main())
    assert (shelf["b"], shelf["count"]) == ({"x": 1}, 1)


def test_another_greenlet_does_not_take_part(shelf: Any) -> None:
    greenlet = pytest.importorskip("greenlet")

    def other() -> None:
        for write in WRITES.values():
            with pytest.raises(coshelf.TransactionInProgress, match="another task"):
                write(shelf)
        assert shelf == ENTRIES

    with shelf.transaction() as t:
        t["a"] = "new"
        greenlet.greenlet(other).switch()
        assert shelf["a"] == "new"


@pytest.mark.parametrize("name", sorted(WRITES))
def test_every_write_by_another_handle_says_the_same(path: Path, name: str) -> None:
    with coshelf.open(path) as mine, coshelf.open(path) as other:
        mine.update(ENTRIES)
        with mine.transaction(), pytest.raises(coshelf.TransactionInProgress, match="another task or handle began it"):
            WRITES[name](other)
        assert other == ENTRIES


def test_a_function_that_is_run_again_finds_what_it_did_undone() -> None:
    """On an engine without an exclusive lock ``modify`` calls it again after a conflict."""
    shelf = coshelf.open("memory:")
    engine = shelf._handle.engine
    engine.capabilities = dataclasses.replace(engine.capabilities, exclusive=None)
    shelf.update(count=0, calls=[])
    seen = []

    def count(value: int) -> int:
        seen.append((value, shelf.get("helped")))
        shelf["helped"] = len(seen)
        if len(seen) == 1:
            _in_thread(lambda: shelf.__setitem__("count", 10))
        assert shelf["helped"] == len(seen)
        return value + 1

    assert shelf.modify("count", count) == 11
    assert seen == [(0, None), (10, None)]
    assert (shelf["count"], shelf["helped"]) == (11, 2)
    with pytest.raises(StopHereError), shelf.transaction():
        shelf["lost"] = 1
        raise StopHereError
    assert "lost" not in shelf


def test_a_mutable_value_is_not_read_through_a_writeback_shelf_inside_its_transaction(path: Path) -> None:
    """Nobody would write back what is changed in it."""
    with coshelf.open(path, writeback=True) as shelf:
        shelf.update(list=[1], number=1)
        with shelf.transaction() as t:
            t["number"] = 2
            assert shelf["number"] == 2
            with pytest.raises(coshelf.TransactionInProgress, match="inside its own transaction"):
                shelf["list"]
            with shelf.edit("list") as edited:
                edited.append(2)
            shelf["other"] = [3]
        assert dict(shelf) == {"list": [1, 2], "number": 2, "other": [3]}


def test_a_finalizer_that_writes_in_the_middle_of_transactions_loses_nothing(path: Path) -> None:
    with coshelf.open(path, timeout=60, flush_interval=1000) as shelf:
        shelf.sub("ended")["first"] = True
        flush_all(shelf)  # in a few steps of a flush, a write of a finalizer is refused

        class Session:
            def __init__(self, number: int) -> None:
                self.me = self  # a cycle, so that the collector calls what follows wherever it happens to run
                self.number = number

            def __del__(self) -> None:
                shelf.sub("ended")[self.number] = True

        for number in range(300):
            Session(number)
            with shelf.transaction() as t:
                t[number] = [[] for _ in range(30)]
        collect()
        assert list(shelf.sub("ended")) == [*range(300), "first"]


def test_a_thread_that_begins_with_a_finalizer_that_writes_is_not_waited_for(path: Path) -> None:
    starter, thresholds = threading.get_ident(), gc.get_threshold()
    called: list[bool] = []
    with coshelf.open(path, timeout=60) as shelf:

        class Session:
            def __init__(self) -> None:
                self.me = self

            def __del__(self) -> None:
                if threading.get_ident() == starter:
                    Session()
                else:
                    called.append(True)
                    shelf["ended"] = True

        def collect() -> None:  # the collector often runs before this, which is what the test is about
            until(lambda: called or gc.collect() < 0)

        try:
            with shelf.transaction() as t:
                Session()
                thread = ServiceThread("test", collect)
                gc.set_threshold(1)
                thread.start()
                assert "ended" not in t
        finally:
            gc.set_threshold(*thresholds)
        thread.join()
        assert shelf["ended"]
