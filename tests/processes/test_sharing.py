"""One shelf handed to other processes, opened twice, and used by many threads."""

from __future__ import annotations

import os
import threading
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from support import Crew, beside, count_in_sub, count_up, count_up_and_close, square_by_path

import coshelf
from coshelf.errors import ShelfClosed, ShelfLocked

SCRIPTS = Path(__file__).parent / "scripts" / "sharing"


def test_a_shelf_is_pickled_to_a_spawned_process(path: str) -> None:
    with coshelf.open(path) as shelf:
        child = get_context("spawn").Process(target=count_up_and_close, args=(shelf, 30))
        child.start()
        count_up(shelf, 30)
        child.join()
        assert child.exitcode == 0
        assert dict(shelf) == {"count": 60}
    assert beside(path) == ["a.shelf"]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_shelves_and_subs_go_through_a_pool_of_processes(path: str, method: str) -> None:
    with coshelf.open(path) as shelf, ProcessPoolExecutor(2, mp_context=get_context(method)) as pool:
        sub = shelf.sub("users").sub("deep")
        sub["mine"] = 1
        assert pool.submit(count_in_sub, sub).result() == ["child", "mine"]
        pids = set(pool.map(count_up, [shelf] * 20, [5] * 20))
        assert os.getpid() not in pids
        assert shelf["count"] == 100
        assert shelf["users/deep/child"] != os.getpid()
        assert sorted(pool.map(square_by_path, [path] * 30, range(30), chunksize=5)) == list(range(30))
        assert all(shelf[number] == number * number for number in range(30))


def test_two_opens_share_one_environment_and_close_apart(crew: Crew, path: str) -> None:
    first = coshelf.open(path)
    second = coshelf.open(os.path.relpath(path))
    reading = coshelf.open(path, "r")
    first["a"] = 1
    with second.transaction() as t:
        t["b"] = 2
    snapshot = second.snapshot()
    first.close()
    with pytest.raises(ShelfClosed):
        first["a"]
    second["c"] = 3
    assert dict(reading) == {"a": 1, "b": 2, "c": 3}
    assert dict(snapshot) == {"a": 1, "b": 2}
    first.close()  # twice is fine, and is not somebody else's
    assert second["a"] == 1
    crew.run("with coshelf.open(path) as shelf: shelf['d'] = 4", path)
    second.close()
    assert reading["d"] == 4
    reading.close()
    assert beside(path) == ["a.shelf"]
    with coshelf.open(path) as again:
        assert len(again) == 4


@pytest.fixture
def many_switches() -> object:
    """Threads take turns far more often than usual."""
    import sys

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_eight_threads_share_one_shelf_for_everything(path: str, many_switches: object) -> None:
    def work(name: int) -> None:
        sub = shelf.sub(f"thread{name}")
        for turn in range(60):
            shelf.modify("count", lambda n: n + 1, default=0)
            shelf.setdefault(("turn", turn), name)
            sub[f"{turn}"] = turn
            assert sub[f"{turn}"] == turn
            with shelf.transaction() as t:
                t["a"] = t.get("a", 0) + turn
                t["b"] = t.get("b", 0) - turn
            with shelf.snapshot() as snapshot:
                assert snapshot["a"] + snapshot["b"] == 0
                assert sum(1 for key in snapshot.keys(prefix=("turn",))) <= 60
            found = shelf.get_many(["a", "b"])
            assert found["a"] + found["b"] == 0
            assert len(list(sub.items())) == turn + 1
            with shelf.edit("log", default=[]) as log:
                log.append(name)
            if turn % 20 == 0:
                with coshelf.open(path) as again:
                    assert again["count"] >= turn
            assert shelf.wait("count") > turn

    with coshelf.open(path) as shelf:
        with ThreadPoolExecutor(8) as pool:
            for result in [pool.submit(work, name) for name in range(8)]:
                result.result()
        assert shelf["count"] == 480
        assert Counter(shelf["log"]) == dict.fromkeys(range(8), 60)
        assert len(shelf.keys(prefix=("turn",))) == 60
        assert all(len(shelf.sub(f"thread{name}")) == 60 for name in range(8))
    assert beside(path) == ["a.shelf"]


