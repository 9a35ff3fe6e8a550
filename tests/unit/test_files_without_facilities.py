"""What the drop-in modules do with files and memory where a facility is missing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import diskcache as original_diskcache
import pytest

import coshelf.diskcache
from coshelf.dropin import old_files
from coshelf.errors import CoshelfError
from coshelf.system.files import names
from coshelf.system.locks import whole_file
from coshelf.system.locks.directories import alone_in
from coshelf.system.locks.holders import holders
from coshelf.system.memory.buffers import declared_writable

PATIENCE = 60.0


def refused_links(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("has_flock", [True, False])
def test_one_thread_at_a_time_is_alone_in_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_flock: bool
) -> None:
    monkeypatch.setattr(whole_file, "has_flock", has_flock)
    inside, at_once = 0, []

    def work() -> None:
        nonlocal inside
        for _ in range(20):
            with alone_in(str(tmp_path)):
                inside += 1
                at_once.append(inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert at_once == [1] * 60
    assert os.listdir(tmp_path) == []


def test_directory_that_cannot_be_locked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(whole_file, "take", refuse)
    with pytest.raises(CoshelfError, match="cannot lock the directory"), alone_in(str(tmp_path)):
        pass


def test_nobody_is_known_to_hold_a_lock_without_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("coshelf.system.locks.holders._LOCKS", str(tmp_path / "none"))
    assert holders((tmp_path / "file").stat()) == set()


@pytest.mark.parametrize("lacking", ["links", "/proc"])
def test_directory_of_diskcache_is_taken_over_by_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    of_diskcache: Any = original_diskcache.Cache  # type: ignore[attr-defined]
    with of_diskcache(str(tmp_path)) as old:
        old["large"] = bytes(1 << 20)
    if lacking == "links":
        monkeypatch.setattr(os, "supports_dir_fd", os.supports_dir_fd | {refused_links})
        monkeypatch.setattr(os, "link", refused_links)
    else:
        monkeypatch.setattr(names, "exact_name", lambda _: None)
    with coshelf.diskcache.Cache(str(tmp_path)) as cache:
        assert cache["large"] == bytes(1 << 20)
    assert {path.stat().st_nlink for path in tmp_path.rglob("*.val")} == {1}


def test_old_shelf_is_kept_as_a_copy_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tmp_path / "shelf.dat", tmp_path / "new"
    old.write_bytes(b"old")
    new.write_bytes(b"new")
    monkeypatch.setattr(os, "link", refused_links)
    old_files.replace(str(tmp_path / "shelf"), [str(old)], old_files.looks_of([str(old)]), str(new))
    assert (tmp_path / "shelf").read_bytes() == b"new"
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.before-coshelf")} == {
        "shelf.dat.before-coshelf": b"old"
    }
    assert not old.exists()


def test_memory_is_copied_without_ctypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    copy = declared_writable(memoryview(b"abc"))
    assert (bytes(copy), copy.readonly) == (b"abc", False)


KEPT = """
import sys
if sys.argv[1] == "without":
    sys.modules["ctypes"] = None
from coshelf.dropin.sqlitedict.forks import keep_for_ever
class Connection:
    def __del__(self):
        print("closed")
keep_for_ever(Connection())
"""


@pytest.mark.parametrize("ctypes", ["with", "without"])
def test_connection_of_a_parent_is_never_closed(ctypes: str) -> None:
    done = subprocess.run([sys.executable, "-c", KEPT, ctypes], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
