"""The same calls give the same results as sqlitedict's, and both use the same files."""

from __future__ import annotations

import inspect
import json
import os
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import pytest
import sqlitedict as original
from hypothesis import given, settings
from hypothesis import strategies as st

import coshelf.sqlitedict as ours

KEYS = st.one_of(
    st.sampled_from(["a", "b", "c", "", "é", "1", b"a", 1, 0, True, 1.5, 1.0]),
    st.integers(-3, 3),
    st.floats(-1, 1, width=16),
)
VALUES = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=2))
PAIRS = st.lists(st.tuples(KEYS, VALUES), max_size=3)
CALLS = st.one_of(
    st.tuples(st.just("__setitem__"), KEYS, VALUES),
    st.tuples(st.sampled_from(["__getitem__", "__delitem__", "__contains__", "get", "pop", "setdefault"]), KEYS),
    st.tuples(st.sampled_from(["get", "pop", "setdefault"]), KEYS, VALUES),
    st.tuples(st.just("update"), PAIRS),
    st.tuples(st.sampled_from(["popitem", "clear", "commit", "sync", "__len__", "__bool__", "__str__"])),
    st.tuples(st.sampled_from(["keys", "values", "items", "iterkeys", "itervalues", "iteritems", "__iter__"])),
)


def outcome(table: Any, call: tuple[Any, ...]) -> Any:
    name, *arguments = call
    try:
        found = getattr(table, name)(*arguments)
        return list(found) if inspect.isgenerator(found) else found
    except KeyError as error:
        return KeyError, error.args if name != "popitem" else ()


def compare(calls: list[tuple[Any, ...]], autocommit: bool) -> None:
    table = ours.SqliteDict(":memory:", autocommit=autocommit)
    other = original.SqliteDict(":memory:", autocommit=autocommit, outer_stack=False)
    try:
        for call in calls:
            assert outcome(table, call) == outcome(other, call), call
        assert list(table.items()) == list(other.items())
    finally:
        table.close()
        other.close()


@settings(max_examples=20)
@given(calls=st.lists(CALLS, max_size=20), autocommit=st.booleans())
def test_calls_have_the_results_of_sqlitedict(calls: list[tuple[Any, ...]], autocommit: bool) -> None:
    compare(calls, autocommit)


@pytest.mark.long
@settings(max_examples=500)
@given(calls=st.lists(CALLS, max_size=60), autocommit=st.booleans())
def test_many_calls_have_the_results_of_sqlitedict(calls: list[tuple[Any, ...]], autocommit: bool) -> None:
    compare(calls, autocommit)


def test_all_names_exist() -> None:
    names = {name for name in vars(original) if not name.startswith("_")} - {
        *("DictClass", "Queue", "reraise", "traceback", "weakref", "threading", "sys"),
        *("os", "tempfile", "logging", "sqlite3", "b64decode", "b64encode"),
    }
    assert names <= set(ours.__all__)
    assert ours.__version__ == original.__version__
    assert ours.logger is original.logger
    assert ours.PICKLE_PROTOCOL == original.PICKLE_PROTOCOL
    assert ours.SqliteDict.VALID_FLAGS == original.SqliteDict.VALID_FLAGS
    for name in ("SqliteDict", "SqliteMultithread"):
        theirs = {each for each in vars(getattr(original, name)) if not each.startswith("_")}
        missing = {each for each in theirs if not hasattr(getattr(ours, name), each)}
        assert missing <= {"run", "check_raise_error"}, name


def test_arguments_have_the_same_names_order_and_defaults() -> None:
    theirs = inspect.signature(original.SqliteDict.__init__).parameters
    mine = inspect.signature(ours.SqliteDict.__init__).parameters
    assert list(mine)[: len(theirs)] == list(theirs)
    assert all(mine[name].kind is inspect.Parameter.KEYWORD_ONLY for name in list(mine)[len(theirs) :])
    for name, parameter in theirs.items():
        default = mine[name].default
        assert default == (getattr(ours, name) if name.startswith(("encode", "decode")) else parameter.default) or (
            name.endswith("_key") and default is ours.identity
        )


@pytest.mark.parametrize("value", [None, 1, "x", b"x", [1, {"a": (2.5,)}]])
def test_encoded_forms_are_the_same(value: Any) -> None:
    assert bytes(ours.encode(value)) == bytes(original.encode(value))
    assert ours.encode_key(value) == original.encode_key(value)
    assert ours.decode(original.encode(value)) == value
    assert ours.decode_key(original.encode_key(value)) == value


@pytest.mark.parametrize("journal_mode", ["DELETE", "WAL"])
def test_file_goes_from_one_to_the_other_and_back(tmp_path: Path, journal_mode: str) -> None:
    path = str(tmp_path / "db")
    for turn, module in enumerate((original, ours, original, ours)):
        table = module.SqliteDict(path, tablename='a "quoted" name', journal_mode=journal_mode)
        table[f"key {turn}"] = {"turn": turn}
        table.commit()
        table.close()
    table = ours.SqliteDict(path, tablename='a "quoted" name', flag="r")
    assert dict(table) == {f"key {turn}": {"turn": turn} for turn in range(4)}


