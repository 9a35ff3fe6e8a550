"""``coshelf.open`` beside a shelf of the same name that a dbm module made: nothing is hidden."""

from __future__ import annotations

import dbm.dumb
import os
import shelve as original
from pathlib import Path
from typing import Any

import pytest

import coshelf
import coshelf.dbm
from coshelf import shelve


def make(kind: str, path: str) -> list[str]:
    if kind == "dumb":
        with original.Shelf(dbm.dumb.open(path, "c")) as shelf:
            shelf["soup"] = 1
        return [".bak", ".dat", ".dir"]
    if kind == "empty dumb":
        dbm.dumb.open(path, "c").close()
        return [".dat", ".dir"]
    if kind == "ndbm of gdbm":
        for suffix in (".pag", ".dir"):
            Path(path + suffix).write_bytes(bytes(16))
        return [".dir", ".pag"]
    Path(path + ".db").write_bytes(bytes(12) + 0x061561.to_bytes(4, "little") + bytes(4080))
    return [".db"]


@pytest.mark.parametrize("kind", ["dumb", "empty dumb", "ndbm of gdbm", "ndbm of Berkeley DB"])
@pytest.mark.parametrize("flag", ["r", "w", "c"])
def test_old_shelf_is_named_and_nothing_is_made(kind: str, flag: Any, path: str) -> None:
    suffixes = make(kind, path)
    before = sorted(os.listdir(os.path.dirname(path)))
    assert before == sorted(os.path.basename(path) + suffix for suffix in suffixes) or kind.endswith("dumb")
    with pytest.raises(OSError, match="migrate") as raised:
        coshelf.open(path, flag)
    assert isinstance(raised.value, coshelf.NotAShelf if flag == "c" else coshelf.ShelfNotFound)
    assert f"{os.path.basename(path)}{suffixes[-1]}" in str(raised.value)
    assert sorted(os.listdir(os.path.dirname(path))) == before


def test_drop_in_still_finds_the_old_shelf_afterwards(path: str) -> None:
    make("dumb", path)
    with pytest.raises(coshelf.NotAShelf):
        coshelf.open(path)
    with shelve.open(path) as shelf:
        assert dict(shelf) == {"soup": 1}
    assert shelve.migrate(path) == 1
    with coshelf.open(path) as native:
        assert dict(native) == {"soup": 1}


def test_flag_n_makes_a_new_shelf_beside_it(path: str) -> None:
    make("dumb", path)
    with coshelf.open(path, "n") as native:
        assert dict(native) == {}
    assert os.path.exists(path + ".dat")


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".db", b"SQLite format 3\0" + bytes(4080)),
        (".db", b""),
        (".dat", b"a program's own"),
        (".dir", b""),
        (".pag", b"a page"),
    ],
)
def test_file_that_only_has_such_a_name_is_nobodys_shelf(suffix: str, content: bytes, path: str) -> None:
    Path(path + suffix).write_bytes(content)
    with coshelf.open(path) as native:
        native["a"] = 1
    assert Path(path + suffix).read_bytes() == content


def test_drop_in_says_which_module_is_missing(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not make a new shelf, as the original would, which hides the old one."""
    make("ndbm of Berkeley DB", path)
    monkeypatch.setattr(coshelf.dbm, "_their_whichdb", lambda _: None)
    with pytest.raises(coshelf.dbm.error[0], match=r"dbm\.ndbm"):
        shelve.open(path)
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path) + ".db"]
