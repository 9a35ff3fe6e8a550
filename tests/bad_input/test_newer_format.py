"""Shelves and records of later versions: refused where they are not understood, read where they are."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import pytest

import coshelf
from coshelf import records
from coshelf.keys import encode

ROW = b"\x00shelf"
ENTRIES = {"a": 1, "b": [2, 3], 4: "four"}
FLAGS = ["r", "w", "c", "n"]


def rewrite(path: Path, change: Callable[[bytes], bytes], key: bytes = ROW) -> None:
    """Change a row as another program would."""
    with lmdb.open(str(path), subdir=False, lock=False, map_size=1 << 24, lib_version=0) as opened:
        with opened.begin(write=True) as transaction:
            found = transaction.get(key)
            assert found is not None
            transaction.put(key, change(found))
        opened.sync(True)


def patched(offset: int, form: str, value: int) -> Callable[[bytes], bytes]:
    """A shelf row with another field and the right checksum."""

    def change(row: bytes) -> bytes:
        body = bytearray(row[:80])
        struct.pack_into(form, body, offset, value)
        return bytes(body) + zlib.crc32(body).to_bytes(4, "little")

    return change


def sealed(key: Any, body: bytes) -> Callable[[bytes], bytes]:
    encoded = encode(key)
    return lambda record: records.seal(body, records.checksum(encoded, body), records.version(record))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A shelf with some entries, closed."""
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        shelf.update(ENTRIES)
    return tmp_path / "my.shelf"


def test_row_that_is_patched_to_itself_opens(path: Path) -> None:
    """So that the other tests do not pass for want of a right checksum."""
    rewrite(path, patched(8, "<H", 1))
    with coshelf.open(path) as shelf:
        assert dict(shelf) == ENTRIES


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("change", [patched(8, "<H", 2), patched(8, "<H", 65535), patched(12, "<I", 1 << 31)])
def test_later_format_or_feature_is_too_new_and_stays(
    change: Any, flag: str, path: Path, refused: Any, unchanged: Any
) -> None:
    rewrite(path, change)
    with unchanged(path.parent):
        error = refused(coshelf.FormatTooNew, path, flag, "upgrade", "format")
    assert isinstance(error, coshelf.NotAShelf)


def test_later_format_may_have_a_longer_row(path: Path, refused: Any) -> None:
    rewrite(path, lambda row: patched(8, "<H", 2)(row) + bytes(40))
    refused(coshelf.FormatTooNew, path)


def edit(shelf: Any) -> None:
    with shelf.edit("b") as value:
        value.append(1)


def transaction(shelf: Any) -> None:
    with shelf.transaction() as t:
        t["a"] = 7


WRITES: dict[str, Callable[[Any], Any]] = {
    "set": lambda shelf: shelf.__setitem__("a", 7),
    "delete": lambda shelf: shelf.__delitem__("a"),
    "pop": lambda shelf: shelf.pop("a"),
    "popitem": lambda shelf: shelf.popitem(),
    "setdefault": lambda shelf: shelf.setdefault("new", 7),
    "update": lambda shelf: shelf.update(a=7),
    "clear": lambda shelf: shelf.clear(),
    "modify": lambda shelf: shelf.modify("a", lambda old: old + 1),
    "replace": lambda shelf: shelf.replace("a", 1, 2),
    "edit": edit,
    "transaction": transaction,
    "transact": lambda shelf: shelf.transact(lambda t: t.update(a=7)),
    "sub": lambda shelf: shelf.sub("x").update(a=7),
}


@pytest.mark.parametrize("flag", ["r", "w", "c"])
def test_feature_for_writers_leaves_the_shelf_readable(flag: Any, path: Path, unchanged: Any) -> None:
    rewrite(path, patched(16, "<I", 1 << 31))
    with unchanged(path.parent), coshelf.open(path, flag) as shelf, shelf.snapshot() as snapshot:
        assert dict(shelf) == dict(snapshot) == ENTRIES
        assert len(shelf) == 3


@pytest.mark.parametrize("write", WRITES)
def test_feature_for_writers_makes_every_write_too_new(write: str, path: Path) -> None:
    rewrite(path, patched(16, "<I", 1 << 31))
    before = path.read_bytes()
    with coshelf.open(path) as shelf:
        with pytest.raises(coshelf.FormatTooNew, match=r"later version.*read it, not write") as caught:
            WRITES[write](shelf)
        assert str(path) in str(caught.value)
        assert dict(shelf) == ENTRIES
    assert path.read_bytes() == before


def test_feature_for_writers_keeps_n_from_emptying(path: Path, refused: Any, unchanged: Any) -> None:
    rewrite(path, patched(16, "<I", 1 << 31))
    with unchanged(path.parent):
        refused(coshelf.FormatTooNew, path, "n")


_HEADERED = bytes([2, 0x11, 8, 0]) + bytes(8) + b"\x00" + b"\x80\x04N."


@pytest.mark.parametrize("body", [_HEADERED, b"\x02\x20\x01\x00\x09\x00x", b"\x03x", b"\x00", b"\xff" * 20, b"{}"])
def test_record_of_a_later_version_is_too_new_and_names_its_key(body: bytes, path: Path) -> None:
    rewrite(path, sealed("b", body), encode("b"))
    with coshelf.open(path) as shelf:
        for read in (lambda: shelf["b"], lambda: shelf.get("b"), lambda: shelf.get_many(["b"]), shelf.copy):
            with pytest.raises(coshelf.FormatTooNew, match="'b'"):
                read()
        assert shelf["a"] == 1
        assert shelf[4] == "four"
        assert "b" in shelf
        assert list(shelf) == [4, "a", "b"]
        shelf["b"] = "anew"
        assert shelf.copy() == ENTRIES | {"b": "anew"}


@pytest.mark.parametrize("write", [edit, lambda shelf: shelf.modify("b", list), lambda shelf: shelf.pop("b")])
def test_record_of_a_later_version_stays_when_it_cannot_be_changed(write: Any, path: Path) -> None:
    rewrite(path, sealed("b", _HEADERED), encode("b"))
    with coshelf.open(path) as shelf, pytest.raises(coshelf.FormatTooNew):
        write(shelf)
    with lmdb.open(str(path), subdir=False, lock=False, lib_version=0) as opened, opened.begin() as t:
        stored = t.get(encode("b"))
    assert stored is not None
    assert stored.startswith(_HEADERED)


@pytest.mark.parametrize("change", [lambda row: row[:-1], lambda row: row + b"x", lambda row: row[:8], lambda row: b""])
def test_shelf_row_of_a_wrong_length_is_refused(change: Any, path: Path, unchanged: Any) -> None:
    rewrite(path, change)
    with unchanged(path.parent), pytest.raises((coshelf.DamagedShelf, coshelf.NotAShelf), match=r"my\.shelf"):
        coshelf.open(path)


def test_every_changed_bit_of_the_shelf_row_is_refused(path: Path) -> None:
    with lmdb.open(str(path), subdir=False, lock=False, lib_version=0) as opened, opened.begin() as t:
        row = t.get(ROW)
    assert row is not None
    at = path.read_bytes().rindex(row)
    whole = path.read_bytes()
    assert whole.count(row) == 1
    for offset in range(len(row)):
        broken = bytearray(whole)
        broken[at + offset] ^= 1 << offset % 8
        path.write_bytes(broken)
        with pytest.raises((coshelf.DamagedShelf, coshelf.NotAShelf), match=r"my\.shelf"):
            coshelf.open(path)
        assert path.read_bytes() == broken
