"""The files engine among hostile keys and hostile files."""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.contract import OpenOptions
from coshelf.engines import open_engine
from coshelf.errors import DamagedRecord, InvalidKey, NotAShelf, ReadOnlyShelf, ShelfClosed, ShelfNotFound
from coshelf.keys import encode


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
def test_key_that_is_no_safe_path_has_one_file_and_leads_nowhere_else(
    shelf: coshelf.Shelf[Any, Any], root: Path, tmp_path: Path, key: Any
) -> None:
    shelf["a"] = 0
    before = everything(tmp_path)
    shelf[key] = 1
    assert key in shelf
    assert list(shelf.items()) == sorted([("a", 0), (key, 1)], key=lambda item: encode(item[0]))
    new = [path for path in everything(tmp_path) if path not in before and (tmp_path / path).is_file()]
    assert [path.rpartition("/")[0] for path in new] == ["db/.coshelf/keys"]
    shelf[key] = 2
    assert shelf[key] == pickle.loads((tmp_path / new[0]).read_bytes()) == 2
    del shelf[key]
    assert key not in shelf
    assert dict(shelf) == {"a": 0}
    assert not (tmp_path / new[0]).exists()


@pytest.mark.parametrize(("key", "name"), [
    ("https://example.com/a?b=1", "0https%3a%2f%2fexample%2ecom%2fa%3fb%3d1"),
    ("A//b", "0%41%2f%2fb"),
    (("user", 1), "%400user%00%1e%01%00"),
    (b"\x00", "8%00"),
    ("", "0"),
])  # fmt: skip
def test_escaped_name_is_the_one_that_is_documented(
    shelf: coshelf.Shelf[Any, Any], root: Path, key: Any, name: str
) -> None:
    shelf[key] = "value"
    assert pickle.loads((root / ".coshelf/keys" / name).read_bytes()) == "value"


def test_part_of_more_than_255_bytes_has_no_file_of_its_path(shelf: coshelf.Shelf[Any, Any], root: Path) -> None:
    keys = ["é" * 127 + "a", "d/" + "k" * 255, "é" * 128, "k" * 256, "k" * 256 + "/k", "long " * 5000]
    shelf.update({key: len(key) for key in keys})
    assert dict(shelf) == {key: len(key) for key in keys}
    assert {path for path in everything(root) if "~long/" not in path and (root / path).is_file()} == set(keys[:2])
    assert len(os.listdir(root / ".coshelf/keys/~long")) == 4
    for file in (root / ".coshelf/keys/~long").iterdir():
        assert pickle.loads(file.read_bytes()) in (128, 256, 258, 25000)  # as an old process reads it


def test_long_key_that_an_old_process_overwrote_is_still_found(shelf: coshelf.Shelf[Any, Any], root: Path) -> None:
    key = "k" * 300
    shelf[key] = 1
    (file,) = (root / ".coshelf/keys/~long").iterdir()
    file.write_bytes(pickle.dumps("theirs", 2))
    assert shelf[key] == "theirs"
    assert list(shelf) == []  # nothing says whose it is
    shelf[key] = 2
    assert dict(shelf) == {key: 2}


def test_key_beside_one_that_takes_its_path_has_a_file_of_its_own(shelf: coshelf.Shelf[Any, Any], root: Path) -> None:
    shelf["d/e"] = shelf["a"] = 1
    more = {"d": 2, "a/b": 3, "a/b/c": 4}
    shelf.update(more)
    shelf.update({"n": 5, "n/m": 6})
    expected = {"a": 1, "d/e": 1, **more, "n": 5, "n/m": 6}
    assert dict(shelf) == expected
    assert pickle.loads((root / "n").read_bytes()) == 5
    assert pickle.loads((root / ".coshelf/keys/0d").read_bytes()) == 2
    shelf["d"] = 7
    del shelf["a"]
    shelf["a/b"] = 8
    del expected["a"]
    assert dict(shelf) == expected | {"d": 7, "a/b": 8}
    assert list(shelf.keys("a/*")) == ["a/b"]
    with shelf.transaction() as t:
        del t["n"]
        t["n/o"] = 9
    assert pickle.loads((root / "n/o").read_bytes()) == 9  # its path is free by then
    shelf.clear()
    assert dict(shelf) == {}


def test_file_that_an_old_process_puts_at_the_path_of_a_key_is_the_keys(
    shelf: coshelf.Shelf[Any, Any], root: Path
) -> None:
    shelf["d/e"] = 1
    shelf["d"] = "escaped"
    (root / "d/e").unlink()
    (root / "d").rmdir()
    (root / "d").write_bytes(pickle.dumps("theirs", 2))
    assert dict(shelf) == {"d": "theirs"}
    assert len(shelf) == 1
    del shelf["d"]
    assert "d" not in shelf
    assert dict(shelf) == {}


