"""What a watch tells, on every engine that tells every commit."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import coshelf
from coshelf.errors import ShelfClosed, Unsupported, WaitTimeout
from coshelf.testing.contract.task import Task

Shelf = coshelf.Shelf[Any, Any]
PATIENCE = 60  # seconds


def told(watch: coshelf.Watch[Any, Any]) -> list[Any]:
    """What waits to be told."""
    found = []
    while (change := watch.next(0)) is not None:
        found.append((change.kind, change.key, change.value))
    return found


def some(watch: coshelf.Watch[Any, Any], count: int) -> list[coshelf.Change[Any, Any]]:
    """The next changes, so many."""
    found = []
    while len(found) < count:
        change = watch.next(PATIENCE)
        assert change is not None, found
        found.append(change)
    return found


# --- what is told ----------------------------------------------------------------------------------------------------


def test_each_write_is_told_with_its_value(shelf: Shelf) -> None:
    shelf["before"] = 1
    with shelf.watch() as watch:
        shelf["a"] = [1]
        shelf.modify("a", lambda value: [*value, 2])
        shelf.update({"b": 1, "a": 0})
        del shelf["a"]
        assert shelf.pop("b") == 1
        shelf.clear()
        assert told(watch) == [
            ("set", "a", [1]),
            ("set", "a", [1, 2]),
            ("set", "a", 0),
            ("set", "b", 1),
            ("deleted", "a", None),
            ("deleted", "b", None),
            ("deleted", "before", None),
        ]


def test_keys_of_every_type_come_back(shelf: Shelf) -> None:
    keys = [None, 1, 1.5, "text", b"bytes", ("a", 1), "k" * 900]
    with shelf.watch() as watch:
        shelf.update((key, repr(key)) for key in reversed(keys))
        assert told(watch) == [("set", key, repr(key)) for key in sorted(keys, key=coshelf.keys.encode)]


def test_conditions_are_those_of_views(shelf: Shelf) -> None:
    keys = ["a", "jobs/1", "jobs/2", "jobs/2/part", "jobsx", 3, ("jobs/", 1)]
    for conditions in (
        {"glob": "jobs/*"},
        {"glob": "jobs/**"},
        {"prefix": "jobs/"},
        {"start": "jobs/2"},
        {"stop": "jobs/2"},
        {"glob": "*2*", "start": "b"},
        {"prefix": ("jobs/",)},
        {"glob": "jobs/1"},
        {"glob": "*", "stop": 0},
    ):
        watch = shelf.watch(**conditions)
        shelf.update(dict.fromkeys(keys, 1))
        assert [key for _, key, _ in told(watch)] == list(shelf.keys(**conditions)), conditions
        shelf.clear()
        watch.close()


def test_sub_tells_its_own_keys(shelf: Shelf) -> None:
    users = shelf.sub("users")
    with users.watch() as watch, users.sub("x").watch("b*") as inner:
        shelf["users/ann"] = 1
        users["bob"] = 2
        users[5] = 3
        users.sub("x")["b"] = 4
        shelf["other"] = 5
        shelf["users/", 1, 2] = 6  # a longer tuple, which is not the sub's
        users.clear()
        assert [change[:2] for change in told(watch)] == [
            *(("set", key) for key in ("ann", "bob", 5, "x/b")),
            *(("deleted", key) for key in ("ann", "bob", "x/b", 5)),  # as in the whole shelf
        ]
        assert told(inner) == [("set", "b", 4), ("deleted", "b", None)]


def test_transaction_is_told_as_one_commit_when_it_is_over(shelf: Shelf) -> None:
    with shelf.watch() as watch:
        with shelf.transaction() as transaction:
            transaction["b"] = 1
            shelf["a"] = 2
            transaction["b"] = 3
            assert told(watch) == []
        changes = some(watch, 2)
        assert [(change.key, change.value, change.is_last) for change in changes] == [("a", 2, False), ("b", 3, True)]
        with pytest.raises(ZeroDivisionError), shelf.transaction() as transaction:
            transaction["c"] = 1 // 0
        assert told(watch) == []


def test_own_rows_of_coshelf_are_not_told(shelf: Shelf) -> None:
    @shelf.memoize
    def square(x: int) -> int:
        return x * x

    with shelf.watch() as watch:
        shelf.set("a", 1, expire=3600, tags=("red",))
        square(4)
        assert [(kind, value) for kind, _, value in told(watch)] == [("set", 1), ("set", 16)]


def test_watch_begins_when_it_is_made(shelf: Shelf) -> None:
    shelf["before"] = 1
    watch = shelf.watch()
    shelf["a"] = 1
    assert told(watch) == [("set", "a", 1)]
    watch.close()


def test_watch_waits_until_another_thread_writes(any_shelf: Shelf) -> None:
    with any_shelf.watch("a") as watch:
        waiting = Task(lambda: next(watch))
        assert waiting.still_runs()
        any_shelf["b"] = 1
        assert waiting.still_runs()
        any_shelf["a"] = 2
        change = waiting.finish()
        assert (change.key, change.kind, change.value) == ("a", "set", 2)


def test_iteration_ends_at_its_timeout_and_may_go_on(any_shelf: Shelf) -> None:
    with any_shelf.watch(timeout=0.05) as watch:
        assert list(watch) == []
        any_shelf["a"] = 1
        assert [change.key for change in watch] == ["a"]
    for timeout in (-1, float("nan")):
        with pytest.raises(ValueError, match="timeout"):
            any_shelf.watch(timeout=timeout)


def test_latest_merges_the_changes_of_one_key_that_wait(shelf: Shelf) -> None:
    with shelf.watch(latest=True) as watch:
        for number in range(5):
            shelf["a"] = number
            shelf["b", number] = number
        shelf.update({"a": "end", "c": 1})
        del shelf["c"]
        assert told(watch) == [
            *(("set", ("b", number), number) for number in range(5)),
            ("set", "a", "end"),
            ("deleted", "c", None),
        ]
        shelf["a"] = "later"
        assert told(watch) == [("set", "a", "later")]


def test_changes_of_many_threads_lead_to_the_content(shelf: Shelf) -> None:
    def write(name: int) -> None:
        for number in range(50):
            shelf[number % 7, name] = number
            shelf.update({"all": (name, number), number: name})

    with shelf.watch() as watch:
        writers = [Task(lambda name=name: write(name)) for name in range(3)]
        model = {change.key: change.value for change in some(watch, 3 * 150)}
        for writer in writers:
            writer.finish()
        assert told(watch) == []
    assert model == dict(shelf)


def test_entries_that_expire_are_told_though_nobody_writes(shelf: Shelf) -> None:
    with shelf.watch() as watch, shelf.watch("b") as other:
        shelf.set("a", 1, expire=0.05)
        shelf.set("b", 2, expire=0.1)
        shelf.set("c", 3, expire=3600)
        assert [(change.kind, change.key, change.value) for change in some(watch, 5)] == [
            *(("set", key, value) for key, value in (("a", 1), ("b", 2), ("c", 3))),
            *(("expired", key, None) for key in "ab"),
        ]
        assert [change.kind for change in some(other, 2)] == ["set", "expired"]


# --- values ----------------------------------------------------------------------------------------------------------


def test_value_is_that_of_the_commit_and_decoded_once(shelf: Shelf) -> None:
    with shelf.watch() as watch:
        shelf["a"] = [1]
        shelf["a"] = [2]
        change, later = some(watch, 2)
    assert change.value is change.value
    assert (change.value, later.value) == ([1], [2])
    assert change.record is not None
    assert change.record.preview().text == "[1]"
    with pytest.raises(AttributeError):
        change.key = "other"  # type: ignore[misc]
    assert repr(change).startswith("<Change of 'a': set, version ")


def test_values_of_other_codecs_are_told() -> None:
    with coshelf.open("memory:", codec="json") as shelf, shelf.watch() as watch:
        shelf["a"] = {"b": 1}
        assert told(watch) == [("set", "a", {"b": 1})]


def test_large_arrays_are_told_like_other_values(shelf: Shelf) -> None:
    array = np.arange(100_000)
    with shelf.watch() as watch:
        shelf["array"] = array
        (change,) = some(watch, 1)
        assert np.array_equal(change.value, array)


def test_watch_of_a_shelf_with_writeback_tells_what_is_written_back(target: Any) -> None:
    with coshelf.open(target, writeback=True) as shelf, shelf.watch() as watch:
        shelf["a"] = []
        shelf["a"].append(1)
        shelf.sync()
        assert told(watch)[-1] == ("set", "a", [1])


# --- going on --------------------------------------------------------------------------------------------------------


def test_every_version_is_where_to_go_on(shelf: Shelf) -> None:
    with shelf.watch() as watch:
        begin = watch.version
        shelf["x"] = 0
        shelf.update({"a": 1, "b": 1, "c": 1})
        shelf.update({"a": 2, "jobs/1": 2})
        del shelf["b"]
        changes = some(watch, 7)
        whole = [(change.kind, change.key, change.value) for change in changes]
        for at, version in enumerate([begin, *(change.version for change in changes)]):
            with shelf.watch(since=version) as again:
                assert again.version == version
                assert told(again) == whole[at:]
            with shelf.watch("a", since=version) as again:
                assert told(again) == [change for change in whole[at:] if change[1] == "a"]
    assert changes[-1].version == shelf.version
    assert [change.version == changes[3].version for change in changes if change.is_last].count(True) == 1


def test_version_may_be_given_as_text(shelf: Shelf) -> None:
    before = shelf.version
    with shelf.watch():
        shelf["a"] = 1
        with shelf.watch(since=str(before)) as again:
            assert told(again)[-1] == ("set", "a", 1)


@pytest.mark.parametrize("since", ["nonsense", -1, "[1,2]", '[1,true,"00"]', "[" * 10_000, "٣", '[1,2,"zz"]'])
def test_what_is_no_version_is_refused(shelf: Shelf, since: Any) -> None:
    with pytest.raises(ValueError, match=r"version|position"):
        shelf.watch(since=since)
    with pytest.raises(ValueError, match=r"version|position"):
        shelf.wait("a", since=since)


@pytest.mark.parametrize("since", [1.5, True, b"1", ()])
def test_what_cannot_be_a_version_is_refused(shelf: Shelf, since: Any) -> None:
    with pytest.raises(TypeError, match="version"):
        shelf.watch(since=since)


def test_version_moves_on_with_commits_of_other_keys(shelf: Shelf) -> None:
    with shelf.watch("a*") as watch:
        shelf["ax/y"] = 1  # in the range of the glob, and no match
        assert told(watch) == []
        assert watch.version == shelf.version


def position_of_last(shelf: Shelf) -> Any:
    """The position right after the last commit, which was to "a". Unlike ``version`` this has nothing kept."""
    engine = shelf._handle.engine
    if engine.name == "lmdb":
        return shelf.version
    return engine._history.position if engine.name == "mapping" else shelf.record("a").version


def test_who_comes_too_late_is_told_one_gap_and_then_the_changes(shelf: Shelf) -> None:
    shelf["a"] = 1
    before = position_of_last(shelf)
    shelf["a"] = 2  # nobody watches; lmdb knows the last commits in any case
    with shelf.watch(since=before, timeout=0) as watch:
        assert told(watch) == [("set", "a", 2) if shelf._handle.engine.name == "lmdb" else ("gap", None, None)]
        shelf["a"] = 3
        with shelf.watch(since=watch.version) as again:
            assert told(again) == told(watch) == [("set", "a", 3)]


def test_interrupted_step_goes_on_where_it_was(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    with shelf.watch() as watch:
        shelf.update({"a": 1, "b": 2})
        shelf["c"] = 3
        (first,) = some(watch, 1)
        assert first.key == "a"
        watch._waiting.clear()  # as if it had been interrupted after a read
        monkeypatch.setattr(type(watch), "_take", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            watch.next(0)
        monkeypatch.undo()
        assert told(watch) == [("set", "b", 2), ("set", "c", 3)]


def _interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


# --- the end ---------------------------------------------------------------------------------------------------------


def test_watch_that_is_closed_by_another_thread_ends(any_shelf: Shelf) -> None:
    watch = any_shelf.watch()
    waiting = Task(lambda: list(watch))
    assert waiting.still_runs()
    watch.close()
    assert waiting.finish() == []
    watch.close()
    any_shelf["a"] = 1
    assert list(watch) == []


def test_shelf_that_is_closed_by_another_thread_ends_its_watches(target: Any) -> None:
    shelf = coshelf.open(target)
    watches = [shelf.watch(), shelf.sub("a").watch(), shelf.watch(latest=True)]
    waiting = [Task(lambda watch=watch: next(watch)) for watch in watches]
    assert all(task.still_runs() for task in waiting)
    shelf.close()
    for task in waiting:
        with pytest.raises(ShelfClosed):
            task.finish()
    for use in (shelf.watch, lambda: shelf.version, lambda: next(watches[0])):
        with pytest.raises(ShelfClosed):
            use()


def test_watch_that_is_dropped_is_forgotten(shelf: Shelf) -> None:
    for _ in range(3):
        for _change in shelf.watch(timeout=0):
            pass
    assert len(shelf._handle.watches) == 0


def test_watch_does_not_work_in_a_forked_child(shelf: Shelf) -> None:
    with shelf.watch() as watch:
        shelf["a"] = 1
        if (pid := os.fork()) == 0:
            status = 1
            try:
                with pytest.raises(ShelfClosed, match="parent"):
                    watch.next(0)
                watch.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0
        assert told(watch) == [("set", "a", 1)]


# --- what cannot be --------------------------------------------------------------------------------------------------


def test_engine_that_tells_nothing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with coshelf.open("memory:") as shelf:
        monkeypatch.setattr(shelf._handle.engine, "capabilities", replace(shelf.capabilities, changes=None))
        for use in (shelf.watch, lambda: shelf.version, lambda: shelf.wait("a", since=1)):
            with pytest.raises(Unsupported, match="does not tell of changes"):
                use()
        shelf["a"] = 1
        assert shelf.wait("a") == 1


# --- wait ------------------------------------------------------------------------------------------------------------


def test_wait_returns_when_the_key_changes_after_a_version(shelf: Shelf) -> None:
    shelf["a"] = 1
    before = shelf.version
    shelf["a"] = 2
    assert shelf.wait("a", since=before) == 2
    with pytest.raises(WaitTimeout):
        shelf.wait("a", timeout=0.01, since=shelf.version)
    waiting = Task(lambda: shelf.wait("a", since=shelf.version))
    assert waiting.still_runs()
    shelf["b"] = 1
    assert waiting.still_runs()
    shelf["a"] = 3
    assert waiting.finish() == 3


def test_wait_tells_that_the_key_was_deleted(shelf: Shelf) -> None:
    shelf["a"] = 1
    waiting = Task(lambda: shelf.wait("a", since=shelf.version))
    assert waiting.still_runs()
    del shelf["a"]
    with pytest.raises(KeyError):
        waiting.finish()


def test_wait_goes_by_the_versions_of_entries_where_these_number_commits(shelf: Shelf) -> None:
    shelf["a"] = 1
    before = position_of_last(shelf)
    shelf["b"] = 2  # nobody watches, so that this gives a gap, except on lmdb, which knows the last commits
    if shelf._handle.engine.name != "mapping":  # whose versions are random
        with pytest.raises(WaitTimeout):
            shelf.wait("a", timeout=0.01, since=before)
    else:
        assert shelf.wait("a", timeout=PATIENCE, since=before) == 1
    assert shelf.wait("b", timeout=PATIENCE, since=before) == 2
    if shelf._handle.engine.name != "lmdb":
        with pytest.raises(KeyError):
            shelf.wait("c", timeout=PATIENCE, since=before)


def test_several_threads_wait_for_one_change(shelf: Shelf) -> None:
    before = shelf.version
    barrier = threading.Barrier(4)

    def wait() -> object:
        barrier.wait(PATIENCE)
        return shelf.wait("a", PATIENCE, since=before)

    waiting = [Task(wait) for _ in range(3)]
    barrier.wait(PATIENCE)
    shelf["a"] = 1
    assert [task.finish() for task in waiting] == [1, 1, 1]
