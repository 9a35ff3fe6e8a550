"""The history of the engines in this process: how long it is kept, and what it costs when nobody watches."""

from __future__ import annotations

import dbm.dumb
import gc
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.engines import local_history
from coshelf.engines.local_history import LocalHistory

Shelf = coshelf.Shelf[Any, Any]


def history_of(shelf: Shelf) -> LocalHistory:
    engine: Any = shelf._handle.engine
    history: LocalHistory = engine._history
    return history


@pytest.fixture(params=["memory", "mapping"])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return coshelf.open("memory:" if request.param == "memory" else {})


@pytest.fixture
def short_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_history, "_TAIL", 50 * 300)  # some 50 changes


def kinds(watch: coshelf.Watch[Any, Any]) -> list[str]:
    found = []
    while (change := watch.next(0)) is not None:
        found.append(change.kind)
    return found


def test_nothing_is_noted_while_nobody_watches(shelf: Shelf) -> None:
    shelf["a"] = 1
    assert not history_of(shelf)._commits


def test_tail_is_kept_for_a_watcher_that_comes_back_and_then_dropped(shelf: Shelf, short_tail: None) -> None:
    with shelf.watch() as watch:
        version = watch.version
    for number in range(20):
        shelf[number] = number
    with shelf.watch(since=version) as again:
        assert kinds(again) == ["set"] * 20
    for number in range(100):
        shelf[number] = number
    assert not history_of(shelf).is_kept
    assert not history_of(shelf)._commits
    with shelf.watch(since=version) as again:
        assert kinds(again) == ["gap"]
        shelf["a"] = 1
        assert kinds(again) == ["set"]


def test_what_an_open_watch_has_not_read_is_kept_and_what_all_have_read_is_not(shelf: Shelf, short_tail: None) -> None:
    with shelf.watch() as slow, shelf.watch() as quick:
        version = slow.version
        for number in range(300):
            shelf[number] = number
            assert kinds(quick) == ["set"]
        assert len(history_of(shelf)._commits) == 300
        assert kinds(slow) == ["set"] * 300
        shelf["a"] = 1
        assert len(history_of(shelf)._commits) < 80
        with shelf.watch(since=version) as late:
            told = kinds(late)
            assert told[0] == "gap"
            assert 30 < len(told) < 80


def test_watch_that_is_collected_keeps_nothing(shelf: Shelf, short_tail: None) -> None:
    watch = shelf.watch()
    shelf["a"] = 1
    del watch
    gc.collect()
    for number in range(100):
        shelf[number] = number
    assert not history_of(shelf).is_kept


def test_version_of_an_earlier_opening_gives_a_gap(tmp_path: Path) -> None:
    with dbm.dumb.open(str(tmp_path / "a"), "c") as mapping:
        with coshelf.open(mapping) as first:
            first["a"] = 1
            version = first.version
        with coshelf.open(mapping) as second, second.watch(since=version) as watch:
            assert kinds(watch) == ["gap"]
            second["b"] = 2
            assert kinds(watch) == ["set"]


class FullDisk(dict[bytes, bytes]):
    """Refuses the next assignment if told so."""

    is_full = False

    def __setitem__(self, key: bytes, value: bytes) -> None:
        if self.is_full and b"c" in key:
            raise OSError("no space left")
        super().__setitem__(key, value)


def test_commit_that_the_mapping_refuses_is_not_told() -> None:
    mapping = FullDisk()
    with coshelf.open(mapping) as shelf, shelf.watch() as watch:
        mapping.is_full = True
        with pytest.raises(OSError, match="no space"):
            shelf.update({"b": 1, "c": 2})
        mapping.is_full = False
        shelf["d"] = 1
        change = watch.next(0)
        assert change is not None
        assert (change.key, watch.next(0)) == ("d", None)
