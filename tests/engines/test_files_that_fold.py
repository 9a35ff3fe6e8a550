"""The files engine where the file system takes names for the same that are not: as far as one that does not can show.

The system's calls are answered as there: a name finds the file whose name differs in case or in Unicode's form alone.
"""

from __future__ import annotations

import os
import pickle
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.pickleshare import PickleShareDB


def _form(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _case_and_form(name: str) -> str:
    return _form(name.casefold())


def _ascii_case(name: str) -> str:
    return "".join(character.lower() if character.isascii() else character for character in name)


def _as_given(name: str) -> str:
    return name


def _decomposed(name: str) -> str:
    return unicodedata.normalize("NFD", name)


# How names are compared, and how they are stored.
FILE_SYSTEMS = {
    "APFS": (_case_and_form, _as_given),
    "HFS+": (_case_and_form, _decomposed),
    "APFS, case-sensitive": (_form, _as_given),
    "HFS+, case-sensitive": (_form, _decomposed),
    "vfat": (_ascii_case, _as_given),
}


@pytest.fixture(autouse=True, params=FILE_SYSTEMS)
def folding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    folded, stored = FILE_SYSTEMS[request.param]

    def _found(name: str, directory: int | None) -> str:
        """The name in a directory that the file system finds for another one, or gives to a new file."""
        if directory is None or name == "." or "/" in name:
            return name
        present = [there for there in os.listdir(f"/proc/self/fd/{directory}") if folded(there) == folded(name)]
        return present[0] if present else stored(name)

    def folds(call: Callable[..., Any]) -> Callable[..., Any]:
        def folded(name: Any, *arguments: Any, dir_fd: int | None = None, **options: Any) -> Any:
            return call(_found(name, dir_fd), *arguments, dir_fd=dir_fd, **options)

        return folded

    def rename(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        rename_there(source, _found(target, dst_dir_fd), src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    rename_there = os.rename
    for name in ("open", "stat", "mkdir", "unlink", "rmdir"):
        monkeypatch.setattr(os, name, folds(getattr(os, name)))
    monkeypatch.setattr(os, "rename", rename)
    return str(request.param)


TWINS = [
    "Recipe",
    "recipe",
    "RECIPE",
    "é",
    "e\u0301",
    "É",
    "straße",
    "STRASSE",
    "Dir/a",
    "dir/a",
    "dir/A",
    "Dir",
    "dir",
]


def test_keys_that_differ_in_case_or_form_alone_never_meet(tmp_path: Path) -> None:
    with coshelf.open(f"files:{tmp_path}/db") as shelf:
        for key in TWINS:
            shelf[key] = key
            assert shelf[key] == key
        assert dict(shelf) == {key: key for key in TWINS}
        shelf.update({key: [key] for key in reversed(TWINS)})
        assert dict(shelf) == {key: [key] for key in TWINS}
    with coshelf.open(f"files:{tmp_path}/db") as shelf:
        for number, key in enumerate(TWINS, 1):
            del shelf[key]
            assert key not in shelf
            assert len(shelf) == len(TWINS) - number
        shelf.update({key: key for key in TWINS})
        assert dict(shelf) == {key: key for key in TWINS}
        assert pickle.loads((tmp_path / "db/RECIPE").read_bytes()) == "RECIPE"  # it was first, in the order of keys
    assert os.listdir(tmp_path / "db/.coshelf/made") == []
    assert not [name for name in os.listdir(tmp_path / "db") if "probe" in name.lower()]


def test_twins_in_the_first_batch_never_meet(tmp_path: Path) -> None:
    with coshelf.open(f"files:{tmp_path}/db") as shelf:
        shelf.update({key: key for key in TWINS})
        assert dict(shelf) == {key: key for key in TWINS}
    with coshelf.open(f"files:{tmp_path}/db", "r") as shelf:
        assert {key: shelf[key] for key in TWINS} == {key: key for key in TWINS}


def test_reader_is_given_no_value_of_a_twin(tmp_path: Path) -> None:
    with coshelf.open(f"files:{tmp_path}/db") as shelf:
        shelf["Recipe"] = shelf["plain"] = 1
    (tmp_path / "db/caf\u00e9").write_bytes(pickle.dumps("theirs", 2))  # an old process stores what it will
    with coshelf.open(f"files:{tmp_path}/db", "r", trust=True) as shelf:
        assert shelf["caf\u00e9"] == "theirs"
        for twin in ("recipe", "RECIPE", "cafe\u0301"):
            assert twin not in shelf
            assert shelf.get(twin) is None


@pytest.mark.parametrize("keys", [("Recipe", "recipe"), ("\u00e9", "e\u0301"), ("a/Recipe", "A/x")])
def test_pickleshare_refuses_a_twin_and_keeps_what_it_has(tmp_path: Path, folding: str, keys: tuple[str, str]) -> None:
    first, second = keys
    is_one = FILE_SYSTEMS[folding][0](first.split("/")[0]) == FILE_SYSTEMS[folding][0](second.split("/")[0])
    db = PickleShareDB(tmp_path / "db")
    if first == "\u00e9" and folding.startswith("HFS+"):
        with pytest.raises(coshelf.InvalidKey, match="file system changes to another name"):
            db[first] = "first"
        assert db.keys() == []
        first, second = second, first
    db[first] = "first"
    if is_one:
        with pytest.raises(coshelf.InvalidKey, match="file system takes for another name"):
            db[second] = "second"
        with pytest.raises(KeyError):
            db[second]
        assert db.keys() == [first]
    else:
        db[second] = "second"
        assert db[second] == "second"
    assert PickleShareDB(tmp_path / "db")[first] == "first"


def test_file_of_an_old_process_belongs_to_the_key_that_it_is_written_as(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db/MyVar").write_bytes(pickle.dumps("theirs", 2))
    with coshelf.open(f"files:{tmp_path}/db", trust=True) as shelf:
        assert "myvar" not in shelf
        assert shelf["MyVar"] == "theirs"
        shelf["myvar"] = "ours"
        assert dict(shelf) == {"MyVar": "theirs", "myvar": "ours"}
        shelf["MyVar"] = "changed"
        assert pickle.loads((tmp_path / "db/MyVar").read_bytes()) == "changed"
        assert shelf["myvar"] == "ours"


@pytest.mark.parametrize("folding", ["APFS", "HFS+", "vfat"], indirect=True)
@pytest.mark.parametrize("key", ["con", "aux.txt", "a:b", "what?", "ends.", "ends ", "a\nb", "lpt1", "ü"])
def test_name_that_such_a_system_may_change_or_refuse_is_escaped(tmp_path: Path, key: str) -> None:
    with coshelf.open(f"files:{tmp_path}/db") as shelf:
        shelf["plain.txt"] = shelf["console"] = shelf[f"d/{key}"] = shelf[key] = 1
        assert set(shelf) == {"plain.txt", "console", f"d/{key}", key}
    assert sorted(os.listdir(tmp_path / "db")) == [".coshelf", "console", "plain.txt"]
    assert len(os.listdir(tmp_path / "db/.coshelf/keys")) == 2
