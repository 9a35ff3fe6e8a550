"""A file that is no shelf: refused under every flag, and never changed."""

from __future__ import annotations

import dbm.dumb
import os
import pickle
import random
import sqlite3
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import lmdb
import pytest

import coshelf
from coshelf.engines.lmdb.files import sidecars

SCRIPTS = Path(__file__).parent / "scripts" / "foreign_files"

FLAGS = ["r", "w", "c", "n"]


def text(path: Path) -> None:
    path.write_text("minutes of the meeting\n" * 500)


def sqlite(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table notes (id integer, note text)")
        connection.executemany("insert into notes values (?, ?)", [(n, "x" * 50) for n in range(500)])


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("notes.txt", "x" * 5000)


def gdbm(path: Path) -> None:
    header = struct.pack("<IIQIIQ", 0x13579ACF, 4096, 4096, 0, 0, 0)
    path.write_bytes(header.ljust(4096, b"\0") + bytes(4096) + b"record" * 1000)


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": list(range(3000))}))


def noise(path: Path) -> None:
    path.write_bytes(random.Random(7).randbytes(20_000))


def zeros(path: Path) -> None:
    path.write_bytes(bytes(20_000))


def short(path: Path) -> None:
    path.write_bytes(b"x")


def empty(path: Path) -> None:
    path.touch()


def environment(path: Path, version: int, rows: dict[bytes, bytes]) -> None:
    with lmdb.open(str(path), subdir=False, lock=False, map_size=1 << 20, lib_version=version) as opened:
        with opened.begin(write=True) as transaction:
            for key, value in rows.items():
                transaction.put(key, value)
        opened.sync(True)


def other_lmdb(path: Path) -> None:
    environment(path, 0, {b"key%d" % n: b"value" * 20 for n in range(500)})


def empty_lmdb(path: Path) -> None:
    environment(path, 0, {})


def similar_lmdb(path: Path) -> None:
    environment(path, 0, {b"\0shelf": b"somebody else's row", b"k": b"v"})


def newer_lmdb(path: Path) -> None:
    environment(path, 1, {b"key%d" % n: b"value" * 20 for n in range(500)})


KINDS = [
    *(text, sqlite, archive, gdbm, pickled, noise, zeros, short, empty),
    *(other_lmdb, empty_lmdb, similar_lmdb, newer_lmdb),
]


@pytest.mark.parametrize(
    ("make", "flag"),
    [(make, flag) for make in KINDS for flag in FLAGS if (make, flag) != (empty, "n")],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_foreign_file_is_refused_and_stays_as_it_is(
    make: Callable[[Path], None], flag: str, tmp_path: Path, refused: Any, unchanged: Any
) -> None:
    path = tmp_path / "foreign"
    make(path)
    with unchanged(tmp_path):
        error = refused(coshelf.NotAShelf, path, flag)
    assert isinstance(error, OSError)
    assert not isinstance(error, coshelf.DamagedShelf)


@pytest.mark.parametrize("flag", ["r", "w", "c"])
def test_empty_file_is_named_as_one(flag: str, tmp_path: Path, refused: Any) -> None:
    empty(tmp_path / "empty")
    refused(coshelf.NotAShelf, tmp_path / "empty", flag, "empty file")


def test_later_data_format_says_so(tmp_path: Path, refused: Any, unchanged: Any) -> None:
    other_lmdb(tmp_path / "later")
    pages = bytearray((tmp_path / "later").read_bytes())
    for page in (0, 4096):
        pages[page + 20] = 2
    (tmp_path / "later").write_bytes(pages)
    with unchanged(tmp_path):
        refused(coshelf.FormatTooNew, tmp_path / "later", "n", "data format 2")


@pytest.mark.parametrize("flag", FLAGS)
def test_lock_file_of_somebody_elses_lmdb_stays(flag: str, tmp_path: Path, refused: Any, unchanged: Any) -> None:
    path = tmp_path / "foreign"
    with lmdb.open(str(path), subdir=False, map_size=1 << 20, lib_version=0) as opened, opened.begin(write=True) as t:
        t.put(b"key", b"value")
    assert (tmp_path / "foreign-lock").exists()
    with unchanged(tmp_path):
        refused(coshelf.NotAShelf, path, flag)


_HOLDER = SCRIPTS / "holder_of_lmdb.py"


@pytest.mark.parametrize("flag", ["r", "c"])
def test_lmdb_that_somebody_else_has_open_goes_on_undisturbed(
    flag: str, tmp_path: Path, unchanged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidecars, "_PATIENCE", 0.1)
    path = tmp_path / "foreign"
    holder = subprocess.Popen(
        [sys.executable, _HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout and holder.stdin
        assert holder.stdout.readline() == "open\n"
        with unchanged(tmp_path), pytest.raises(coshelf.CoshelfError, match="foreign"):
            coshelf.open(path, flag)  # type: ignore[arg-type]
        holder.stdin.write("go on\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "wrote\n"
    with lmdb.open(str(path), subdir=False, lock=False, lib_version=0) as opened, opened.begin() as transaction:
        assert transaction.get(b"key") == b"later"


# --- foreign mappings ------------------------------------------------------------------------------------------------


FOREIGN = {b"hello": b"somebody's own bytes", b"\x30name": b"short", b"zip": b"x" * 100}


@pytest.mark.parametrize("flag", ["r", "w", "c"])
def test_foreign_entries_of_a_mapping_are_errors_when_read(flag: str) -> None:
    mapping = dict(FOREIGN)
    with pytest.raises(coshelf.CoshelfError):
        coshelf.open(mapping, flag).copy()  # type: ignore[arg-type]
    assert mapping == FOREIGN


def test_mapping_with_foreign_entries_keeps_them_under_n() -> None:
    """``n`` empties a shelf; what is not a shelf is never changed."""
    mapping = dict(FOREIGN)
    with pytest.raises(coshelf.NotAShelf):
        coshelf.open(mapping, "n").close()
    assert mapping == FOREIGN


def test_dbm_with_foreign_entries_keeps_them_under_n(tmp_path: Path) -> None:
    with dbm.dumb.open(str(tmp_path / "notes"), "c") as notes:
        notes[b"hello"] = b"somebody's own bytes"
        with pytest.raises(coshelf.CoshelfError):
            coshelf.open(notes, "n").close()
        assert dict(notes) == {b"hello": b"somebody's own bytes"}


def test_mapping_of_str_is_a_clear_type_error() -> None:
    mapping: Any = {"a": 1}
    with pytest.raises(TypeError, match="bytes"):
        coshelf.open(mapping).copy()
    assert mapping == {"a": 1}


def test_foreign_file_beside_a_shelf_stays(tmp_path: Path) -> None:
    """Only what docs/format.md names is ours to remove."""
    others = [".my.shelf.new", ".my.shelf.draft.new.txt", ".my.shelf.backup"]
    others += ["my.shelf.new", "my.shelf-", "my.shelf-notes", "my.shelf.lock"]
    for name in others:
        (tmp_path / name).write_text(name)
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        shelf["a"] = 1
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "my.shelf"])
    for name in others:
        assert (tmp_path / name).read_text() == name
