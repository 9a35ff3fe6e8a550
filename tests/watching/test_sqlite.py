"""The rows of changes in a SQLite file."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import Crew

import coshelf
from coshelf.engines.sqlite import history
from coshelf.errors import DamagedRecord, ReadOnlyShelf, UntrustedValue

Shelf = coshelf.Shelf[Any, Any]


@pytest.fixture
def shelf(path: str) -> Iterator[Shelf]:
    with coshelf.open(f"sqlite:{path}") as shelf:
        yield shelf


def rows(path: str) -> int:
    """How many rows of changes are in the file."""
    database = sqlite3.connect(path)
    (count,) = database.execute("SELECT count(*) FROM entries WHERE key >= x'05' AND key < x'06'").fetchone()
    database.close()
    return int(count)


def told(watch: coshelf.Watch[Any, Any]) -> list[Any]:
    found = []
    while (change := watch.next(0)) is not None:
        found.append((change.kind, change.key, change.value))
    return found


def test_nothing_is_written_while_nobody_watches(shelf: Shelf, path: str) -> None:
    shelf.update({"a": 1, "b": 2})
    assert rows(path) == 0
    with shelf.watch():
        shelf["a"] = 2
    assert rows(path) == 2  # that somebody watches, and the change


def test_rows_go_when_nobody_has_watched_for_an_hour(shelf: Shelf, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_STEP", 10)
    with shelf.watch() as watch:
        version = watch.version
        for number in range(25):
            shelf[number] = number
    later = time.time() + 3_700
    monkeypatch.setattr(time, "time", lambda: later)
    left = []
    while rows(path):
        shelf["a"] = 1
        left.append(rows(path))
    assert left == [16, 6, 0]
    with shelf.watch(since=version) as again:
        assert told(again) == [("gap", None, None)]
        shelf["b"] = 1
        assert told(again) == [("set", "b", 1)]


def test_watcher_that_finds_rows_of_another_hour_is_told_of_the_gap(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shelf.watch() as watch:
        shelf["a"] = 1
        later = time.time() + 3_700
        monkeypatch.setattr(time, "time", lambda: later)
        assert told(watch) == [("gap", None, None)]
        shelf["b"] = 2
        assert told(watch) == [("set", "b", 2)]


def test_watcher_renews_its_row_while_it_waits(shelf: Shelf, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with shelf.watch() as watch:
        for minutes in (20, 60, 100, 140):
            later = time.time() + 2_400
            monkeypatch.setattr(time, "time", lambda later=later: later)
            shelf["a"] = minutes
            assert told(watch) == [("set", "a", minutes)]


def test_oldest_commits_go_when_there_are_too_many(shelf: Shelf, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_MOST", 4_000)
    with shelf.watch() as watch:
        version = watch.version
        for number in range(200):
            shelf.update({number: number, "last": number})
        assert 20 < rows(path) < 200
        first, *others = told(watch)
        assert first == ("gap", None, None)
        assert [value for _, key, value in others if key == "last"] == list(range(200 - len(others) // 2, 200))
        assert len(others) > 40
        with shelf.watch(since=version) as again:
            assert told(again) == [first, *others]


def test_commit_that_takes_too_much_is_a_gap(shelf: Shelf, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_MOST", 4_000)
    with shelf.watch() as watch:
        shelf["a"] = 1
        shelf.update((number, "x" * 100) for number in range(100))
        assert rows(path) == 1
        shelf["b"] = 2
        assert told(watch) == [("gap", None, None), ("set", "b", 2)]


def test_reader_is_given_whole_commits_though_there_are_many(shelf: Shelf) -> None:
    with shelf.watch() as watch:
        shelf.update((number, number) for number in range(2_500))
        shelf.update((number, -number) for number in range(700))
        shelf.update((number, 0) for number in range(700))
        found = told(watch)
        assert len(found) == 3_900
        assert [value for _, key, value in found if key == 5] == [5, -5, 0]


def test_shelf_that_is_opened_for_reading_says_how_to_watch(shelf: Shelf, path: str) -> None:
    shelf["a"] = 1
    with coshelf.open(f"sqlite:{path}", "r") as reader:
        assert reader.version == shelf.version
        with pytest.raises(ReadOnlyShelf, match="for writing"):
            reader.watch()


def test_value_that_cannot_be_loaded_raises_when_it_is_asked_for(shelf: Shelf, path: str) -> None:
    with coshelf.open(f"sqlite:{path}", trust=False) as careful, careful.watch() as watch:
        shelf["bad"] = _Mine()
        shelf["good"] = 1
        bad, good = (watch.next(60) for _ in range(2))
        assert bad is not None
        assert good is not None
        assert (bad.key, bad.kind, good.value) == ("bad", "set", 1)
        with pytest.raises(UntrustedValue):
            _ = bad.value
        assert bad.record is not None
        assert "_Mine" in bad.record.preview().text


class _Mine:
    """No plain data."""


def damage(path: str, key: bytes) -> None:
    """Change a byte in each row that begins with this key."""
    database = sqlite3.connect(path)
    changed = database.execute(
        "UPDATE entries SET record = CAST(substr(record, 1, 4) || x'55' || substr(record, 6) AS BLOB) "
        "WHERE substr(key, 1, 2) = ?",
        (key,),
    )
    assert changed.rowcount == 1
    database.commit()
    database.close()


def test_damaged_change_is_told_and_not_taken_for_another(shelf: Shelf, path: str) -> None:
    with shelf.watch() as watch:
        shelf["a"] = "a longer text"
        damage(path, b"\x05\x01")
        with pytest.raises(DamagedRecord):
            watch.next(60)
    shelf["b"] = 2
    with shelf.watch() as watch:
        shelf["c"] = 3
        assert told(watch) == [("set", "c", 3)]


def test_damaged_row_of_those_who_watch_is_a_gap_and_keeps_nobody_from_writing(shelf: Shelf, path: str) -> None:
    with shelf.watch() as watch:
        shelf["a"] = 1
        damage(path, history.WATCHED)
        shelf["b"] = 2
        assert told(watch) == [("gap", None, None)]
        shelf["c"] = 3
        assert told(watch) == [("set", "c", 3)]
    assert dict(shelf) == {"a": 1, "b": 2, "c": 3}


def test_backup_and_len_leave_the_rows_out(shelf: Shelf, tmp_path: Path) -> None:
    with shelf.watch():
        shelf.update({"a": 1, "b": 2})
        assert len(shelf) == 2
        shelf.backup(f"{tmp_path}/copy.shelf")
        shelf.compact()
        assert shelf.check().ok
    with coshelf.open(f"{tmp_path}/copy.shelf") as copy:
        assert dict(copy) == {"a": 1, "b": 2}


def test_transaction_of_another_process_does_not_keep_a_watch_from_reading(crew: Crew, shelf: Shelf, path: str) -> None:
    with shelf.watch() as watch:
        shelf["a"] = 1
        program = """
        with coshelf.open("sqlite:" + path) as shelf, shelf.transaction() as transaction:
            transaction["b"] = 2
            say("inside")
            hear()
        """
        worker = crew.start(program, path)
        worker.expect("inside")
        assert told(watch) == [("set", "a", 1)]
        worker.tell()
        worker.finish()
        assert told(watch) == [("set", "b", 2)]
