"""Threads that share one drop-in shelf with ``writeback``, forked and spawned processes, and damage."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import coshelf
import coshelf.dbm
from coshelf import records, shelve

SCRIPTS = Path(__file__).parent / "scripts" / "together"

# --- threads ---------------------------------------------------------------------------------------------------------


def in_threads(count: int, work: Any) -> None:
    failed: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    if failed:
        raise failed[0]


@pytest.mark.parametrize("nested", [False, True])
def test_threads_that_append_and_sync_lose_nothing(nested: bool, path: str) -> None:
    with shelve.open(path, writeback=True) as shelf:
        shelf["l"] = {"inner": []}

        def work(number: int) -> None:
            for turn in range(60):
                if nested:
                    shelf["l"]["inner"].append((number, turn))
                else:
                    shelf["l"].setdefault(number, []).append(turn)
                shelf.sync()

        in_threads(8, work)
    with shelve.open(path) as shelf:
        found = shelf["l"]
    assert sum(map(len, found.values())) == 8 * 60


def step_by_step(*steps: Any) -> None:
    """Run each step in a thread of its own, which lives until all are done; a generator goes on at its next turn."""
    end = threading.Event()
    begun: dict[Any, tuple[threading.Thread, list[threading.Event]]] = {}

    def run(step: Any, turns: list[threading.Event]) -> None:
        for _ in step:
            turns[1].set()
            turns[0].wait(300)
            turns[0].clear()
        turns[1].set()
        end.wait(300)

    for step in steps:
        if step not in begun:
            turns = [threading.Event(), threading.Event()]
            begun[step] = threading.Thread(target=run, args=(step, turns)), turns
            begun[step][0].start()
        else:
            begun[step][1][0].set()
        assert begun[step][1][1].wait(300)
        begun[step][1][1].clear()
    end.set()
    for thread, turns in begun.values():
        turns[0].set()
        thread.join(300)


def test_change_between_reading_and_appending_is_not_lost_to_the_sync_of_another_thread() -> None:
    shelf = shelve.Shelf({}, writeback=True)
    shelf["l"] = []
    shelf.sync()

    def one() -> Any:
        found = shelf["l"]
        yield
        found.append("one")
        shelf.sync()

    def other() -> Any:
        shelf["l"].append("other")
        shelf.sync()
        yield

    first, second = one(), other()
    step_by_step(first, second, first)
    assert pickle.loads(shelf.dict[b"l"]) == ["other", "one"]


def test_subclass_that_stores_by_itself_loses_no_change_of_another_thread() -> None:
    class Own(shelve.Shelf):
        def __setitem__(self, key: str, value: Any) -> None:
            super().__setitem__(key, value)

    shelf = Own({b"l": pickle.dumps([])}, writeback=True)

    def one() -> Any:
        found = shelf["l"]
        yield
        found.append("one")
        shelf.sync()

    def other() -> Any:
        shelf["l"].append("other")
        shelf.sync()
        yield

    first, second = one(), other()
    step_by_step(first, second, first)
    assert pickle.loads(shelf.dict[b"l"]) == ["other", "one"]


def test_sync_of_one_thread_empties_the_cache_of_what_it_has_itself() -> None:
    shelf = shelve.Shelf({}, writeback=True)

    def other() -> Any:
        shelf["of the other"] = [1]
        yield

    def one() -> Any:
        shelf["of this one"] = [1]
        shelf.sync()
        assert set(shelf.cache) == {"of the other"}
        yield

    step_by_step(other(), one())
    shelf.sync()
    assert not shelf.cache  # the threads have ended


def test_nothing_is_remembered_of_keys_that_are_not_there() -> None:
    shelf = shelve.Shelf({}, writeback=True)
    for number in range(100):
        assert shelf.get(f"{number}") is None
    assert not shelf._kept._holders._asked


def test_what_another_thread_holds_unchanged_does_not_hide_what_another_process_stored() -> None:
    entries: dict[bytes, bytes] = {}
    shelf = shelve.Shelf(entries, writeback=True)
    shelf["l"] = ["old"]

    def holder() -> Any:
        assert shelf["l"] == ["old"]
        yield

    def reader() -> Any:
        entries[b"l"] = pickle.dumps(["new"])
        shelf["x"] = [1]
        shelf.sync()
        assert shelf["l"] == ["new"]
        yield

    shelf.sync()
    step_by_step(holder(), reader())
    shelf.sync()
    assert pickle.loads(entries[b"l"]) == ["new"]


def test_sync_of_a_signal_handler_in_the_middle_of_a_sync_is_not_overwritten() -> None:
    class Interrupted(dict[bytes, bytes]):
        """Storing is interrupted once, by a handler that changes the value and syncs."""

        handler: Any = None

        def __setitem__(self, key: bytes, value: bytes) -> None:
            handler, self.handler = self.handler, None
            if handler:
                handler()
            super().__setitem__(key, value)

    entries = Interrupted()
    shelf = shelve.Shelf(entries, writeback=True)
    shelf["l"] = [1]
    value = shelf["l"]

    def handler() -> None:
        value.append(3)
        shelf.sync()

    value.append(2)
    entries.handler = handler
    shelf.sync()
    assert pickle.loads(entries[b"l"]) == [1, 2, 3]


# --- processes -------------------------------------------------------------------------------------------------------

FORKED = SCRIPTS / "forked.py"


@pytest.mark.parametrize(
    ("child", "found"),
    [
        ("does nothing", {"l": [1, 2, 3], "m": [1, 2], "n": [1, 2]}),
        ("closes", {"l": [1, 2, 3], "m": [1, 2], "n": [1, 2]}),
        ("appends", {"l": [1, 2, 3], "m": [1, 2, "child"], "n": [1, 2]}),
        ("appends and syncs", {"l": [1, 2, 3, "child"], "m": [1, 2], "n": [1, 2]}),
        ("stores", {"l": [1, 2, 3], "m": [1, 2], "n": [1, 2], "new": 1}),
    ],
)
def test_forked_child_writes_its_own_changes_and_not_the_old_ones_of_its_parent(
    child: str, found: dict[str, Any], path: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", FORKED, path, child],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert eval(done.stdout) == found


DAEMON = SCRIPTS / "daemon.py"


def test_program_that_goes_on_in_its_child_keeps_what_it_had_changed(path: str) -> None:
    with subprocess.Popen([sys.executable, DAEMON, path], stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert started.stdout.read() == "done\n"  # the end of the child, too
    with shelve.open(path) as shelf:
        assert dict(shelf) == {"l": [1, "before", "behind"], "m": [1, "before"]}


def store(shelf: Any) -> None:
    shelf["from child"] = [1, 2]


def test_shelf_that_a_spawned_process_is_given_has_the_same_entries(path: str) -> None:
    with shelve.open(path, writeback=True) as shelf:
        shelf["here"] = {1}
        copy = pickle.loads(pickle.dumps(shelf))
        assert dict(copy) == {"here": {1}}
        assert copy.writeback
        copy.close()
        child = multiprocessing.get_context("spawn").Process(target=store, args=(shelf,))
        child.start()
        child.join(300)
        assert child.exitcode == 0
        assert dict(shelf) == {"here": {1}, "from child": [1, 2]}
    with coshelf.open(path, "r") as native:
        assert dict(native) == {"here": {1}, "from child": [1, 2]}


def test_changes_in_the_cache_stay_with_the_process_that_made_them(path: str) -> None:
    with shelve.open(path, writeback=True) as shelf:
        shelf["a"] = [1]
        shelf["a"].append(2)
        copy = pickle.loads(pickle.dumps(shelf))
        assert copy["a"] == [1]
        copy.close()
        assert shelf["a"] == [1, 2]


def test_database_that_is_pickled_has_the_same_entries(path: str) -> None:
    with coshelf.dbm.open(path, "c") as database:
        database["a"] = b"\x80\x04"
        copy = pickle.loads(pickle.dumps(database))
        assert dict(copy) == {b"a": b"\x80\x04"}
        copy.close()


def test_items_and_pop_beside_a_thread_that_removes_them(path: str) -> None:
    with shelve.open(path) as shelf, shelve.open(path) as other:
        shelf.update({f"{number}": number for number in range(10)})
        found = []
        for key, value in shelf.items():
            found.append(value)
            other.pop(f"{value + 1}", None)
            assert key == f"{value}"
        assert found == [0, 2, 4, 6, 8]
        assert list(shelf.values()) == [0, 2, 4, 6, 8]
        assert shelf.pop("1", "gone") == "gone"


# --- damage ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def damaged(path: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a shelf lies with a record under "entries" whose checksum is wrong, until it is stored anew."""
    with shelve.open(path) as shelf:
        shelf["entries"] = "something damaged"
        shelf["other"] = 1
    is_intact = records.is_intact
    monkeypatch.setattr(records, "is_intact", lambda key, record: b"damaged" not in record and is_intact(key, record))
    return path


