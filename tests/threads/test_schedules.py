"""What two threads do at once, under every schedule with one switch between two bytecodes, and under random ones."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from itertools import combinations_with_replacement, count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from scenes import Shelf, closes, is_closed_at_most, linearizable, two
from scheduler import Run, Scene, explore, raise_errors

import coshelf
from coshelf.contract import OpenOptions
from coshelf.coordination.takers import Takers
from coshelf.engines import directory_lock
from coshelf.engines.directory_lock import DirectoryLock
from coshelf.engines.files.locked import LockedDirectory
from coshelf.engines.lmdb.environment import Environment
from coshelf.engines.local_lock import LocalBell, LocalLock
from coshelf.engines.periodic import Periodic
from coshelf.engines.sqlite.connections import Connections
from coshelf.mapping.lapsing import MISSING
from coshelf.mapping.memoized_entries import Entries
from coshelf.system.processes.deaths import Watch
from coshelf.system.processes.identity import this_process
from coshelf.system.threads.living import Living


def memory(**options: Any) -> Shelf:
    return coshelf.open("memory:", **options)


def mapping() -> Shelf:
    return coshelf.open({})


@pytest.fixture
def database(tmp_path: Path) -> Callable[[], Shelf]:
    numbers = count()
    return lambda: coshelf.open(f"sqlite:{tmp_path / str(next(numbers))}")


def no_errors(_: object, made: Run) -> None:
    raise_errors(made)


def same(_: object, made: Run) -> None:
    raise_errors(made)
    assert made.tasks[0].result is made.tasks[1].result


# --- the operations of a dict -----------------------------------------------------------------------------------------

ACTS: dict[str, Callable[[Shelf], Any]] = {
    "set": lambda shelf: shelf.__setitem__("a", "set"),
    "get": lambda shelf: shelf.get("a"),
    "del": lambda shelf: shelf.__delitem__("a"),
    "pop": lambda shelf: shelf.pop("a", None),
    "setdefault": lambda shelf: shelf.setdefault("a", "default"),
    "modify": lambda shelf: shelf.modify("a", lambda value: f"{value}+", default="none"),
    "popitem": lambda shelf: shelf.popitem(),
    "update": lambda shelf: shelf.update({"a": "updated", "b": "updated"}),
    "items": lambda shelf: list(shelf.items()),
    "incr": lambda shelf: shelf.incr("n"),
    "clear": lambda shelf: shelf.clear(),
}
PAIRS = list(combinations_with_replacement(ACTS, 2))


def begin(shelf: Shelf) -> None:
    shelf["a"] = "first"


@pytest.mark.parametrize("opened", [memory, mapping])
def test_calls_seem_to_come_one_by_one(opened: Callable[[], Shelf]) -> None:
    for number, pair in enumerate(PAIRS):
        make, check = linearizable(opened, [ACTS[name] for name in pair], before=begin)
        explore(make, check, preemptions=0, seeds=range(2 * number, 2 * number + 2))


def test_calls_on_a_database_seem_to_come_one_by_one(database: Callable[[], Shelf]) -> None:
    for number, pair in enumerate([("pop", "setdefault"), ("modify", "modify"), ("update", "items"), ("incr", "incr")]):
        make, check = linearizable(database, [ACTS[name] for name in pair], before=begin)
        explore(make, check, preemptions=0, seeds=range(2 * number, 2 * number + 2))


@pytest.mark.parametrize("names", [("setdefault", "pop"), ("set", "items"), ("incr", "incr")])
def test_calls_seem_to_come_one_by_one_wherever_one_is_interrupted(names: tuple[str, str]) -> None:
    make, check = linearizable(memory, [ACTS[name] for name in names], before=begin)
    assert explore(make, check, stride=25) > 20


@pytest.mark.long
@pytest.mark.parametrize("opened", [memory, mapping])
@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_all_pairs_of_calls_wherever_one_is_interrupted(opened: Callable[[], Shelf], names: tuple[str, str]) -> None:
    make, check = linearizable(opened, [ACTS[name] for name in names], before=begin)
    explore(make, check, seeds=range(300))


@pytest.mark.long
def test_three_calls_at_once_under_thousands_of_schedules() -> None:
    for names in [("setdefault", "pop", "modify"), ("incr", "incr", "items"), ("update", "clear", "popitem")]:
        make, check = linearizable(memory, [ACTS[name] for name in names], before=begin)
        explore(make, check, threads=3, preemptions=0, seeds=range(2_000))


# --- opening, closing, and what is made at its first use --------------------------------------------------------------


@pytest.mark.parametrize("opened", [memory, mapping])
def test_two_threads_may_close_a_shelf_at_once(opened: Callable[[], Shelf]) -> None:
    explore(two(opened, lambda shelf: shelf.close(), lambda shelf: shelf.close()), closes)


def test_two_threads_may_close_a_database_at_once(database: Callable[[], Shelf]) -> None:
    explore(
        two(database, lambda shelf: shelf.close(), lambda shelf: shelf.close()), closes, preemptions=0, seeds=range(20)
    )


@pytest.mark.parametrize("name", ["set", "get", "items"])
def test_a_shelf_may_be_closed_while_it_is_used(name: str) -> None:
    scene = two(memory, lambda shelf: shelf.close(), ACTS[name], before=begin)
    explore(scene, is_closed_at_most, preemptions=0, seeds=range(60))


def test_a_database_may_be_closed_while_it_is_used(database: Callable[[], Shelf]) -> None:
    scene = two(database, lambda shelf: shelf.close(), ACTS["items"], before=begin)
    explore(scene, is_closed_at_most, preemptions=0, seeds=range(20))


def test_a_watch_may_begin_while_the_shelf_is_closed() -> None:
    explore(two(memory, lambda shelf: shelf.close(), lambda shelf: shelf.watch()), is_closed_at_most, stride=7)


def test_two_first_locks_have_the_same_owners() -> None:
    explore(two(memory, lambda shelf: shelf.lock("a").owners, lambda shelf: shelf.lock("b").owners), same)


def test_two_first_memoized_functions_have_the_same_claims() -> None:
    def claims(shelf: Shelf) -> object:
        return Entries(shelf, MISSING, ()).claims()

    explore(two(memory, claims, claims), same)


def test_two_first_openings_of_a_directory_have_the_same_lock_of_writers(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)

    def make() -> Scene:
        directory_lock._by_directory.clear()
        locks: list[DirectoryLock] = []

        def begin() -> object:
            locks.append(DirectoryLock(descriptor, "here", LockedDirectory(lambda: os.dup(descriptor))))
            return locks[-1]._threads

        return locks, [begin, begin]

    try:
        explore(make, same)
    finally:
        os.close(descriptor)


def test_two_handles_that_open_at_once_are_both_noted() -> None:
    def make() -> Scene:
        environment = SimpleNamespace(flush_interval=float("inf"), may_write=False)
        reads, writes = OpenOptions(flag="r", flush_interval=1.0), OpenOptions(flag="w", flush_interval=0.05)
        return environment, [partial(Environment.used_by, environment, each) for each in (reads, writes)]

    def check(environment: SimpleNamespace, made: Run) -> None:
        raise_errors(made)
        assert (environment.flush_interval, environment.may_write) == (0.05, True)

    explore(make, check, preemptions=2)


# --- what threads wait at ---------------------------------------------------------------------------------------------


def test_one_thread_has_the_lock_of_writers() -> None:
    def make() -> Scene:
        lock, inside, most = LocalLock("here"), [], []

        def hold() -> None:
            with lock.hold(60):
                inside.append(None)
                most.append(len(inside))
                assert lock.is_mine()
                inside.pop()

        return most, [hold, hold]

    def check(most: list[int], made: Run) -> None:
        raise_errors(made)
        assert most == [1, 1]

    explore(make, check, seeds=range(50))


def test_a_bell_wakes_whoever_waits() -> None:
    def make() -> Scene:
        bell = LocalBell()
        sequence = bell.sequence()
        return bell, [lambda: bell.wait(sequence, None), bell.ring]

    explore(make, no_errors)


def locked(shelf: Shelf) -> None:
    with shelf.lock("x", timeout=60):
        pass


def test_a_line_gives_its_turn_to_each() -> None:
    explore(two(memory, locked, locked), closes, preemptions=0, seeds=range(60))


def test_a_line_of_a_database_gives_its_turn_to_each(database: Callable[[], Shelf]) -> None:
    explore(two(database, locked, locked), closes, preemptions=0, seeds=range(10))


def test_a_table_of_turns_that_is_closed_is_not_kept(database: Callable[[], Shelf]) -> None:
    locks: list[Any] = []

    def check(shelf: Shelf, made: Run) -> None:
        is_closed_at_most(shelf, made)
        for lock in locks:
            with pytest.raises(coshelf.ShelfClosed):
                lock.acquire()

    def lock(shelf: Shelf) -> None:
        locks[:] = [shelf.lock("x", timeout=60)]
        with locks[0]:
            pass

    explore(two(database, lock, lambda shelf: shelf.close()), check, preemptions=0, seeds=range(30))


def test_a_queue_gives_each_item_once() -> None:
    def take(shelf: Shelf) -> Any:
        return shelf.queue("q").get(timeout=60)

    def fill(shelf: Shelf) -> None:
        shelf.queue("q").put(1)
        shelf.queue("q").put(2)

    def check(shelf: Shelf, made: Run) -> None:
        closes(shelf, made)
        assert sorted(task.result for task in made.tasks[:2]) == [1, 2]

    explore(two(memory, take, take, before=fill), check, preemptions=0, seeds=range(30))


def test_a_memoized_function_is_computed_once() -> None:
    computed: list[None] = []

    def make() -> Scene:
        computed.clear()
        shelf = memory()

        @shelf.memoize
        def double(number: int) -> int:
            computed.append(None)
            return 2 * number

        return shelf, [lambda: double(3), lambda: double(3)]

    def check(shelf: Shelf, made: Run) -> None:
        closes(shelf, made)
        assert [task.result for task in made.tasks[:2]] == [6, 6]
        assert len(computed) == 1

    explore(make, check, preemptions=0, seeds=range(30))


def test_a_watch_is_told_of_a_change() -> None:
    def watch(shelf: Shelf) -> object:
        with shelf.watch(since=0) as watch:
            change = watch.next(timeout=60)
            return change and change.key

    def check(shelf: Shelf, made: Run) -> None:
        closes(shelf, made)
        assert made.tasks[0].result in {"a", None}  # a gap, if the change came before anybody watched

    explore(two(memory, watch, ACTS["set"]), check, preemptions=0, seeds=range(30))


def test_a_watch_ends_when_the_shelf_is_closed() -> None:
    explore(
        two(memory, lambda shelf: list(shelf.watch()), lambda shelf: shelf.close()),
        is_closed_at_most,
        preemptions=0,
        seeds=range(30),
    )


class Counting(Periodic):
    """Counts how many of its threads run."""

    def __init__(self) -> None:
        self.needs: list[None] = []
        super().__init__("counting", 1.0)

    def _is_needed(self) -> bool:
        return bool(self.needs)

    def _step(self) -> None:
        assert len(self._threads) <= 1

    def use(self) -> None:
        self.needs.append(None)
        self._run_while_needed()
        time.sleep(3.0)
        assert len(self._threads) == 1
        self.needs.pop()


def test_a_periodic_thread_is_one() -> None:
    def make() -> Scene:
        periodic = Counting()
        return periodic, [periodic.use, periodic.use]

    def check(_: Counting, made: Run) -> None:
        raise_errors(made)
        assert len(made.tasks) == 3

    explore(make, check, seeds=range(30))


# --- counting, and objects that others add meanwhile ------------------------------------------------------------------


def test_waits_for_items_are_counted_exactly() -> None:
    def make() -> Scene:
        shelf = memory()
        takers = Takers(shelf._handle.engine)

        def wait() -> None:
            with takers.noticing():
                pass

        return (shelf, takers), [wait, wait]

    def check(scene: Any, made: Run) -> None:
        shelf, takers = scene
        closes(shelf, made)
        assert not takers._waiting

    explore(make, check, preemptions=2)


def test_the_living_are_known_while_others_are_added() -> None:
    def make() -> Scene:
        objects = [Counting(), Counting()]
        living: Living[Counting] = Living()
        living.add(objects[0])
        return objects, [lambda: list(living), lambda: living.add(objects[1])]

    explore(make, no_errors, preemptions=2, stride=3)


def test_an_end_is_told_once() -> None:
    def make() -> Scene:
        told: list[None] = []
        watch = Watch(this_process(), lambda: told.append(None), lambda: True, lambda: False)
        return told, [watch.finish, watch.finish]

    def check(told: list[None], made: Run) -> None:
        raise_errors(made)
        assert len(told) == 1

    explore(make, check, preemptions=2)


def test_connections_may_be_used_while_they_are_told_to_rest(database: Callable[[], Shelf]) -> None:
    def connections(shelf: Shelf) -> Connections:
        found: Connections = shelf._handle.engine._connections  # type: ignore[attr-defined]
        return found

    scene = two(database, lambda shelf: connections(shelf).rest(), ACTS["get"], before=begin)
    explore(scene, closes, preemptions=0, seeds=range(30), chance=0.1)


def test_a_snapshot_that_two_threads_close_counts_once(database: Callable[[], Shelf]) -> None:
    def make() -> Scene:
        shelf = database()
        begin(shelf)
        first = shelf._handle.engine.snapshot()
        return (shelf, first, first.snapshot()), [first.close, first.close]

    def check(scene: Any, made: Run) -> None:
        shelf, _, second = scene
        raise_errors(made)
        assert second.count(b"", b"\xff") >= 1
        second.close()
        shelf.close()

    explore(make, check, preemptions=0, seeds=range(8), chance=0.5)
