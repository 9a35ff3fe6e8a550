"""The files engine among hostile keys and hostile files."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.errors import DamagedRecord, InvalidKey, KeyTooLong, NotAShelf, ReadOnlyShelf, ShelfNotFound


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
def shelf(root: Path) -> Iterator[coshelf.Shelf[Any, Any]]:
    with coshelf.open(f"files:{root}") as shelf:
        yield shelf


def everything(place: Path) -> list[str]:
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*"))


def long_ago(path: Path) -> None:
    """As if the file had been written before, so that no old process can be writing it now."""
    os.utime(path, (time.time() - 100, time.time() - 100))


def test_value_is_a_bare_pickle_in_the_file_that_the_key_names(shelf: coshelf.Shelf[Any, Any], root: Path) -> None:
    shelf["paths/nest/key"] = [1, (5, 46)]
    assert pickle.loads((root / "paths/nest/key").read_bytes()) == [1, (5, 46)]
    assert [path for path in root.rglob("*") if path.is_file()] == [root / "paths/nest/key"]


def test_path_with_a_slash_at_its_end_is_a_directory_of_files(tmp_path: Path) -> None:
    with coshelf.open(f"{tmp_path}/db/") as shelf:
        shelf["a"] = 1
    assert pickle.loads((tmp_path / "db/a").read_bytes()) == 1


@pytest.mark.parametrize("protocol", [0, 1, 2, 5])
def test_every_protocol_is_written_and_read(root: Path, protocol: int) -> None:
    with coshelf.open(f"files:{root}", protocol=protocol) as shelf:
        shelf["a"] = {"b": [1.5]}
        assert (root / "a").read_bytes() == pickle.dumps({"b": [1.5]}, protocol)
        assert shelf["a"] == {"b": [1.5]}


@pytest.mark.parametrize(
    "key",
    [
        "",
        ".",
        "..",
        "../x",
        "/x",
        "a/../x",
        "a//b",
        "a/",
        "./a",
        "a\0b",
        "a\\b",
        "\ud800",
        "\udcc3\udca9",
        5,
        b"a",
        None,
    ],
)
def test_keys_that_are_no_safe_path_are_refused_and_found_nowhere(
    shelf: coshelf.Shelf[Any, Any], tmp_path: Path, key: Any
) -> None:
    before = everything(tmp_path)
    with pytest.raises(InvalidKey):
        shelf[key] = 1
    assert key not in shelf
    assert everything(tmp_path) == before


def test_parts_have_at_most_255_bytes(shelf: coshelf.Shelf[Any, Any]) -> None:
    shelf["é" * 127 + "a"] = shelf["d/" + "k" * 255] = 1
    with pytest.raises(KeyTooLong):
        shelf["é" * 128] = 1
    assert len(shelf) == 2


def test_key_is_not_the_path_of_a_directory_nor_below_a_file(shelf: coshelf.Shelf[Any, Any]) -> None:
    shelf["d/e"] = shelf["a"] = 1
    for key in ("d", "a/b", "a/b/c"):
        with pytest.raises(InvalidKey):
            shelf[key] = 2
        assert key not in shelf
    with pytest.raises(InvalidKey):
        shelf.update({"n": 1, "n/m": 2})
    assert dict(shelf) == {"a": 1, "d/e": 1}


def test_links_are_not_followed(shelf: coshelf.Shelf[Any, Any], root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    secret = tmp_path / "outside/secret"
    secret.write_bytes(pickle.dumps("secret"))
    (root / "directory").symlink_to(tmp_path / "outside")
    (root / "file").symlink_to(secret)
    assert list(shelf) == []
    assert "file" not in shelf
    assert "directory/secret" not in shelf
    for key in ("file", "directory/secret", "directory/new"):
        with pytest.raises(InvalidKey):
            shelf[key] = 1
    shelf.clear()
    assert os.listdir(tmp_path / "outside") == ["secret"]
    assert pickle.loads(secret.read_bytes()) == "secret"


def test_fifo_is_no_entry_and_holds_nobody_up(shelf: coshelf.Shelf[Any, Any], root: Path) -> None:
    os.mkfifo(root / "fifo")
    assert "fifo" not in shelf
    assert list(shelf) == []
    with pytest.raises(InvalidKey):
        shelf["fifo"] = 1
    shelf.clear()


@pytest.mark.parametrize("content", [b"", pickle.dumps(list(range(5000)))[:-100], pickle.dumps("x" * 90, 2)[:-1]])
def test_broken_file_is_damage_and_not_a_missing_key(
    shelf: coshelf.Shelf[Any, Any], root: Path, content: bytes
) -> None:
    (root / "broken").write_bytes(content)
    long_ago(root / "broken")
    with pytest.raises(DamagedRecord):
        shelf["broken"]
    with pytest.raises(KeyError):
        shelf["missing"]
    shelf["broken"] = "mended"
    assert shelf["broken"] == "mended"


def test_clear_ends_and_removes_broken_pickles_but_nobody_elses_files(
    shelf: coshelf.Shelf[Any, Any], root: Path
) -> None:
    shelf.update({"a": 1, "d/b": 2})
    (root / "empty").touch()
    (root / "README.txt").write_text("not a pickle")
    shelf.clear()
    assert [path.name for path in root.rglob("*") if path.is_file()] == ["README.txt"]
    with pytest.raises(NotAShelf):
        shelf["README.txt"] = 1
    assert (root / "README.txt").read_text() == "not a pickle"


def test_replaced_file_has_a_later_whole_second(shelf: coshelf.Shelf[Any, Any], root: Path) -> None:
    seconds = []
    for number in range(4):
        shelf["a"] = number
        seconds.append(int((root / "a").stat().st_mtime))
    assert sorted(set(seconds)) == seconds


def test_half_written_file_is_read_once_it_is_whole(shelf: coshelf.Shelf[Any, Any], root: Path) -> None:
    whole = pickle.dumps(["." * 5000], 2)
    file = (root / "a").open("wb", buffering=0)
    file.write(whole[:4500])  # ends like a whole one

    def finish(*_: object) -> None:
        file.write(whole[4500:])
        file.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("coshelf.engines.files.tree.time.sleep", finish)
        assert shelf["a"] == ["." * 5000]


def test_what_a_killed_writer_left_behind_goes_with_the_next_commit(
    shelf: coshelf.Shelf[Any, Any], root: Path, tmp_path: Path
) -> None:
    shelf["a"] = 1
    staging = tmp_path / ".db.coshelf-staging"
    (staging / "7").write_bytes(b"half")
    shelf["a"] = 2
    assert list(staging.iterdir()) == []


def test_opening_tells_missing_and_file_apart(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ShelfNotFound):
        coshelf.open(f"files:{tmp_path}/none", "r")
    with pytest.raises(ShelfNotFound):
        coshelf.open(f"files:{tmp_path}/none/below")
    with pytest.raises(NotAShelf):
        coshelf.open(f"files:{tmp_path}/file")
    assert everything(tmp_path) == ["file"]


def test_flag_r_writes_nothing_anywhere(root: Path, tmp_path: Path) -> None:
    root.mkdir()
    (root / "a").write_bytes(pickle.dumps(1, 2))
    with coshelf.open(f"files:{root}", "r") as shelf:
        assert dict(shelf) == {"a": 1}
        with pytest.raises(ReadOnlyShelf):
            shelf["a"] = 2
        with pytest.raises(ReadOnlyShelf):
            shelf.clear()
    assert everything(tmp_path) == ["db", "db/a"]