def test_both_use_a_file_at_the_same_time(tmp_path: Path) -> None:
    path = str(tmp_path / "db")
    mine = ours.SqliteDict(path, autocommit=True)
    theirs = original.SqliteDict(path, autocommit=True, outer_stack=False)
    for number in range(20):
        mine[f"mine {number}"] = number
        theirs[f"theirs {number}"] = number
        assert theirs[f"mine {number}"] == mine[f"theirs {number}"] == number
    assert list(mine.items()) == list(theirs.items())
    theirs.close()


def test_new_file_has_the_schema_of_sqlitedict(tmp_path: Path) -> None:
    schemas = []
    for module in (ours, original):
        path = tmp_path / module.__name__
        module.SqliteDict(path, tablename="things").close()
        with sqlite3.connect(path) as database:
            schemas.append(database.execute("SELECT type, name, sql FROM sqlite_master").fetchall())
        database.close()
        assert os.stat(path).st_mode & 0o777 == 0o644
    assert schemas[0] == schemas[1]


def test_conn_runs_statements(tmp_path: Path) -> None:
    table = ours.SqliteDict(tmp_path / "db")
    table.conn.execute("CREATE TABLE other (number INTEGER)")
    table.conn.executemany("INSERT INTO other VALUES (?)", [(1,), (2,)])
    table.conn.commit()
    assert list(table.conn.select("SELECT number FROM other WHERE number > ?", (1,))) == [(2,)]
    assert table.conn.select_one("SELECT number FROM other ORDER BY number") == (1,)
    assert table.conn.select_one("SELECT number FROM other WHERE number = 3") is None
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        table.conn.execute("DELETE FROM missing")
    assert ours.SqliteDict.get_tablenames(tmp_path / "db") == ["unnamed", "other"]
    connection = table.conn
    table.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_overwritten_key_moves_to_the_end() -> None:
    table = ours.SqliteDict()
    table.update([("a", 1), ("b", 2)])
    table["a"] = 3
    assert list(table.items()) == [("b", 2), ("a", 3)]


def test_iteration_shows_the_table_as_it_began() -> None:
    table = ours.SqliteDict()
    table.update((str(number), number) for number in range(10))
    seen = []
    for key in table:
        seen.append(key)
        table[key] = -1
        table["9"] = -2
        table.pop("5", None)
        table[f"new {key}"] = 0
    assert seen == [str(number) for number in range(10)]


def test_long_table_is_read_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coshelf.dropin.sqlitedict.table._MOST", 7)
    table = ours.SqliteDict()
    for size in (6, 7, 8, 14, 20):
        table.clear()
        table.update((str(number), number) for number in range(size))
        assert list(table.items()) == [(str(number), number) for number in range(size)]
        seen = []
        for key, value in table.items():
            table[key] = value
            seen.append(value)
        assert seen == list(range(size))


def test_other_forms_of_values_and_keys(tmp_path: Path) -> None:
    forms: list[dict[str, Any]] = [
        {"encode": json.dumps, "decode": json.loads, "autocommit": True, "outer_stack": False},
        {
            "encode": lambda value: sqlite3.Binary(zlib.compress(json.dumps(value).encode())),
            "decode": lambda stored: json.loads(zlib.decompress(bytes(stored))),
        },
        {"encode_key": json.dumps, "decode_key": json.loads},
    ]
    for number, options in enumerate(forms):
        with ours.SqliteDict(tmp_path / "db", tablename=f"form {number}", **options) as table:
            table["a"] = {"b": [1, None]}
            table["ü"] = "x"
        theirs = original.SqliteDict(tmp_path / "db", tablename=f"form {number}", **options)
        assert list(theirs.items()) == [("a", {"b": [1, None]}), ("ü", "x")]
        theirs.close()


def test_keys_that_are_pickled_keep_their_order_and_type() -> None:
    table = ours.SqliteDict(encode_key=ours.encode_key, decode_key=ours.decode_key)
    table.update([((1, "x"), 1), (None, 2), (3, 4)])
    assert list(table.items()) == [((1, "x"), 1), (None, 2), (3, 4)]
    assert table[None] == 2
    assert "3" not in table


def test_other_mappings_and_copies() -> None:
    table = ours.SqliteDict()
    table["a"] = 1
    assert table == {"a": 1}
    assert table | {"b": 2} == {"a": 1, "b": 2}
    assert {"a": 0} | table == {"a": 1}
    table |= {"c": 3}
    assert table.copy() == {"a": 1, "c": 3}
    made = ours.SqliteDict.fromkeys(["x", "y"], 0)
    assert dict(made) == {"x": 0, "y": 0}
    with pytest.raises(TypeError):
        hash(table)
    with pytest.raises(TypeError):
        table | 1  # type: ignore[operator]


def test_history_as_pyoptsparse_writes_and_reads_it(tmp_path: Path) -> None:
    path = str(tmp_path / "history.hst")
    history = ours.SqliteDict(path, flag="n")
    for number in range(3):
        history[str(number)] = {"xuser": {"x": [number]}, "funcs": {"f": number / 2}, "isMajor": number % 2 == 0}
        history["last"] = str(number)
        history.sync()
    history.close()
    read = ours.SqliteDict(path, flag="r")
    assert sorted(key for key in read.keys() if key.isdigit()) == ["0", "1", "2"]  # noqa: SIM118
    assert read[read["last"]]["funcs"] == {"f": 1.0}
    read.close()
