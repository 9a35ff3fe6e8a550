"""When changes are committed, when they are undone, and that errors come from the call that they concern."""

from __future__ import annotations

import json
import logging
import pickle
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from coshelf.errors import InvalidKey
from coshelf.sqlitedict import SqliteDict, UnusableKey, identity


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db"


def stored(path: Path) -> dict[Any, Any]:
    with SqliteDict(path, flag="r") as table:
        return dict(table)


def test_end_of_block_commits_and_the_block_opens_again(path: Path) -> None:
    table = SqliteDict(path)
    with table:
        table["a"] = 1
    assert table.conn is None
    assert stored(path) == {"a": 1}
    with table as again:
        again["b"] = 2
    assert stored(path) == {"a": 1, "b": 2}


def test_block_that_raises_is_undone(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), SqliteDict(path) as table:
        table["a"] = 1
        table.commit()
        table["b"] = 1 / 0
    with pytest.raises(ZeroDivisionError), SqliteDict(path) as table:
        table["c"] = 1
        raise ZeroDivisionError
    assert stored(path) == {"a": 1}


def test_close_undoes_what_was_not_committed_and_says_so(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = SqliteDict(path)
    table["a"] = 1
    table.commit()
    table["b"] = 2
    with caplog.at_level(logging.WARNING, "sqlitedict"):
        table.close()
    assert "not committed" in caplog.text
    assert stored(path) == {"a": 1}
    caplog.clear()
    table = SqliteDict(path, autocommit=True)
    table["c"] = 3
    table.close()
    table.close()
    assert [record for record in caplog.records if record.name.startswith("sqlitedict")] == []
    assert stored(path) == {"a": 1, "c": 3}


def test_clear_commits_before_and_after(path: Path) -> None:
    table = SqliteDict(path, tablename="one")
    other = SqliteDict(path, tablename="two", timeout=0)
    table["a"] = 1
    table.clear()
    assert len(SqliteDict(path, tablename="one", flag="r")) == 0
    other["b"] = 1
    other.commit()


def test_closed_object_says_so(path: Path) -> None:
    table = SqliteDict(path)
    table.close()
    table.commit()
    for call in (lambda: table["a"], lambda: len(table), table.clear, lambda: list(table), lambda: table.update({})):
        with pytest.raises(AttributeError, match="has been closed"):
            call()
    assert str(table) == f"SqliteDict({path})"


def test_commit_that_fails_can_be_made_again(path: Path) -> None:
    table = SqliteDict(path, timeout=0)
    table["a"] = 1
    reader = sqlite3.connect(path)
    cursor = reader.execute("SELECT * FROM sqlite_master")  # holds a lock of readers
    with pytest.raises(sqlite3.OperationalError, match="locked") as error:
        table.commit()
    assert any("timeout=" in note for note in error.value.__notes__)
    with pytest.raises(sqlite3.OperationalError, match="locked"), table:
        pass
    cursor.close()
    reader.close()
    table.commit()
    assert stored(path) == {"a": 1}


@pytest.mark.parametrize("journal_mode", ["DELETE", "WAL"])
def test_locked_file_is_an_error_of_the_call_and_nothing_later(path: Path, journal_mode: str) -> None:
    first = SqliteDict(path, journal_mode=journal_mode)
    second = SqliteDict(path, journal_mode=journal_mode, timeout=0.05)
    first["a"] = 1
    for store in (lambda: second.update(b=2), lambda: second.pop("a", None), lambda: second.setdefault("c", 3)):
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            store()
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        second["b"] = 2
    assert list(second) == []
    first.commit()
    assert list(second) == ["a"]
    second["b"] = 2
    second.commit()
    assert dict(first) == {"a": 1, "b": 2}


def test_call_that_changes_nothing_keeps_nobody_out(path: Path) -> None:
    first, second = SqliteDict(path), SqliteDict(path, timeout=0)
    with pytest.raises(KeyError):
        del first["missing"]
    with pytest.raises(KeyError):
        first.pop("missing")
    assert first.pop("missing", 1) == 1
    with pytest.raises(KeyError):
        first.popitem()
    with pytest.raises(TypeError):
        first["a"] = (each for each in "x")
    first.update()
    first.encode = identity
    with pytest.raises(sqlite3.Error):
        first["a"] = [1]
    second["a"] = 1
    second.commit()


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("journal_mode", ["DELETE", "WAL", "OFF"])
def test_update_stores_all_or_nothing(path: Path, autocommit: bool, journal_mode: str) -> None:
    options: dict[str, Any] = {"autocommit": autocommit, "encode": identity, "decode": identity}
    with SqliteDict(path, journal_mode=journal_mode, **options) as table:
        table["before"] = 1
        with pytest.raises(sqlite3.Error):
            table.update([("a", 1), ("b", [2])])
        with pytest.raises(UnusableKey):
            table.update([("a", 1), (None, 2)])
        with pytest.raises(ZeroDivisionError):
            table.update(("a", 1 / number) for number in (1, 0))
        table.update({"c": 3}, d=4)
    with SqliteDict(path, decode=identity, flag="r") as table:
        assert list(table.items()) == [("before", 1), ("c", 3), ("d", 4)]


@pytest.mark.parametrize("autocommit", [True, False])
def test_value_that_cannot_be_decoded_stays(path: Path, autocommit: bool) -> None:
    with SqliteDict(path, autocommit=autocommit, encode=identity, decode=json.loads) as table:
        table["a"] = "{"
        for take in (lambda: table.pop("a"), lambda: table.pop("a", None), table.popitem):
            with pytest.raises(json.JSONDecodeError):
                take()
        assert "a" in table


def test_steps_within_steps_are_undone_alone(path: Path) -> None:
    with SqliteDict(path) as table:
        table["a"] = 1
        with table.conn.together():
            table["b"] = 2
            with pytest.raises(ZeroDivisionError), table.conn.together():
                table["c"] = 3
                raise ZeroDivisionError
        with pytest.raises(ZeroDivisionError), table.conn.together():
            table["d"] = 4
            raise ZeroDivisionError
    assert stored(path) == {"a": 1, "b": 2}


def test_decoder_may_use_the_table(path: Path) -> None:
    table = SqliteDict(path, autocommit=True, encode=identity)

    def decode(text: str) -> Any:
        if text == "see b":
            table["seen"] = "yes"
            table.commit()
            return table["b"]
        return text

    table.decode = decode
    table.update(a="see b", b="the value")
    assert table.pop("a") == "the value"
    assert sorted(table) == ["b", "seen"]
    table.close()
    with SqliteDict(path, decode=identity) as again:
        assert dict(again) == {"b": "the value", "seen": "yes"}


@pytest.mark.parametrize("key", [None, float("nan"), (1, 2), ["a"], object()])
def test_key_that_cannot_be_one_is_refused_and_nothing_is_stored(path: Path, key: Any) -> None:
    table = SqliteDict(path)
    for store in (lambda: table.__setitem__(key, 1), lambda: table.update([(key, 1)]), lambda: table.setdefault(key)):
        with pytest.raises(UnusableKey, match="cannot be a key") as error:
            store()
        assert isinstance(error.value, sqlite3.ProgrammingError)
        assert isinstance(error.value, InvalidKey)
    assert len(table) == 0


def test_none_is_a_missing_key_for_readers(path: Path) -> None:
    table = SqliteDict(path)
    assert None not in table
    assert table.get(None, 5) == 5
    with pytest.raises(KeyError):
        table[None]
    with pytest.raises(UnusableKey):
        table.get((1, 2))


def test_row_without_a_key_of_sqlitedict_can_be_taken(path: Path) -> None:
    SqliteDict(path).close()
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO unnamed VALUES (NULL, ?)", (pickle.dumps(7),))
    database.close()
    with SqliteDict(path) as table:
        assert list(table.items()) == [(None, 7)]
        assert table.popitem() == (None, 7)
        assert not table


@pytest.mark.parametrize(
    ("option", "value"),
    [("timeout", -1), ("timeout", float("nan")), ("journal_mode", "bogus"), ("synchronous", "no")],
)
def test_option_that_is_impossible_is_refused(path: Path, option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{option}|{value}"):
        SqliteDict(path, **{option: value})


def test_disk_is_waited_for_as_asked(path: Path) -> None:
    def level(**options: Any) -> Any:
        with SqliteDict(path, **options) as table:
            return table.conn.select_one("PRAGMA synchronous")[0]

    assert level() == 0
    assert level(synchronous="FULL") == 2
    assert level(journal_mode="WAL") == 1
    assert level(journal_mode="wal", synchronous="off") == 0


def test_opening_without_a_mode_keeps_the_mode_of_the_file(path: Path) -> None:
    SqliteDict(path, journal_mode="WAL").close()
    with SqliteDict(path, journal_mode=None) as table:
        assert table.conn.select_one("PRAGMA journal_mode") == ("wal",)
    with SqliteDict(path) as table:
        assert table.conn.select_one("PRAGMA journal_mode") == ("delete",)
