"""The files engine where several machines share the file system: as far as one machine can show it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

import coshelf

# What engines ask before they rely on one kernel's word, answered as on NFS.
AS_ON_NFS = """
import sys
import coshelf.engines.files.engine as engine
engine.shared = lambda path: "on a network file system (nfs4)"
import coshelf
shelf = coshelf.open("files:" + sys.argv[1])
"""


def start(code: str, root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", AS_ON_NFS + code, str(root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    out = process.communicate(timeout=300)[0]
    assert process.returncode == 0
    return out


def test_writers_lose_no_update(tmp_path: Path) -> None:
    code = "for _ in range(100): shelf.modify('n', lambda n: n + 1, default=0)"
    for process in [start(code, tmp_path / "db") for _ in range(3)]:
        said(process)
    with coshelf.open(f"files:{tmp_path}/db", "r") as shelf:
        assert dict(shelf) == {"n": 300}


def test_what_is_locked_is_a_file_since_a_directory_is_locked_for_one_machine_only(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    directory = os.open(tmp_path / "db", os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)  # as by another machine's kernel: it is of no account
    said(start("shelf['a'] = 1; shelf['b'] = 2", tmp_path / "db"))
    os.close(directory)
    staging = tmp_path / ".db.coshelf-staging"
    assert sorted(path.name for path in staging.iterdir() if path.is_file()) == ["batch.lock", "writers.lock"]
    with open(staging / "writers.lock", "rb+") as writers:
        fcntl.flock(writers, fcntl.LOCK_EX)
        waiting = start("print('opened', flush=True); shelf['a'] = 3", tmp_path / "db")
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "opened\n"
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.2)
    said(waiting)


def test_lock_files_are_for_all_who_may_write_the_directory(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db").chmod(0o2770)
    said(start("shelf['a'] = 1", tmp_path / "db"))
    made = list((tmp_path / ".db.coshelf-staging").iterdir())
    assert {path.stat().st_mode & 0o777 for path in made if path.is_file()} == {0o660}
    assert {path.stat().st_mode & 0o777 for path in made if path.is_dir()} == {0o700}  # each user's own


def test_waiting_looks_again_and_again_since_no_kernel_tells(tmp_path: Path) -> None:
    code = "print(shelf._handle.engine.capabilities.watch, flush=True); print(shelf.wait('a'))"
    waiting = start(code, tmp_path / "db")
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "poll\n"
    with coshelf.open(f"files:{tmp_path}/db") as shelf:
        shelf["a"] = "here"
    assert said(waiting) == "here\n"
