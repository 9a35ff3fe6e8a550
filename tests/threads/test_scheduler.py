"""The scheduler finds races that were planted, repeats a schedule, and finds deadlocks."""

from __future__ import annotations

import sys
import weakref
from typing import Any

import pytest
from scheduler import Deadlock, Preempting, Scene, Seeded, explore, raise_errors, run

from coshelf.coordination.owners import Owners
from coshelf.system.threads import cooperation

THIS = "test_scheduler.py"


class Counter:
    """A planted race: another thread may add between the read and the write."""

    def __init__(self) -> None:
        self.number = 0

    def add(self) -> None:
        self.number += 1


class SafeCounter(Counter):
    def __init__(self) -> None:
        super().__init__()
        self._lock = cooperation.new_lock()

    def add(self) -> None:
        with self._lock:
            self.number += 1


def two_added(counter: Counter, made: Any) -> None:
    raise_errors(made)
    assert counter.number == 2


def counting(kind: type[Counter]) -> Scene:
    counter = kind()
    return counter, [counter.add, counter.add]


def test_a_counter_without_a_lock_is_found() -> None:
    with pytest.raises(AssertionError, match=r"under Preempting"):
        explore(lambda: counting(Counter), two_added, also=[THIS])


def test_a_counter_with_a_lock_passes() -> None:
    assert explore(lambda: counting(SafeCounter), two_added, preemptions=2, also=[THIS]) > 100


def test_random_schedules_find_it_too() -> None:
    with pytest.raises(AssertionError, match=r"under Seeded\(\d+, 0.3\)"):
        explore(lambda: counting(Counter), two_added, preemptions=0, seeds=range(200), chance=0.3, also=[THIS])


def test_the_same_schedule_gives_the_same_run() -> None:
    runs = [run(Seeded(7, 0.3), lambda: counting(SafeCounter), also=[THIS])[1] for _ in range(3)]
    assert len({(made.steps, *(task.ended for task in made.tasks)) for made in runs}) == 1


def test_a_deadlock_is_found_and_not_waited_for() -> None:
    def make() -> Scene:
        first, second = cooperation.new_lock(), cooperation.new_lock()

        def both(one: Any, other: Any) -> None:
            with one, other:
                pass

        return None, [lambda: both(first, second), lambda: both(second, first)]

    with pytest.raises(Deadlock):
        explore(make, lambda _, made: raise_errors(made), also=[THIS])


def test_a_lock_with_a_timeout_is_no_deadlock() -> None:
    def make() -> Scene:
        lock = cooperation.new_lock()
        lock.acquire()
        return lock, [lambda: cooperation.acquire(lock, 3600.0), lambda: None]

    _, made = run(Preempting(), make)
    assert made.tasks[0].result is False


# --- copies of faults that were repaired ------------------------------------------------------------------------------


class OldHandle:
    """``mapping/coordinating.py`` made the owners of turns like this."""

    owners: Owners | None = None

    def begin(self) -> Owners:
        if self.owners is None:
            self.owners = Owners(None, "", (), bool, bool)  # type: ignore[arg-type]
        return self.owners


def test_owners_that_were_made_twice_are_found() -> None:
    def make() -> Scene:
        handle = OldHandle()
        return handle, [handle.begin, handle.begin]

    def same(_: object, made: Any) -> None:
        raise_errors(made)
        assert made.tasks[0].result is made.tasks[1].result

    with pytest.raises(AssertionError, match="under Preempting"):
        explore(make, same, also=[THIS])


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="from Python 3.14 on, a WeakSet is iterated over as a copy")
def test_a_weak_set_that_changes_during_an_iteration_is_found() -> None:
    def make() -> Scene:
        objects = [Counter(), Counter()]
        known = weakref.WeakSet(objects[:1])
        return objects, [lambda: list(known), lambda: known.add(objects[1])]

    with pytest.raises(AssertionError, match="changed size during iteration"):
        explore(make, lambda _, made: raise_errors(made))
