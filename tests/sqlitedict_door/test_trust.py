"""Whose files load any object, and that nothing in other files runs."""

from __future__ import annotations

import base64
import datetime as dt
import os
import pickle
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlitedict as original

from coshelf.errors import ShelfPermissionError, UntrustedValue, UnwritableValue
from coshelf.sqlitedict import SqliteDict, decode_key, encode_key
from coshelf.trust import revoke, trust_shelf


class Thing:
    """Not plain data."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thing)

    __hash__ = None  # type: ignore[assignment]


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("COSHELF_SECRET_FILE", raising=False)
    return tmp_path / "db"


def make_planted(path: Path, trap: Path, key: str = "a") -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE unnamed (key TEXT PRIMARY KEY, value BLOB)")
        database.execute("INSERT INTO unnamed VALUES (?, ?)", (key, pickle.dumps(Trap(trap))))
        database.execute("INSERT INTO unnamed VALUES ('plain', ?)", (pickle.dumps([1, dt.date(2026, 1, 1)]),))
    database.close()


def read_by(path: Path) -> list[Callable[[SqliteDict], object]]:
    return [
        lambda table: table["a"],
        lambda table: table.get("a"),
        lambda table: list(table.values()),
        lambda table: list(table.items()),
        lambda table: table.pop("a"),
        lambda table: table.popitem(),
        lambda table: table.setdefault("a", 1),
        lambda table: table.copy(),
    ]


def test_trap_is_one(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize("trust", [None, False])
def test_planted_value_does_not_run(path: Path, tmp_path: Path, trust: bool | None) -> None:
    make_planted(path, tmp_path / "sprung")
    with SqliteDict(path, trust=trust) as table:
        for read in read_by(path):
            with pytest.raises(UntrustedValue, match="mkdir") as error:
                read(table)
            assert str(path) in str(error.value)
            assert "trust=True" in str(error.value)
        assert table["plain"] == [1, dt.date(2026, 1, 1)]
        assert len(table) == 2
        del table["a"]
        table["b"] = (1, {"c"})
        assert table["b"] == (1, {"c"})
    assert not (tmp_path / "sprung").exists()


def test_planted_key_does_not_run(path: Path, tmp_path: Path) -> None:
    make_planted(path, tmp_path / "sprung", base64.b64encode(pickle.dumps(Trap(tmp_path / "sprung"))).decode())
    with SqliteDict(path, encode_key=encode_key, decode_key=decode_key) as table:
        table[1, 2] = 3
        assert table[1, 2] == 3
        with pytest.raises(UntrustedValue):
            list(table)
    assert not (tmp_path / "sprung").exists()


def test_own_decoder_is_the_programs_business(path: Path, tmp_path: Path) -> None:
    make_planted(path, tmp_path / "sprung")
    SqliteDict(path, decode=lambda stored: pickle.loads(bytes(stored)), flag="r")["a"]
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize("flag", ["c", "n", "w"])
def test_own_file_loads_any_object(path: Path, flag: str) -> None:
    with SqliteDict(path, flag=flag) as table:
        table["a"] = Thing()
    for module_flag in ("c", "r"):
        assert SqliteDict(path, flag=module_flag)["a"] == Thing()
    SqliteDict(path, flag=flag).close()
    with SqliteDict(path, tablename="other") as table:
        table["b"] = Thing()
        assert table["b"] == Thing()


def test_empty_file_becomes_an_own_one(path: Path) -> None:
    path.touch()
    with SqliteDict(path) as table:
        table["a"] = Thing()
    assert SqliteDict(path)["a"] == Thing()


@pytest.mark.parametrize("filename", [None, ":memory:", ""])
def test_table_of_this_process_loads_any_object(filename: str | None) -> None:
    with SqliteDict(filename) as table:
        table["a"] = Thing()
        assert table["a"] == Thing()


def test_copy_of_a_file_is_not_an_own_one(path: Path, tmp_path: Path) -> None:
    with SqliteDict(path) as table:
        table["a"] = Thing()
    shutil.copy(path, tmp_path / "copy")
    with pytest.raises(UntrustedValue, match="is a copy of"):
        SqliteDict(tmp_path / "copy")["a"]


def test_file_of_sqlitedict_holds_plain_data_until_it_is_trusted(path: Path) -> None:
    other = original.SqliteDict(str(path))
    other["plain"], other["thing"] = {"a": [1]}, Thing()
    other.commit()
    other.close()
    with SqliteDict(path) as table:
        assert table["plain"] == {"a": [1]}
        with pytest.raises(UntrustedValue, match=f"coshelf trust {path}"):
            table["thing"]
        with pytest.raises(UnwritableValue):
            table["new"] = Thing()
        assert "new" not in table
    assert SqliteDict(path, trust=True)["thing"] == Thing()
    assert SqliteDict(path, allow=[Thing])["thing"] == Thing()
    trust_shelf(str(path))
    with SqliteDict(path) as table:
        assert table["thing"] == Thing()
        table["new"] = Thing()
    assert revoke(str(path))
    assert not revoke(str(path))
    with pytest.raises(UntrustedValue):
        SqliteDict(path)["thing"]


def test_file_that_others_can_write_is_not_an_own_one(path: Path) -> None:
    with SqliteDict(path) as table:
        table["a"] = Thing()
    path.chmod(0o666)
    with pytest.raises(UntrustedValue, match="everybody can write"):
        SqliteDict(path)["a"]
    with pytest.raises(ShelfPermissionError, match="everybody can write"):
        trust_shelf(str(path))
    path.chmod(0o644)
    assert SqliteDict(path)["a"] == Thing()


def test_file_put_in_the_place_of_an_own_one_is_not_one(path: Path, tmp_path: Path) -> None:
    with SqliteDict(path) as table:
        table["a"] = Thing()
    path.unlink()
    make_planted(path, tmp_path / "sprung")  # often with the same inode
    with pytest.raises(UntrustedValue):
        SqliteDict(path)["a"]
    SqliteDict(path).terminate()
    assert not (tmp_path / "sprung").exists()


def test_secret_of_the_environment_leaves_no_place_for_a_mark(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_bytes(os.urandom(32))
    monkeypatch.setenv("COSHELF_SECRET_FILE", str(tmp_path / "secret"))
    with SqliteDict(path) as table:
        table["a"] = [1]
        with pytest.raises(UnwritableValue, match="trust=True"):
            table["b"] = Thing()
    with SqliteDict(path, trust=True) as table:
        table["b"] = Thing()
        assert table["b"] == Thing()


def test_functions_in_the_schema_of_a_planted_file_do_not_run(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE source (key TEXT, value BLOB)")
        database.execute("INSERT INTO source VALUES ('a', 'x')")
        database.execute("CREATE VIEW unnamed AS SELECT key, planted(value) AS value FROM source")
    database.close()
    table = SqliteDict(path, decode=lambda stored: stored)
    ran: list[object] = []
    connection = table.conn._ready()
    connection.create_function("planted", 1, ran.append)
    with pytest.raises(sqlite3.OperationalError, match="unsafe"):
        table["a"]
    assert ran == []


@pytest.mark.parametrize("database", ["missing", "empty"])
def test_log_beside_a_missing_or_empty_database_is_not_an_own_one(path: Path, tmp_path: Path, database: str) -> None:
    make_planted(tmp_path / "origin", tmp_path / "sprung")
    connection = sqlite3.connect(tmp_path / "origin")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("UPDATE unnamed SET key = key || ''")
    connection.commit()
    connection.execute("VACUUM")  # writes every page to the log
    shutil.copy(f"{tmp_path / 'origin'}-wal", f"{path}-wal")
    connection.close()
    if database == "empty":
        path.touch()
    with SqliteDict(path) as table:
        try:
            assert dict(table) == {}
        except UntrustedValue:
            assert database == "empty"
    assert not (tmp_path / "sprung").exists()


def test_file_in_a_directory_of_all_users_is_not_an_own_one(path: Path, tmp_path: Path) -> None:
    with SqliteDict(path) as table:
        table["a"] = Thing()
    tmp_path.chmod(0o1777)
    with pytest.raises(UntrustedValue, match="journal"):
        SqliteDict(path)["a"]
    tmp_path.chmod(0o700)
    assert SqliteDict(path)["a"] == Thing()