def test_names_of_the_engine_itself_are_keys_like_others(shelf: coshelf.Shelf[Any, Any], root: Path) -> None:
    keys = [".coshelf", ".coshelf/keys/0a", ".Coshelf/made", ".coshelf/made", "a//", "0a"]
    shelf.update({key: key for key in keys})
    assert {key: shelf[key] for key in keys} == dict(shelf) == {key: key for key in keys}
    assert sorted(os.listdir(root)) == [".coshelf", "0a"]


def test_names_that_are_none_of_the_engine_are_no_keys(shelf: coshelf.Shelf[Any, Any], root: Path) -> None:
    shelf["a//b"] = 1
    good = (root / ".coshelf/keys/0a%2f%2fb").read_bytes()
    for name in ("0a%2F%2Fb", "0A", "%30a", "0a.b", "%", "0a%2", "x" * 200):
        (root / ".coshelf/keys" / name).write_bytes(good)
    (root / ".coshelf/keys/~long").mkdir()
    (root / ".coshelf/keys/~long/abc").write_bytes(good + b"\x30k" + (2).to_bytes(8, "little") + b"coshelf\n")
    (root / ".coshelf/keys/~long/def").write_bytes(good + (1 << 60).to_bytes(8, "little") + b"coshelf\n")
    assert dict(shelf) == {"a//b": 1}
    assert len(shelf) == 1


def test_namespaces_and_prefixes_hold_keys_of_every_kind(shelf: coshelf.Shelf[Any, Any]) -> None:
    users = shelf.sub("users")
    entries = {"ann": 1, "http://x": 2, ("t", 1): 3, 7: 4, b"b": 5, "": 6}
    users.update(entries)
    shelf["users"] = "beside"
    shelf["usersX//"] = "beside"
    assert dict(users) == entries
    assert dict(users.items(prefix="http://")) == {"http://x": 2}
    assert sorted(shelf.keys("users/**")) == ["users/", "users/ann", "users/http://x"]
    users.clear()
    assert dict(shelf) == {"users": "beside", "usersX//": "beside"}


def test_wait_wakes_for_a_key_that_is_no_path(shelf: coshelf.Shelf[Any, Any], root: Path) -> None:
    timer = threading.Timer(0.05, shelf.__setitem__, ("https://x", 1))
    timer.start()
    assert shelf.wait("https://x", timeout=300) == 1
    timer.join()


def test_bell_of_a_closed_shelf_is_refused_and_closes_no_file_of_others(root: Path) -> None:
    engine = open_engine(f"files:{root}", OpenOptions())
    bell = engine.doorbell(encode("a"))
    (root / "a").write_bytes(pickle.dumps(1))
    engine.close()
    others = [os.open(root, os.O_RDONLY) for _ in range(3)]  # one of them has the number that the directory had
    with pytest.raises(ShelfClosed):
        bell.sequence()
    for descriptor in others:
        os.close(descriptor)


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
    assert sorted(os.listdir(root)) == [".coshelf", "directory", "file"]
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


def test_check_reports_each_broken_file_and_counts_the_others(shelf: coshelf.Shelf[Any, Any], root: Path) -> None:
    shelf.update({"a": 1, "b": 2, "c/d": 3, "e": 4, ("t", 1): 5})
    for name in ("a", "c/d"):
        (root / name).write_bytes(b"\x80\x05broken")
        long_ago(root / name)
    seen: list[tuple[int, int]] = []
    for report in (shelf.check(progress=lambda *step: seen.append(step)), coshelf.check(f"files:{root}")):
        assert [(problem.kind, problem.where) for problem in report.problems] == [
            ("record", "key 'a'"),
            ("record", "key 'c/d'"),
        ]
        assert "no whole pickle" in report.problems[0].message
        assert report.entries == 3
    assert seen[-1] == (5, 5)


@pytest.mark.parametrize("key", ["a", "https://x", ("t", 1), "k" * 300])
def test_error_of_a_broken_file_has_the_key(shelf: coshelf.Shelf[Any, Any], root: Path, key: Any) -> None:
    shelf[key] = 1
    (file,) = (path for path in root.rglob("*") if path.is_file())
    file.write_bytes(b"\x80\x05broken")
    long_ago(file)
    with pytest.raises(DamagedRecord) as caught:
        shelf[key]
    assert caught.value.key == key


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
    own = tmp_path / ".db.coshelf-staging" / str(os.geteuid())
    (own / "7.staged").write_bytes(b"half")
    (own / "somebody's").write_bytes(b"kept")
    shelf["a"] = 2
    assert [path.name for path in own.iterdir()] == ["somebody's"]


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
