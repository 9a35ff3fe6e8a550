"""``coshelf.shelve``: what the standard library's tests do not ask, and what is better than there."""

from __future__ import annotations

import dbm
import dbm.dumb
import glob
import inspect
import json
import os
import pickle
import shelve as original
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf import shelve

SCRIPTS = Path(__file__).parent / "scripts" / "shelve_drop_in"


class Broken:
    """Cannot be pickled."""

    def __reduce__(self) -> Any:
        raise RuntimeError("no")


# --- the file --------------------------------------------------------------------------------------------------------


def test_file_has_exactly_the_name_and_coshelf_sees_the_same_entries(path: str) -> None:
    with shelve.open(path) as shelf:
        shelf["a"] = [1, 2]
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
    with coshelf.open(path) as native:
        assert dict(native) == {"a": [1, 2]}
        native["b"] = {"c": 3}
    with shelve.open(path, "r") as shelf:
        assert dict(shelf) == {"a": [1, 2], "b": {"c": 3}}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_dict_holds_the_pickles_themselves(protocol: int, path: str) -> None:
    with shelve.open(path, protocol=protocol) as shelf:
        shelf["a"] = value = {"x": [1, "two", None]}
        assert shelf.dict[b"a"] == pickle.dumps(value, protocol)
        shelf.dict[b"b"] = pickle.dumps("from outside", protocol)
        assert shelf["b"] == "from outside"
    with coshelf.open(path, "r") as native:
        assert dict(native) == {"a": value, "b": "from outside"}


def test_entries_with_other_keys_are_not_seen_and_survive_clear(path: str) -> None:
    with coshelf.open(path) as native:
        native.update({1: "int", b"b": "bytes", "s": "str", ("t", 1): "tuple"})
    with shelve.open(path) as shelf:
        assert list(shelf) == ["s"]
        assert len(shelf) == 1
        assert shelf.first() == shelf.last() == ("s", "str")
        shelf.clear()
        assert len(shelf) == 0
        assert not shelf
    with coshelf.open(path) as native:
        assert set(native) == {1, b"b", ("t", 1)}


