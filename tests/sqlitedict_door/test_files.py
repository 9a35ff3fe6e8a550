"""Opening, deleting and converting files, and what is refused without harm."""

from __future__ import annotations

import os
import pickle
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.errors import ShelfPermissionError, StorageError, UntrustedValue
from coshelf.sqlitedict import SqliteDict, convert, encode_key
from coshelf.transfer.source import SourceError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db"


def names_in(place: Path) -> list[str]:
    return sorted(os.listdir(place))


def test_flags(path: Path) -> None:
    with SqliteDict(path, tablename="one") as one, SqliteDict(path, tablename="two", timeout=30) as two:
        one["a"] = 1
        one.commit()
        two["b"] = 2
    with SqliteDict(path, tablename="one", flag="w") as one:
        assert dict(one) == {}
    with SqliteDict(path, tablename="two", flag="c") as two:
        assert dict(two) == {"b": 2}
    with SqliteDict(path, tablename="one", flag="n") as one:
        assert dict(one) == {}
    assert SqliteDict.get_tablenames(path) == ["one"]
    with pytest.raises(RuntimeError, match="Unrecognized flag: x"):
        SqliteDict(path, flag="x")


def test_with_opens_again_without_emptying(path: Path) -> None:
    for flag in ("n", "w"):
        table = SqliteDict(path, flag=flag)
        with table:
            table["a"] = 1
        with table:
            assert table["a"] == 1


@pytest.mark.parametrize("journal_mode", ["DELETE", "WAL"])
def test_reader_changes_nothing(path: Path, journal_mode: str) -> None:
    with SqliteDict(path, journal_mode=journal_mode) as table:
        table["a"] = 1
    before = path.read_bytes()
    with SqliteDict(path, flag="r") as reader:
        assert dict(reader) == {"a": 1}
        refused = {
            "write to": lambda: reader.__setitem__("b", 2),
            "delete from": lambda: reader.__delitem__("a"),
            "update": lambda: reader.update(b=2),
            "clear": reader.clear,
            "terminate": reader.terminate,
        }
        for doing, call in refused.items():
            with pytest.raises(RuntimeError, match=f"Refusing to {doing} read-only SqliteDict"):
                call()
        for call in (lambda: reader.pop("a"), reader.popitem, lambda: reader.setdefault("b")):
            with pytest.raises(RuntimeError, match="Refusing"):
                call()
        assert reader.setdefault("a", 5) == 1
        assert reader.pop("missing", 5) == 5
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.conn.execute("DELETE FROM unnamed")
    assert path.read_bytes() == before
    assert names_in(path.parent) == ["db"]


def test_reader_of_what_is_missing_leaves_nothing(path: Path) -> None:
    for missing in (path, ":memory:", None):
        with pytest.raises(RuntimeError, match='Refusing to create a new table "unnamed" in read-only DB mode'):
            SqliteDict(missing, flag="r")
    assert names_in(path.parent) == []
    SqliteDict(path).close()
    with pytest.raises(RuntimeError, match='Refusing to create a new table "a "b"" in read-only DB mode'):
        SqliteDict(path, tablename='a "b"', flag="r")
    assert SqliteDict.get_tablenames(path) == ["unnamed"]


def test_missing_directory_is_not_made(path: Path) -> None:
    for flag in SqliteDict.VALID_FLAGS:
        with pytest.raises(RuntimeError, match="Error! The directory does not exist"):
            SqliteDict(path / "in" / "db", flag=flag)
    with pytest.raises(OSError, match="does not exist"):
        SqliteDict.get_tablenames(path)
    assert names_in(path.parent) == []


@pytest.mark.parametrize("flag", ["c", "r", "w", "n"])
def test_file_of_another_kind_stays_as_it_is(path: Path, flag: str) -> None:
    path.write_text("notes " * 200)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        SqliteDict(path, flag=flag)
    assert path.read_text() == "notes " * 200
    assert names_in(path.parent) == ["db"]


@pytest.mark.parametrize("flag", ["c", "w", "n"])
@pytest.mark.parametrize("scheme", ["", "sqlite:"])
def test_shelf_stays_as_it_is(path: Path, flag: str, scheme: str) -> None:
    with coshelf.open(f"{scheme}{path}") as shelf:
        shelf["a"] = 1
    with pytest.raises(sqlite3.DatabaseError) as error:
        SqliteDict(path, flag=flag)
    assert "coshelf.open(" in "\n".join([str(error.value), *getattr(error.value, "__notes__", ())])
    with coshelf.open(f"{scheme}{path}") as shelf:
        assert dict(shelf) == {"a": 1}


def test_new_file_does_not_inherit_the_log_of_an_old_one(path: Path) -> None:
    SqliteDict(path).close()
    for suffix in ("-journal", "-wal", "-shm"):
        Path(f"{path}{suffix}").write_bytes(b"of a killed writer")
    with SqliteDict(path, flag="n") as table:
        table["a"] = 1
    assert names_in(path.parent) == ["db"]