def test_damaged_record_is_what_programs_of_shelve_recover_from(damaged: str) -> None:
    """As the scheduler of celery does: it stores anew what raises one of these, or makes a new file."""
    with shelve.open(damaged, writeback=True) as shelf:
        recoverable: Any = (KeyError, UnicodeDecodeError, TypeError, pickle.UnpicklingError)
        for read in (lambda: shelf["entries"], shelf.first, lambda: list(shelf.values())):
            with pytest.raises(recoverable) as raised:
                read()
            assert isinstance(raised.value, coshelf.DamagedRecord)
        assert shelf["other"] == 1
        shelf["entries"] = {}
    with shelve.open(damaged) as shelf:
        assert dict(shelf) == {"entries": {}, "other": 1}


@pytest.mark.parametrize("seed", range(12))
def test_damage_anywhere_is_an_error_that_programs_of_shelve_expect(seed: int, path: str) -> None:
    with shelve.open(path) as shelf:
        shelf.update({f"key {number}": [number] * 20 for number in range(200)})
    chance = random.Random(seed)
    content = bytearray(Path(path).read_bytes())
    for _ in range(4):
        at = chance.randrange(len(content))
        content[at : at + 300] = chance.randbytes(len(content[at : at + 300]))
    Path(path).write_bytes(content)
    try:
        shelf = shelve.open(path)
    except OSError:
        return
    for key in [f"key {number}" for number in range(200)]:
        try:
            assert shelf[key] == [int(key[4:])] * 20
        except (KeyError, pickle.UnpicklingError):
            pass
    shelf.close()


def test_damaged_record_can_be_removed_and_is_not_given_up_by_pop(damaged: str) -> None:
    with shelve.open(damaged) as shelf:
        with pytest.raises(pickle.UnpicklingError):
            shelf.pop("entries", None)
        assert "entries" in shelf
        del shelf["entries"]
        assert list(shelf) == ["other"]


# --- space -----------------------------------------------------------------------------------------------------------


def test_reorganize_gives_space_back(path: str) -> None:
    with shelve.open(path) as shelf:
        shelf.update({f"{number}": "x" * 1000 for number in range(2000)})
        shelf.sync()
        for number in range(1, 2000):
            del shelf[f"{number}"]
        before = os.path.getsize(path)
        shelf.reorganize()
        assert os.path.getsize(path) < before / 10
        assert dict(shelf) == {"0": "x" * 1000}
    with coshelf.dbm.open(path, "w") as database:
        database.reorganize()