def test_threads_read_while_the_file_grows(tmp_path: Path, many_switches: object) -> None:
    over = threading.Event()

    def read() -> int:
        looks = 0
        while not over.is_set() or not looks:
            shelf.get(0)
            with shelf.snapshot() as snapshot:
                len(snapshot)
            looks += 1
        return looks

    def write(name: int) -> None:
        for turn in range(150):
            shelf[name, turn] = bytes(50_000)

    with coshelf.open(tmp_path / "a.shelf") as shelf, ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        writers = [pool.submit(write, name) for name in range(2)]
        try:
            for writer in writers:
                writer.result()
        finally:
            over.set()
        assert all(reader.result() for reader in readers)
        assert len(shelf) == 300


USES = {
    "get": "shelf.get(1)",
    "scan": "list(shelf.items())",
    "keys": "list(shelf)",
    "snapshot": "with shelf.snapshot() as snapshot: snapshot[1]; list(snapshot); len(snapshot)",
    "set": "shelf[name] = 1",
    "update": "shelf.update({n: bytes(9000) for n in range(50)})",
    "transaction": "with shelf.transaction() as t: t[name] = t[1]",
    "modify": "shelf.modify(1, lambda value: value)",
    "pop": "shelf.pop('x', 1); shelf.setdefault(name, 1)",
    "wait": "shelf.wait('nothing', 0.01)",
    "len": "len(shelf)",
}


@pytest.mark.parametrize("use", [*USES, "all"])
def test_closing_while_threads_use_it_gives_them_shelf_closed_and_nothing_else(crew: Crew, path: str, use: str) -> None:
    """In a process of its own: a library that unmaps what a thread is reading takes the process with it."""
    uses = list(USES.values()) if use == "all" else [USES[use]] * 3
    crew.run(SCRIPTS / "closed_while_used.py", path, *uses)


def test_nothing_is_stored_after_the_last_flush_of_a_close(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module in C commits without a look at the shelf, and so does a thread while another one closes the shelf."""
    shelf = coshelf.open(path)
    shelf.update({"a": 1, "b": 2})
    shelf["a"] = shelf["a"]  # it is known by now that the delta is a log
    engine = shelf._handle.engine
    environment, stored = engine._environment, []

    def store() -> None:
        if not environment.users:
            stored.append(engine.quick_store("late", 1, b""))

    monkeypatch.setattr(environment.blobs, "collect", store)  # the last step before the files are closed
    shelf.close()
    assert stored
    assert set(stored) <= {False, NotImplemented}
    assert beside(path) == ["a.shelf"]
    with coshelf.open(path, "r") as again:
        assert dict(again) == {"a": 1, "b": 2}


def test_closing_ends_the_snapshots_and_iterators_of_the_shelf(path: str) -> None:
    shelf = coshelf.open(path)
    shelf.update({number: number for number in range(10)})
    snapshot = shelf.snapshot()
    items = iter(shelf.items())
    next(items)
    shelf.close()
    with pytest.raises(ShelfClosed):
        snapshot[1]
    with pytest.raises(ShelfClosed):
        next(items)
    assert beside(path) == ["a.shelf"]


def test_two_threads_of_one_process_take_turns_with_other_processes(crew: Crew, path: str) -> None:
    other = crew.start(
        SCRIPTS / "takes_turns.py",
        path,
    )
    with coshelf.open(path) as shelf:

        def work() -> None:
            for _ in range(100):
                with shelf.transaction() as t:
                    t["n"] = t.get("n", 0) + 1

        with ThreadPoolExecutor(2) as pool:
            for result in [pool.submit(work), pool.submit(work)]:
                result.result()
        other.finish()
        assert shelf["n"] == 300


def test_a_timeout_of_zero_does_not_wait(path: str) -> None:
    with coshelf.open(path, timeout=0) as shelf, ThreadPoolExecutor(1) as pool:
        with shelf.transaction() as t:
            t["a"] = 1
            with pytest.raises(ShelfLocked):
                pool.submit(shelf.update, b=1).result()
        shelf["c"] = 1
        assert dict(shelf) == {"a": 1, "c": 1}