def test_terminate_deletes_everything(path: Path) -> None:
    table = SqliteDict(path, journal_mode="WAL")
    table["a"] = 1
    table.terminate()
    assert names_in(path.parent) == []
    SqliteDict(":memory:").terminate()


def test_file_is_made_once_by_threads_that_open_it_together(path: Path) -> None:
    barrier = threading.Barrier(6)
    errors: list[Exception] = []

    def work(name: int) -> None:
        try:
            barrier.wait()
            with SqliteDict(path, journal_mode="WAL", timeout=60) as table:
                table[str(name)] = name
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(SqliteDict(path, flag="r").values()) == list(range(6))
    assert names_in(path.parent) == ["db"]


def test_names_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("plain", b"bytes", Path("path"), "a?b#c%20d", "ü \udcff", "file:db?mode=ro"):
        with SqliteDict(name) as table:
            table["a"] = 1
        assert os.path.isfile(name)
        assert SqliteDict(name, flag="r")["a"] == 1
    assert len(names_in(tmp_path)) == 6


def test_link_leads_to_the_file(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    with SqliteDict(tmp_path / "link") as table:
        table["a"] = 1
    assert (tmp_path / "link").is_symlink()
    assert SqliteDict(path, flag="r")["a"] == 1


def test_temporary_table_can_be_opened_again() -> None:
    table = SqliteDict()
    table["a"] = 1
    table.close()
    with table:
        assert dict(table) == {}
        table["b"] = 2
    assert not os.path.exists(table.filename)


# --- converting ------------------------------------------------------------------------------------------------------


class Unknown:
    """A class that a shelf does not load."""


def test_table_becomes_a_shelf(path: Path, tmp_path: Path) -> None:
    with SqliteDict(path, tablename="one") as one:
        one.update({"a": [1], "b/c": {"d": None}, "object": Unknown()})
    with SqliteDict(path, tablename="two", encode_key=encode_key) as two:
        two[1, "x"] = 2
    report = convert(path, tmp_path / "one.shelf", "one")
    assert (report.done, report.is_complete()) == (3, True)
    with coshelf.open(tmp_path / "one.shelf") as shelf:
        assert shelf["a"] == [1]
        assert shelf["b/c"] == {"d": None}
        assert isinstance(shelf["object"], Unknown)
    assert convert(path, tmp_path / "one.shelf", "one").unchanged == 3
    assert convert(path, tmp_path / "two.shelf", "two", keys="pickle-base64").done == 1
    with coshelf.open(tmp_path / "two.shelf") as shelf:
        assert dict(shelf) == {(1, "x"): 2}
    with pytest.raises(SourceError, match="2 tables"):
        convert(path, tmp_path / "x.shelf")
    with pytest.raises(SourceError, match="no table 'three'"):
        convert(path, tmp_path / "x.shelf", "three")
    assert not (tmp_path / "x.shelf").exists()


def test_values_in_json_become_values(path: Path, tmp_path: Path) -> None:
    def to_json(value: Any) -> str:
        return f"[{value}]"

    with SqliteDict(path, encode=to_json) as table:
        table["a"] = 1
    assert convert(path, tmp_path / "new.shelf").failed[0].key == "'a'"
    assert convert(path, tmp_path / "new.shelf", values="json").done == 1
    with coshelf.open(tmp_path / "new.shelf") as shelf:
        assert dict(shelf) == {"a": [1]}


def test_shelf_of_a_table_that_is_not_trusted_is_not_trusted(path: Path, tmp_path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE unnamed (key TEXT PRIMARY KEY, value BLOB)")
        database.execute("INSERT INTO unnamed VALUES ('a', ?)", (pickle.dumps(Unknown()),))
        database.execute("INSERT INTO unnamed VALUES ('b', ?)", (pickle.dumps([1]),))
    database.close()
    assert convert(path, tmp_path / "new.shelf").done == 2
    with coshelf.open(tmp_path / "new.shelf") as shelf:
        assert shelf["b"] == [1]
        with pytest.raises(UntrustedValue):
            shelf["a"]
    with coshelf.open(tmp_path / "own.shelf") as shelf:
        shelf["c"] = 1
    with pytest.raises(ShelfPermissionError, match="is trusted, and the source is not"):
        convert(path, tmp_path / "own.shelf")
    assert convert(path, tmp_path / "trusted.shelf", trust=True).done == 2
    with coshelf.open(tmp_path / "trusted.shelf") as shelf:
        assert isinstance(shelf["a"], Unknown)


def test_changes_that_are_not_committed_are_not_forgotten(path: Path, tmp_path: Path) -> None:
    with SqliteDict(path) as table:
        table["a"] = 1
        with pytest.raises(StorageError, match="not committed"):
            convert(path, tmp_path / "new.shelf")
        assert not (tmp_path / "new.shelf").exists()
        table.commit()
        assert convert(path, tmp_path / "new.shelf").done == 1
        table["b"] = 2
    assert dict(SqliteDict(path, flag="r")) == {"a": 1, "b": 2}
