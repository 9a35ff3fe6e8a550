"""``coshelf.dbm``: bytes in and out."""

from __future__ import annotations

import dbm
import dbm.dumb
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import coshelf
import coshelf.dbm
from coshelf import shelve


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
    with pytest.raises(ValueError, match="unknown flag"):
        coshelf.dbm.open(path, "cx")


def test_read_only_database_refuses_with_an_error_of_dbm(path: str) -> None:
    coshelf.dbm.open(path, "c").close()
    with coshelf.dbm.open(path) as database, pytest.raises(dbm.error):
        database["a"] = b"1"


def test_error_is_a_tuple_of_classes_as_in_the_original(path: str) -> None:
    for caught in ((KeyError,) + coshelf.dbm.error, coshelf.dbm.error[0], coshelf.dbm.error, coshelf.ShelfNotFound):  # noqa: RUF005 (as programs write it)
        with pytest.raises(caught):
            coshelf.dbm.open(path, "r")
    assert coshelf.dbm.error[1] is dbm.error[1] is OSError
    assert coshelf.dbm.error[0].__name__ == dbm.error[0].__name__
    Path(path).write_bytes(b"something else")
    with pytest.raises(coshelf.dbm.error[0], match="could not be determined"):
        coshelf.dbm.open(path, "c")
    raised = coshelf.dbm.error[0]("of a program's own")
    assert isinstance(raised, OSError)


def test_error_of_a_module_that_is_not_there_is_one_of_ours(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The original's is no OSError."""
    Path(path).write_bytes(0x13579ACE.to_bytes(4, "little") + bytes(100))
    monkeypatch.setattr(dbm, "_modules", {})
    monkeypatch.setattr(dbm, "_defaultmod", dbm.dumb)
    with pytest.raises(coshelf.dbm.error[0], match=r"dbm\.gnu"):
        coshelf.dbm.open(path, "w")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a device")
@pytest.mark.parametrize("opened", [coshelf.dbm.open, shelve.open])
def test_flag_n_refuses_a_device(opened: Any, path: str) -> None:
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    with pytest.raises(OSError, match="not a regular file"):
        opened(path, "n")
    assert stat.S_ISCHR(os.lstat(path).st_mode)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_flag_n_refuses_what_is_no_file(make: Any, path: str) -> None:
    make(path)
    with pytest.raises(OSError, match=r"not a regular file|directory"):
        coshelf.dbm.open(path, "n")
    assert not stat.S_ISREG(os.lstat(path).st_mode)


@pytest.mark.parametrize("suffix", ["", ".db", ".pag", ".dir", ".dat"])
def test_nobody_waits_for_a_fifo(suffix: str, path: str) -> None:
    os.mkfifo(path + suffix)
    with pytest.raises(OSError, match="could not be determined"):
        coshelf.dbm.open(path, "c")


@pytest.mark.parametrize("content", [b"", b"something else"])
def test_flag_n_keeps_a_link_and_the_permission_bits(content: bytes, path: str) -> None:
    Path(path + " itself").write_bytes(content)
    os.chmod(path + " itself", 0o600)
    os.symlink(path + " itself", path)
    before = os.umask(0)
    try:
        with coshelf.dbm.open(path, "n") as database:
            database["a"] = b"1"
    finally:
        os.umask(before)
    assert os.path.islink(path)
    assert stat.S_IMODE(os.stat(path + " itself").st_mode) == 0o600
    assert coshelf.dbm.whichdb(path + " itself") == "coshelf.dbm"


def test_flag_n_of_many_processes_at_once_makes_one_database(path: str) -> None:
    code = "import coshelf.dbm, sys; d = coshelf.dbm.open(sys.argv[1], 'n'); d[sys.argv[2]] = b'1'; d.sync(); d.close()"
    for _ in range(3):
        Path(path).write_bytes(b"something else")
        started = [subprocess.Popen([sys.executable, "-c", code, path, str(number)]) for number in range(5)]
        assert [process.wait(300) for process in started] == [0] * 5
        with coshelf.dbm.open(path, "w") as database:
            assert len(database) >= 1
        os.unlink(path)
