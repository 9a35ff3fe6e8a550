"""``coshelf.dbm``: bytes in and out."""

from __future__ import annotations

import dbm
import dbm.dumb
import os
from pathlib import Path

import pytest

import coshelf
import coshelf.dbm


def test_bytes_and_str_in_bytes_out(path: str) -> None:
    with coshelf.dbm.open(path, "c") as database:
        database["a"] = "x"
        database[b"\xff\x00"] = bytearray(b"\x00")
        assert database[b"a"] == b"x"
        assert database.keys() == [b"a", b"\xff\x00"]
        assert database.get("zz") is None
        assert database.setdefault("new") == b""
        assert b"new" in database
        assert len(database) == 3
        del database["new"]
        for bad in (5, None, ["a"]):
            with pytest.raises(TypeError):
                database["a"] = bad
            with pytest.raises(TypeError):
                database[bad] = b"x"
    with coshelf.open(path, "r") as native:
        assert dict(native) == {b"a": b"x", b"\xff\x00": b"\x00"}


def test_walk_as_with_gdbm(path: str) -> None:
    with coshelf.dbm.open(path, "c") as database:
        assert database.firstkey() is None
        database.update({b"b": b"", b"a": b"", b"c": b""})
        found, key = [], database.firstkey()
        while key is not None:
            found.append(key)
            key = database.nextkey(key)
        assert found == [b"a", b"b", b"c"]


def test_closed_database_is_an_error_of_dbm(path: str) -> None:
    database = coshelf.dbm.open(path, "c")
    database.close()
    database.close()
    for use in (lambda: database[b"a"], database.keys, lambda: len(database), lambda: b"a" in database, database.sync):
        with pytest.raises(dbm.error):
            use()


def test_whichdb(path: str, tmp_path: Path) -> None:
    assert coshelf.dbm.whichdb(path) is None
    coshelf.dbm.open(path, "n").close()
    assert coshelf.dbm.whichdb(path) == coshelf.dbm.whichdb(os.fsencode(path)) == "coshelf.dbm"
    dbm.dumb.open(path + "2", "c").close()
    assert coshelf.dbm.whichdb(path + "2") == "dbm.dumb"
    Path(path).write_bytes(b"text")
    assert coshelf.dbm.whichdb(path) == ""


def test_whichdb_knows_a_database_that_is_made_while_it_looks(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not there when ours is looked for, and there when the others are."""

    def meanwhile(name: str) -> str:
        coshelf.open(path).close()
        return ""

    monkeypatch.setattr(coshelf.dbm, "_their_whichdb", meanwhile)
    assert coshelf.dbm.whichdb(path) == "coshelf.dbm"


def test_what_another_module_made_is_opened_by_it(path: str) -> None:
    with dbm.dumb.open(path, "c") as database:
        database[b"a"] = b"1"
    with coshelf.dbm.open(path) as database:
        assert database[b"a"] == b"1"
        assert type(database).__module__ == "dbm.dumb"


def test_letters_of_gdbm_behind_the_flag(path: str) -> None:
    coshelf.dbm.open(path, "cf").close()
    coshelf.dbm.open(path, "ru").close()
    with pytest.raises(ValueError, match="flag must be"):
        coshelf.dbm.open(path, "cx")


def test_read_only_database_refuses_with_an_error_of_dbm(path: str) -> None:
    coshelf.dbm.open(path, "c").close()
    with coshelf.dbm.open(path) as database, pytest.raises(dbm.error):
        database["a"] = b"1"