def test_names_that_look_like_urls_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with shelve.open("memory:") as shelf:
        shelf["a"] = 1
    assert os.listdir(tmp_path) == ["memory:"]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_new_files_have_mode_666_less_the_umask(mask: int, path: str) -> None:
    before = os.umask(mask)
    try:
        shelve.open(path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o666 & ~mask


def test_signatures_are_those_of_3_15() -> None:
    assert str(inspect.signature(shelve.open)).startswith("(filename: ")
    assert list(inspect.signature(shelve.open).parameters) == [
        "filename", "flag", "protocol", "writeback", "serializer", "deserializer",
    ]  # fmt: skip
    for kind in (shelve.Shelf, shelve.BsdDbShelf):
        assert list(inspect.signature(kind).parameters) == [
            "dict", "protocol", "writeback", "keyencoding", "serializer", "deserializer",
        ]  # fmt: skip


# --- flags and errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["r", "w"])
def test_missing_is_an_error_that_who_catches_dbm_error_catches(flag: str, path: str) -> None:
    with pytest.raises(dbm.error):
        shelve.open(path, flag)
    assert not os.path.exists(path)


@pytest.mark.parametrize("flag", ["x", "", "rw", "C"])
def test_flag_that_is_none(flag: str, path: str) -> None:
    with pytest.raises(ValueError, match="unknown flag"):
        shelve.open(path, flag)


@pytest.mark.parametrize("content", [b"", b"something else" * 400])
def test_unknown_file_is_refused_and_stays_unless_a_new_one_is_wanted(content: bytes, path: str) -> None:
    Path(path).write_bytes(content)
    for flag in "rwc":
        with pytest.raises(dbm.error, match="db type could not be determined"):
            shelve.open(path, flag)
    assert Path(path).read_bytes() == content
    with shelve.open(path, "n") as shelf:
        assert len(shelf) == 0


def test_read_only(path: str) -> None:
    with shelve.open(path) as shelf:
        shelf["a"] = [1]
    with shelve.open(path, "r", writeback=True) as shelf:
        with pytest.raises(dbm.error):
            shelf["a"] = 2
        with pytest.raises(dbm.error):
            del shelf["a"]
        assert shelf["a"] == [1]  # kept in the cache, but not changed: closing has nothing to write


def test_keys_that_are_not_str(path: str) -> None:
    with shelve.open(path) as shelf:
        for use in (lambda: shelf[5], lambda: 5 in shelf, lambda: shelf.get(5), lambda: shelf.__setitem__(5, 1)):
            with pytest.raises(AttributeError):
                use()


def test_missing_key_is_named_as_in_shelve(path: str) -> None:
    with shelve.open(path) as shelf:
        with pytest.raises(KeyError) as raised:
            shelf["zz"]
        assert raised.value.args == (b"zz",)
        with pytest.raises(KeyError):
            del shelf["zz"]
        with pytest.raises(KeyError):
            shelf.pop("zz")
        assert shelf.pop("zz", 1) == 1
        assert not shelf.has_key("zz")


def test_everything_is_refused_once_closed(path: str) -> None:
    shelf = shelve.open(path)
    shelf["a"] = 1
    shelf.close()
    shelf.close()
    shelf.sync()
    for use in (lambda: shelf["a"], lambda: len(shelf), lambda: "a" in shelf, lambda: list(shelf), shelf.clear):
        with pytest.raises(ValueError, match="closed shelf"):
            use()
    assert repr(shelf.dict) == "<Closed Dictionary>"


# --- writeback -------------------------------------------------------------------------------------------------------


def test_writeback_stores_what_changed_and_nothing_else(path: str) -> None:
    with shelve.open(path) as shelf:
        shelf.update(a=[1], b=[2])
    with shelve.open(path, writeback=True) as shelf:
        shelf["a"].append(3)
        assert shelf["b"] == [2]
        with shelve.open(path) as other:
            other["b"] = "meanwhile"
    with shelve.open(path) as shelf:
        assert dict(shelf) == {"a": [1, 3], "b": "meanwhile"}


def test_one_value_that_cannot_be_stored_does_not_lose_the_others(path: str) -> None:
    """In the original the first failure stops all that follows, and close() then drops it without a word."""
    shelf = shelve.open(path, writeback=True)
    shelf.update(a=[], m=[], z=[])
    for key in "amz":
        shelf[key].append(key)
    shelf["m"].append(Broken())
    with pytest.raises(RuntimeError):
        shelf.sync()
    assert shelf.writeback
    assert list(shelf.cache) == ["m"]
    with pytest.raises(RuntimeError):
        shelf.close()
    with shelve.open(path) as shelf:
        assert dict(shelf) == {"a": ["a"], "m": [], "z": ["z"]}


def test_value_that_cannot_be_stored_is_not_cached(path: str) -> None:
    with shelve.open(path, writeback=True) as shelf:
        with pytest.raises(RuntimeError):
            shelf["bad"] = Broken()
        assert "bad" not in shelf
        assert shelf.get("bad") is None


LEFT_OPEN = SCRIPTS / "left_open.py"


def test_shelf_that_nobody_closes_is_written_back_when_it_is_collected_and_at_exit(path: str) -> None:
    """In the original objects of the program's own classes are lost at exit, with a message that nobody asked for."""
    done = subprocess.run([sys.executable, "-X", "dev", LEFT_OPEN, path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    with shelve.open(path + "2") as shelf:
        assert shelf["b"] == [1, 2]
    with shelve.open(path) as shelf:
        assert b"Own" in shelf.dict[b"a"]
    assert sorted(os.listdir(os.path.dirname(path))) == ["my shelf", "my shelf2"]


# --- the cursor ------------------------------------------------------------------------------------------------------


def test_cursor(path: str) -> None:
    with shelve.open(path) as shelf:
        with pytest.raises(KeyError):
            shelf.first()
        shelf.update(a=1, c=3, e=5)
        assert shelf.next() == ("a", 1)
        assert shelf.next() == ("c", 3)
        shelf["d"] = 4
        assert shelf.next() == ("d", 4)
        assert shelf.next() == ("e", 5)
        with pytest.raises(KeyError):
            shelf.next()
        assert shelf.previous() == ("d", 4)  # a move that failed has not moved it
        assert shelf.set_location(b"b") == shelf.set_location("b") == ("c", 3)
        with pytest.raises(KeyError):
            shelf.set_location(b"z")
        assert shelf.previous() == ("a", 1)
        while shelf:
            del shelf[shelf.first()[0]]


def test_cursor_over_a_plain_dict_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        shelve.BsdDbShelf({}).first()


# --- serializers -----------------------------------------------------------------------------------------------------


def to_json(value: Any, _: int) -> str:
    return json.dumps(value)


def test_serializer_of_ones_own(path: str) -> None:
    with shelve.open(path, serializer=to_json, deserializer=json.loads) as shelf:
        shelf["a"] = {"x": [1]}
        assert shelf["a"] == {"x": [1]}
        assert shelf.dict[b"a"] == b'{"x": [1]}'
        assert shelf.first() == ("a", {"x": [1]})


def test_half_a_serializer() -> None:
    for half in ({"serializer": to_json}, {"deserializer": json.loads}):
        with pytest.raises(shelve.ShelveError):
            shelve.Shelf({}, **half)  # type: ignore[arg-type]


# --- old shelves -----------------------------------------------------------------------------------------------------


def make_dumb(path: str) -> dict[str, Any]:
    entries = {f"key {number}": [number] * number for number in range(50)}
    with original.Shelf(dbm.dumb.open(path, "c")) as shelf:
        shelf.update(entries)
    return entries


def test_old_shelf_opens_in_place(path: str) -> None:
    entries = make_dumb(path)
    with shelve.open(path) as shelf:
        assert dict(shelf) == entries
        shelf["new"] = 1
    with original.Shelf(dbm.dumb.open(path, "r")) as shelf:
        assert shelf["new"] == 1
    assert not os.path.exists(path)


def test_migrate(path: str) -> None:
    entries = make_dumb(path)
    assert shelve.migrate(path) == len(entries)
    with coshelf.open(path, "r") as native:
        assert dict(native) == entries
    with shelve.open(path) as shelf:
        assert dict(shelf) == entries
    assert shelve.migrate(path) == len(entries)  # again: nothing to do
    kept = {os.path.basename(path) + suffix for suffix in ("", ".dat.before-coshelf", ".dir.before-coshelf")}
    assert kept <= set(os.listdir(os.path.dirname(path)))
    assert not glob.glob(path + ".*.migrating*")


def test_migrate_a_single_file(path: str) -> None:
    sqlite = pytest.importorskip("dbm.sqlite3")
    with original.Shelf(sqlite.open(path, "c")) as shelf:
        shelf["a"] = [1]
    with shelve.open(path) as shelf:
        assert dict(shelf) == {"a": [1]}
    assert shelve.migrate(path) == 1
    with coshelf.open(path, "r") as native:
        assert dict(native) == {"a": [1]}
    assert os.path.exists(path + ".before-coshelf")


def test_migrate_that_fails_leaves_the_old_shelf(path: str) -> None:
    make_dumb(path)
    with dbm.dumb.open(path, "c") as database:
        database[b"\xff"] = b"no utf-8"
    before = sorted(os.listdir(os.path.dirname(path)))
    with pytest.raises(UnicodeDecodeError):
        shelve.migrate(path)
    assert sorted(os.listdir(os.path.dirname(path))) == before
    assert shelve.migrate(path, keyencoding="latin-1") == 51


def test_migrate_what_is_none(path: str) -> None:
    with pytest.raises(coshelf.ShelfNotFound):
        shelve.migrate(path)
    Path(path).write_bytes(b"text")
    with pytest.raises(coshelf.NotAShelf):
        shelve.migrate(path)
    assert Path(path).read_bytes() == b"text"


# --- several processes -----------------------------------------------------------------------------------------------

WRITE = SCRIPTS / "writes.py"


def test_writers_that_hold_it_open_at_once_lose_nothing(path: str) -> None:
    """Of shelve's backends only sqlite3 keeps all 8,000; the others refuse, or lose three quarters without a word."""
    writers = [subprocess.Popen([sys.executable, WRITE, path, str(name), "500"]) for name in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    with shelve.open(path, "r") as shelf:
        assert len(shelf) == 2000
        assert all(shelf[f"{name} {number}"] == [number] for name in range(4) for number in range(0, 500, 50))


def test_many_processes_may_make_it_at_once(path: str) -> None:
    for turn in range(3):
        makers = [subprocess.Popen([sys.executable, WRITE, f"{path} {turn}", str(name), "1"]) for name in range(6)]
        assert [maker.wait() for maker in makers] == [0] * 6
        with shelve.open(f"{path} {turn}", "r") as shelf:
            assert len(shelf) == 6


def test_killed_writer_loses_nothing(path: str) -> None:
    with shelve.open(path) as shelf:
        shelf["before"] = 1
    subprocess.run([sys.executable, WRITE, path, "x", "200", "killed"])
    with shelve.open(path) as shelf:
        assert len(shelf) == 201
