"""Changes of a directory: those of coshelf, of old pickleshare processes, and of any other program."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pickleshare
import pytest
from support import Crew

import coshelf
from coshelf.contract import Engine, OpenOptions
from coshelf.engines import open_engine
from coshelf.engines.files import observing
from coshelf.engines.files.observing import LookingObserver, TreeObserver
from coshelf.errors import StorageError
from coshelf.testing.contract.changes import ChangesTests
from coshelf.testing.contract.task import Task

PATIENCE = 60  # seconds

Shelf = coshelf.Shelf[Any, Any]
Watch = coshelf.Watch[Any, Any]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
def shelf(root: Path) -> Iterator[Shelf]:
    with coshelf.open(f"files:{root}") as shelf:
        yield shelf


def until(watch: Watch, *last: tuple[str, Any]) -> dict[Any, str]:
    """The last kind of change of each key, when these have come; a gap has the key None."""
    found: dict[Any, str] = {}
    while not set(last) <= {(kind, key) for key, kind in found.items()}:
        change = watch.next(PATIENCE)
        assert change is not None, found
        found[change.key] = change.kind
    return found


def test_what_pickleshare_writes_and_removes_is_told(shelf: Shelf, root: Path) -> None:
    old = pickleshare.PickleShareDB(str(root))
    with shelf.watch() as watch:
        old["a"] = 1
        assert until(watch, ("set", "a")) == {"a": "set"}
        old["x/y/z"] = [2]
        change = watch.next(PATIENCE)
        assert change is not None
        assert (change.key, change.value) == ("x/y/z", [2])
        old.hset("hash", "k", 3)
        change = watch.next(PATIENCE)
        assert change is not None
        assert change.key.startswith("hash/")
        del old["a"]
        assert "a" in until(watch, ("deleted", "a"))


def test_keys_in_every_kind_of_place_are_told(shelf: Shelf) -> None:
    keys: list[Any] = [None, 5, ("a", 1), "plain", "a/b", "a\0", b"bytes", "k" * 300, ("long", "k" * 400), "Upper"]
    with shelf.watch() as watch:
        for key in keys:
            shelf[key] = 1
        assert set(until(watch, *(("set", key) for key in keys))) == set(keys)
        for key in keys:
            del shelf[key]
        assert until(watch, *(("deleted", key) for key in keys)) == dict.fromkeys(keys, "deleted")


def test_keys_that_were_there_before_are_told_when_they_go(shelf: Shelf) -> None:
    keys: list[Any] = ["a/b/c", 7, "k" * 300]
    shelf.update(dict.fromkeys(keys, 1))
    with shelf.watch() as watch:
        shelf.clear()
        assert until(watch, *(("deleted", key) for key in keys)) == dict.fromkeys(keys, "deleted")


def test_no_file_comes_to_a_new_directory_unnoticed(shelf: Shelf, root: Path) -> None:
    old = pickleshare.PickleShareDB(str(root))
    names = [f"d{number}/e/f{number}" for number in range(60)]
    with shelf.watch() as watch:
        writer = Task(lambda: [old.__setitem__(name, name) for name in names])
        assert set(until(watch, *(("set", name) for name in names))) == set(names)
        writer.finish()


def test_file_that_is_renamed_or_linked_to_a_path_is_told(shelf: Shelf, root: Path, tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(pickle.dumps(5))
    with shelf.watch() as watch:
        (tmp_path / "new").rename(root / "a")
        assert until(watch, ("set", "a")) == {"a": "set"}
        (root / "a").rename(root / "b")
        assert until(watch, ("set", "b"), ("deleted", "a")) == {"a": "deleted", "b": "set"}


def test_directory_that_comes_as_a_whole_is_told_and_one_that_goes_is_a_gap(
    shelf: Shelf, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "new" / "inner").mkdir(parents=True)
    (tmp_path / "new" / "inner" / "f").write_bytes(pickle.dumps(5))
    with shelf.watch() as watch:
        (tmp_path / "new").rename(root / "new")
        assert until(watch, ("set", "new/inner/f")) == {"new/inner/f": "set"}
        (root / "new").rename(tmp_path / "away")
        assert until(watch, ("gap", None)) == {None: "gap"}
        (tmp_path / "away" / "inner" / "g").write_bytes(pickle.dumps(5))  # not watched any more
        shelf["new/inner/h"] = 1
        assert until(watch, ("set", "new/inner/h")) == {"new/inner/h": "set"}


def test_directory_that_is_removed_with_its_files_is_told(shelf: Shelf, root: Path) -> None:
    shelf.update({"d/a": 1, "d/e/b": 2})
    with shelf.watch() as watch:
        shutil.rmtree(root / "d")
        assert until(watch, ("deleted", "d/a"), ("deleted", "d/e/b")) == {"d/a": "deleted", "d/e/b": "deleted"}
        shelf["d/e/c"] = 3
        assert until(watch, ("set", "d/e/c")) == {"d/e/c": "set"}


def test_full_queue_is_a_gap(root: Path) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    with coshelf.open(f"files:{root}") as shelf, shelf.watch() as watch:
        shelf["d/a"] = 1
        assert until(watch, ("set", "d/a"))
        one, other = root / "d" / "x", root / "d" / "y"
        one.write_bytes(pickle.dumps(1))
        for _ in range(limit // 4 + 10):  # four events each
            one.rename(other)
            other.rename(one)
        assert until(watch, ("gap", None))
        shelf["e/b"] = 2
        assert until(watch, ("set", "e/b"))


def test_files_that_are_no_entries_are_not_told_as_stored(root: Path) -> None:
    root.mkdir()
    (root / "README").write_text("of another program, so the directory is not coshelf's own")
    with coshelf.open(f"files:{root}") as shelf, shelf.watch() as watch:
        (root / "notes.txt").write_text("no pickle")
        shelf["a"] = 1
        assert until(watch, ("set", "a")).get("notes.txt") in (None, "deleted")


def test_watch_of_a_directory_that_is_gone_says_so(shelf: Shelf, root: Path) -> None:
    with shelf.watch() as watch:
        waiting = Task(lambda: next(watch))
        assert waiting.still_runs()
        root.rename(root.with_name("moved"))
        with pytest.raises(StorageError, match="deleted, moved or replaced"):
            waiting.finish()


def test_positions_are_those_of_one_process(shelf: Shelf, root: Path, crew: Crew) -> None:
    with shelf.watch() as watch:
        shelf["a"] = 1
        assert until(watch, ("set", "a"))
        version = watch.version
    shelf["b"] = 2
    with shelf.watch(since=version) as again:
        assert until(again, ("set", "b")) == {"b": "set"}
    program = f"""
    with coshelf.open("files:" + path) as shelf:
        with shelf.watch(since={version!r}) as watch:
            say(watch.next(60).kind)
            shelf["c"] = 3
            say(watch.next(60).key)
    """
    worker = crew.start(program, root)
    assert worker.finish() == ["gap", "c"]


def test_threads_that_watch_together_are_each_told(shelf: Shelf) -> None:
    watches = [shelf.watch() for _ in range(4)]
    barrier = threading.Barrier(5)

    def watch_all(watch: Watch) -> set[Any]:
        barrier.wait(PATIENCE)
        return set(until(watch, *(("set", f"k{number}") for number in range(50))))

    tasks = [Task(lambda watch=watch: watch_all(watch)) for watch in watches]
    barrier.wait(PATIENCE)
    for number in range(50):
        shelf[f"k{number}"] = number
    for task in tasks:
        assert task.finish() == {f"k{number}" for number in range(50)}


def test_child_of_a_watching_process_watches_by_itself(root: Path, crew: Crew) -> None:
    program = """
    shelf = coshelf.open("files:" + path)
    watch = shelf.watch()
    if not os.fork():
        with shelf.watch() as mine:
            shelf["child"] = 1
            assert mine.next(60).key == "child"
        os._exit(0)
    assert reap(-1) == 0
    assert watch.next(60).key == "child"
    shelf["parent"] = 2
    assert watch.next(60).key == "parent"
    shelf.close()
    """
    crew.start(program, root).finish()


# --- without inotify -------------------------------------------------------------------------------------------------


class TestWithoutInotify(ChangesTests):
    """As on other kernels, and on network file systems: all files are compared from time to time."""

    share = 0.3
    demands = ("changes=latest",)

    @pytest.fixture(autouse=True)
    def _without(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse() -> None:
            raise OSError(errno.ENOSYS, "Function not implemented")

        monkeypatch.setattr(observing, "Notifier", refuse)

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        return open_engine(f"files:{place / 'under-test'}", options)


def test_who_has_no_watches_left_looks_at_the_files_instead(
    shelf: Shelf, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no watches left")

    monkeypatch.setattr(observing.Notifier, "watch", refused)
    engine: Any = shelf._handle.engine
    with shelf.watch() as watch:
        (history,) = engine._histories.values()
        assert isinstance(history._observer, LookingObserver)
        pickleshare.PickleShareDB(str(root))["a/b"] = 1
        assert until(watch, ("set", "a/b")) == {"a/b": "set"}


def test_network_file_systems_are_looked_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coshelf.engines.files.engine.shared", lambda path: "on a network file system (nfs4)")
    with coshelf.open(f"files:{root}") as shelf:
        assert shelf.capabilities.watch == "poll"
        with shelf.watch() as watch:
            (history,) = shelf._handle.engine._histories.values()  # type: ignore[attr-defined]
            assert not isinstance(history._observer, TreeObserver)
            shelf["a"] = 1
            assert until(watch, ("set", "a")) == {"a": "set"}


def test_descriptors_are_given_back(root: Path) -> None:
    coshelf.open(f"files:{root}").close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with coshelf.open(f"files:{root}") as shelf:
            for _ in range(3):
                with shelf.watch(timeout=0) as watch:
                    assert list(watch) == []
    assert len(os.listdir("/proc/self/fd")) <= before  # what other tests have left may be closed meanwhile
