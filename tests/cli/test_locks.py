"""``coshelf locks``, while others use the shelf."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import coshelf
from coshelf.testing.contract.task import PATIENCE, Task


@pytest.mark.parametrize("name", ["a.shelf", "sqlite:a.db", "files:a.files"])
def test_locks_names_holders_and_waiters(sh, tmp_path: Path, name: str) -> None:
    scheme, _, file = name.rpartition(":")
    target = f"{scheme}:{tmp_path / file}" if scheme else str(tmp_path / file)
    with coshelf.open(target) as shelf:
        assert sh(f"coshelf locks {name}") == ("", "")
        with shelf.lock("deploy") as turn, shelf.semaphore(("gpu", 1), 2):
            task = Task(lambda: shelf.lock("deploy").acquire(timeout=PATIENCE))
            while not shelf.lock("deploy").waiting():
                pass
            found = json.loads(sh(f"coshelf locks {name} --json")[0])
            out, _ = sh(f"coshelf locks {name}")
        task.finish()
    lock, semaphore = found
    assert (lock["kind"], lock["name"], lock["most"]) == ("lock", "'deploy'", 1)
    assert [(who["pid"], who["token"]) for who in lock["holders"]] == [(os.getpid(), turn.token)]
    assert [(who["pid"], who["token"]) for who in lock["waiting"]] == [(os.getpid(), None)]
    assert (semaphore["kind"], semaphore["name"], semaphore["most"]) == ("semaphore", "('gpu', 1)", 2)
    lines = out.splitlines()
    assert lines[0] == "lock 'deploy'"
    assert lines[1].startswith(f"  held by  pid {os.getpid()} on ")
    assert lines[1].endswith(f"token {turn.token}")
    assert lines[2].startswith(f"  waiting  pid {os.getpid()} on ")
    assert lines[3] == "semaphore ('gpu', 1)"


def test_locks_creates_nothing(sh, tmp_path: Path) -> None:
    coshelf.open(tmp_path / "a.shelf").close()
    before = sorted(os.listdir(tmp_path))
    assert sh("coshelf locks a.shelf --json") == ("[]\n", "")
    assert sorted(os.listdir(tmp_path)) == before
    sh("coshelf locks missing.shelf", code=3)
    assert sorted(os.listdir(tmp_path)) == before
