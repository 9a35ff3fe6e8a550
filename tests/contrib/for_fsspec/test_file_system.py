"""What a file system in a shelf promises beyond fsspec's abstract suites."""

from __future__ import annotations

import importlib
import io
import os
import pickle
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fixtures import crew
from support import Crew

import coshelf
from coshelf.contrib.fsspec import CoshelfFileSystem
from coshelf.contrib.fsspec import files as open_files

__all__ = ["crew"]

ROOT = Path(__file__).parents[3]


@pytest.fixture
def fs(tmp_path: Path) -> Iterator[CoshelfFileSystem]:
    fs = CoshelfFileSystem(tmp_path / "a.shelf", skip_instance_cache=True)
    yield fs
    fs.close()


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """Register the file system as its entry point in pyproject.toml says."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["fsspec.specs"]
    module, _, name = scripts["coshelf"].partition(":")
    fsspec.register_implementation("coshelf", getattr(importlib.import_module(module), name), clobber=True)
    yield
    CoshelfFileSystem.clear_instance_cache()


# --- where the shelf is ----------------------------------------------------------------------------------------------


def test_a_chained_url_names_the_file_and_the_shelf(tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    with fsspec.open(f"coshelf://sales/2026.csv::{path}", "w", durability="commit") as file:
        file.write("1,2\n")
    with fsspec.open(f"coshelf://sales/2026.csv::file://{path}", "r") as file:
        assert file.read() == "1,2\n"
    with coshelf.open(path) as shelf:
        assert shelf["files/data/sales/2026.csv"] == b"1,2\n"


def test_a_url_with_an_option_names_the_file_alone(tmp_path: Path) -> None:
    options: dict[str, Any] = {"target": str(tmp_path / "a.shelf"), "part": "mine"}
    with fsspec.open("coshelf://a/b.txt", "wb", **options) as file:
        file.write(b"x")
    fs, path = fsspec.url_to_fs("coshelf:///a//b.txt", **options)
    assert (path, fs.cat(path)) == ("/a/b.txt", b"x")


def test_other_file_systems_lie_over_a_shelf(tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    with fsspec.open(f"coshelf://packed.zip::{path}", "wb") as file, zipfile.ZipFile(file, "w") as packed:
        packed.writestr("inner.txt", "text")
    with fsspec.open(f"zip://inner.txt::coshelf://packed.zip::{path}", "r") as file:
        assert file.read() == "text"
    with fsspec.open(f"simplecache::coshelf://packed.zip::{path}", "rb") as file:
        assert zipfile.ZipFile(file).namelist() == ["inner.txt"]


def test_it_is_an_error_not_to_say_where_the_shelf_is() -> None:
    with pytest.raises(ValueError, match="not said where the shelf is"):
        fsspec.filesystem("coshelf")
    with pytest.raises(ValueError, match=r"memory://.*\n.*target="):
        fsspec.open("coshelf://a::memory://b")


def test_what_is_not_a_shelf_is_refused_and_unchanged(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("some text of mine, and no shelf")
    with pytest.raises(coshelf.NotAShelf):
        CoshelfFileSystem(tmp_path / "notes.txt").pipe("a", b"x")
    assert (tmp_path / "notes.txt").read_text() == "some text of mine, and no shelf"


def test_an_engine_without_commits_of_several_entries_is_refused(tmp_path: Path) -> None:
    with pytest.raises(coshelf.Unsupported, match="commits of several entries"):
        CoshelfFileSystem(f"files:{tmp_path}/a").pipe("a", b"x")


@pytest.mark.parametrize("url", ["memory:", "sqlite:{}/a.sqlite"])
def test_files_come_back_on_other_engines(url: str, tmp_path: Path) -> None:
    fs = CoshelfFileSystem(url.format(tmp_path), skip_instance_cache=True)
    with fs.transaction:
        fs.pipe({"a/b": b"1", "a/c": bytes(2 << 20)})
    assert fs.du("a", total=False) == {"/a/b": 1, "/a/c": 2 << 20}
    fs.mv("a", "d", recursive=True)
    assert fs.find("") == ["/d/b", "/d/c"]
    fs.close()


def test_shelves_that_look_alike_have_file_systems_of_their_own() -> None:
    with coshelf.open("memory:") as one, coshelf.open("memory:") as other:
        CoshelfFileSystem(one).pipe("a", b"1")
        assert not CoshelfFileSystem(other).exists("a")
        assert CoshelfFileSystem(target=one).cat("a") == b"1"


# --- bytes -----------------------------------------------------------------------------------------------------------


def test_a_large_file_is_read_in_place(fs: CoshelfFileSystem) -> None:
    fs.pipe("a", bytes(range(256)) * (8 << 10))
    with fs.open("a") as file:
        assert type(file._view.obj) is not bytes
        assert file.seek(-2, os.SEEK_END) == file.size - 2
        assert file.read() == b"\xfe\xff"
        into = bytearray(3)
        assert (file.seek(5), file.readinto(into), bytes(into)) == (5, 3, b"\x05\x06\x07")
    assert fs.cat_file("a", -2, None) == b"\xfe\xff"
    assert fs.cat_ranges(["a", "b"], 0, 2)[0] == b"\x00\x01"


def test_an_open_file_keeps_its_bytes_when_it_is_overwritten(fs: CoshelfFileSystem) -> None:
    fs.pipe("a", bytes(2 << 20))
    with fs.open("a") as file:
        fs.pipe("a", b"new")
        fs.rm("a")
        assert file.read() == bytes(2 << 20)


def test_lines_are_read_as_text_and_as_bytes(fs: CoshelfFileSystem) -> None:
    text = "".join(f"line {number}\n" for number in range(5_000))
    fs.write_text("a", text)
    assert fs.read_text("a") == text
    with fs.open("a", "rb") as file:
        assert [*file] == [line.encode() + b"\n" for line in text.split("\n")[:-1]]
    assert fs.read_block("a", 3, 20, delimiter=b"\n") == b"line 1\nline 2\nline 3\n"


def test_a_file_larger_than_what_is_kept_in_memory_is_stored_whole(
    fs: CoshelfFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "_IN_MEMORY", 1_000)
    data = os.urandom(3 << 20)
    with fs.open("a", "wb") as file:
        file.write(data[:50])
        file.write(data[50:])
        assert file.tell() == len(data)
    assert fs.cat("a") == data


def test_a_file_is_there_when_it_is_closed_and_not_before(fs: CoshelfFileSystem) -> None:
    with fs.open("a", "wb") as file:
        file.write(b"12")
        assert not fs.exists("a")
        file.seek(0)
        file.write(b"3")
    assert fs.cat("a") == b"32"


def test_what_is_appended_comes_after_what_another_wrote_meanwhile(fs: CoshelfFileSystem) -> None:
    fs.pipe("a", b"1")
    with fs.open("a", "ab") as one, fs.open("a", "ab") as other:
        assert one.tell() == 1
        one.write(b"2")
        other.write(b"3")
        assert not one.seekable()
    assert sorted(fs.cat("a")) == sorted(b"123")


def test_of_two_that_make_the_same_file_one_fails(fs: CoshelfFileSystem) -> None:
    one, other = fs.open("a", "xb"), fs.open("a", "xb")
    one.write(b"1")
    other.write(b"2")
    one.close()
    with pytest.raises(FileExistsError):
        other.close()
    assert fs.cat("a") == b"1"


@pytest.mark.parametrize("mode", ["r+b", "w+b", "q"])
def test_a_mode_that_is_not_there_is_named(fs: CoshelfFileSystem, mode: str) -> None:
    with pytest.raises(ValueError, match="the mode of a file is r, w, x or a"):
        fs.open("a", mode)


def test_a_file_that_is_read_can_be_pickled(fs: CoshelfFileSystem) -> None:
    fs.pipe("a", b"12345")
    with fs.open("a") as file:
        file.read(2)
        with pickle.loads(pickle.dumps(file)) as again:
            assert again.read() == b"345"
        assert io.BufferedIOBase in type(file).__mro__


def test_times_tell_when_a_file_was_made_and_changed(fs: CoshelfFileSystem) -> None:
    before = datetime.now(UTC)
    fs.pipe("a", b"1")
    made = fs.created("a")
    fs.pipe("a", b"2")
    fs.touch("a", truncate=False)
    assert before <= made == fs.created("a") < fs.modified("a") <= datetime.now(UTC)
    assert fs.cat("a") == b"2"
    fs.touch("a")
    assert fs.size("a") == 0


# --- folders ---------------------------------------------------------------------------------------------------------


def test_folders_are_made_listed_and_removed(fs: CoshelfFileSystem) -> None:
    fs.mkdir("a/b")
    fs.pipe("c/d/e", b"1")
    assert fs.ls("", detail=False) == ["/a", "/c"]
    assert fs.ls("a/b") == []
    assert [info["type"] for info in fs.ls("c")] == ["directory"]
    assert fs.find("", withdirs=True, maxdepth=2) == ["/a", "/a/b", "/c", "/c/d"]
    fs.rmdir("a/b")
    fs.rm("c", recursive=True)
    assert fs.find("", withdirs=True) == ["/a"]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda fs: fs.ls("x"), FileNotFoundError),
        (lambda fs: fs.cat("x"), FileNotFoundError),
        (lambda fs: fs.cat("a"), IsADirectoryError),
        (lambda fs: fs.open("a", "wb"), IsADirectoryError),
        (lambda fs: fs.pipe("a", b"1"), IsADirectoryError),
        (lambda fs: fs.pipe("a/file/b", b"1"), NotADirectoryError),
        (lambda fs: fs.mkdir("a/file/b"), NotADirectoryError),
        (lambda fs: fs.mkdir("a"), FileExistsError),
        (lambda fs: fs.makedirs("a/file", exist_ok=True), FileExistsError),
        (lambda fs: fs.mkdir("x/y", create_parents=False), FileNotFoundError),
        (lambda fs: fs.rmdir("a"), OSError),
        (lambda fs: fs.rmdir("a/file"), NotADirectoryError),
        (lambda fs: fs.rm("x"), FileNotFoundError),
        (lambda fs: fs.rm(["a/file", "x"]), FileNotFoundError),
        (lambda fs: fs.rm("a"), OSError),
        (lambda fs: fs.cp_file("x", "y"), FileNotFoundError),
    ],
)
def test_what_cannot_be_done_is_an_error_and_changes_nothing(fs: CoshelfFileSystem, call: Any, error: type) -> None:
    fs.pipe("a/file", b"1")
    before = dict(fs.rows)
    with pytest.raises(error):
        call(fs)
    assert dict(fs.rows) == before


# --- transactions ----------------------------------------------------------------------------------------------------


def test_a_transaction_is_one_commit(fs: CoshelfFileSystem) -> None:
    fs.pipe("old", b"1")
    watch = fs.rows.watch()
    with fs.transaction:
        fs.pipe("a", b"1")
        with fs.open("b", "wb") as file:
            file.write(b"2")
        fs.mkdir("c")
        fs.rm("old")
        assert fs.find("", withdirs=True) == ["/old"]
    assert fs.find("", withdirs=True) == ["/a", "/b", "/c"]
    changes = [watch.next(60) for _ in range(7)]
    assert [change.is_last for change in changes] == [False] * 6 + [True]


def test_a_transaction_that_fails_changes_nothing(fs: CoshelfFileSystem) -> None:
    with pytest.raises(KeyError), fs.transaction:
        fs.pipe("a", b"1")
        raise KeyError("mine")
    with pytest.raises(FileExistsError), fs.transaction:
        fs.pipe("b", b"1")
        fs.pipe_file("b", b"2", mode="create")
    assert fs.find("") == []
    fs.pipe("c", b"1")
    assert fs.cat("c") == b"1"


def test_a_transaction_takes_a_value_as_it_is_when_it_is_given(fs: CoshelfFileSystem) -> None:
    data = bytearray(2 << 20)
    with fs.transaction:
        fs.pipe("a", data)
        data[0] = 1
    assert fs.cat_file("a", 0, 1) == b"\x00"


def test_a_transaction_within_another_is_refused_and_nothing_is_stored(fs: CoshelfFileSystem) -> None:
    with pytest.raises(coshelf.TransactionInProgress), fs.transaction:
        fs.pipe("a", b"1")
        with fs.transaction:
            pass
    assert not fs.exists("a")


def test_what_another_thread_writes_is_no_part_of_a_transaction(fs: CoshelfFileSystem) -> None:
    with pytest.raises(KeyError), fs.transaction:
        fs.pipe("mine", b"1")
        thread = threading.Thread(target=fs.pipe, args=("theirs", b"2"))
        thread.start()
        thread.join()
        assert fs.cat("theirs") == b"2"
        raise KeyError
    assert fs.find("") == ["/theirs"]


@pytest.mark.parametrize(
    "call",
    [
        lambda fs: fs.pipe({"x/1": b"1", "x/2": b"2"}),
        lambda fs: fs.rm("a", recursive=True),
        lambda fs: fs.mv("a", "x", recursive=True),
        lambda fs: fs.cp("a", "x", recursive=True),
        lambda fs: fs.get_mapper("x").update({"1": b"1"}),
        lambda fs: fs.get_mapper("x").setitems({"1": b"1", "2": b"2"}),
        lambda fs: fs.get_mapper("a").delitems(["1", "2"]),
    ],
)
def test_a_call_for_many_files_is_one_commit(fs: CoshelfFileSystem, call: Any) -> None:
    fs.makedirs("x")
    fs.pipe({"a/1": b"1", "a/2": b"2"})
    watch = fs.rows.watch()
    call(fs)
    fs.rows["end"] = None
    ends = 0
    while (change := watch.next(60)).key != "end":
        ends += change.is_last
    assert ends == 1


def test_a_mapper_is_a_mapping_of_files(fs: CoshelfFileSystem) -> None:
    mapper = fs.get_mapper("root")
    mapper["a/b"] = b"1"
    mapper.setitems({"c": b"2", "d": b"3"})
    assert dict(mapper) == {"a/b": b"1", "c": b"2", "d": b"3"}
    assert mapper.getitems(["c", "d", "x"], on_error="omit") == {"c": b"2", "d": b"3"}
    with pytest.raises(KeyError):
        mapper["x"]
    with pytest.raises(KeyError):
        mapper.getitems(["c", "x"])
    del mapper["c"]
    mapper.delitems(["d"])
    assert list(mapper) == ["a/b"]
    mapper.clear()
    assert len(mapper) == 0


# --- processes -------------------------------------------------------------------------------------------------------


def test_a_file_system_is_pickled_by_its_arguments_and_not_if_it_is_in_memory(tmp_path: Path) -> None:
    fs = CoshelfFileSystem(str(tmp_path / "a.shelf"))
    fs.pipe("a", b"1")
    assert pickle.loads(pickle.dumps(fs)).cat("a") == b"1"
    assert CoshelfFileSystem.from_json(fs.to_json()).cat("a") == b"1"
    fs.close()
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(CoshelfFileSystem("memory:", skip_instance_cache=True))


def test_a_transaction_of_a_killed_process_leaves_all_or_nothing(crew: Crew, tmp_path: Path) -> None:
    worker = crew.start(
        """
        from coshelf.contrib.fsspec import CoshelfFileSystem
        fs = CoshelfFileSystem(path)
        for turn in range(1_000_000):
            with fs.transaction:
                for number in range(20):
                    fs.pipe(f"a/{number}", str(turn).encode())
            if turn == 20:
                say("written")
        """,
        tmp_path / "a.shelf",
    )
    worker.expect("written")
    fs = CoshelfFileSystem(tmp_path / "a.shelf")
    for _ in range(20):
        assert len(set(fs.cat("a", recursive=True).values())) == 1
    worker.kill()
    contents = fs.cat("a", recursive=True)
    assert len(contents) == 20
    assert len(set(contents.values())) == 1
    fs.close()


@pytest.mark.long  # test_parts.py has the short form
def test_parent_and_forked_child_write_to_one_file_system(crew: Crew, tmp_path: Path) -> None:
    worker = crew.start(
        """
        from coshelf.contrib.fsspec import CoshelfFileSystem
        fs = CoshelfFileSystem(path)
        fs.pipe("a", b"parent")
        pid = os.fork()
        if pid == 0:
            fs.pipe("b", b"child of " + fs.cat("a"))
            os._exit(0)
        assert reap(pid) == 0
        say(fs.cat("b").decode())
        """,
        tmp_path / "a.shelf",
    )
    assert worker.hear() == "child of parent"
    worker.finish()
