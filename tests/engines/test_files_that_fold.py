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


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())


def _found(name: str, directory: int | None) -> str:
    """The name in a directory that a folding file system finds for another one."""
    if directory is None or name == "." or "/" in name:
        return name
    present = [there for there in os.listdir(f"/proc/self/fd/{directory}") if _folded(there) == _folded(name)]
    return present[0] if present else name


@pytest.fixture(autouse=True)
def folding(monkeypatch: pytest.MonkeyPatch) -> None:
    def folds(call: Callable[..., Any]) -> Callable[..., Any]:
        def folded(name: Any, *arguments: Any, dir_fd: int | None = None, **options: Any) -> Any:
            return call(_found(name, dir_fd), *arguments, dir_fd=dir_fd, **options)

        return folded

    def rename(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        rename_there(source, _found(target, dst_dir_fd), src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    rename_there = os.rename
    for name in ("open", "stat", "mkdir", "unlink"):
        monkeypatch.setattr(os, name, folds(getattr(os, name)))
    monkeypatch.setattr(os, "rename", rename)


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


@pytest.mark.parametrize("key", ["con", "aux.txt", "a:b", "what?", "ends.", "ends ", "a\nb", "lpt1", "ü"])
def test_name_that_such_a_system_may_change_or_refuse_is_escaped(tmp_path: Path, key: str) -> None:
    with coshelf.open(f"files:{tmp_path}/db") as shelf:
        shelf["plain.txt"] = shelf["console"] = shelf[f"d/{key}"] = shelf[key] = 1
        assert set(shelf) == {"plain.txt", "console", f"d/{key}", key}
    assert sorted(os.listdir(tmp_path / "db")) == [".coshelf", "console", "plain.txt"]
    assert len(os.listdir(tmp_path / "db/.coshelf/keys")) == 2
