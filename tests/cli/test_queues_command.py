"""``coshelf queues``, through a real shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import coshelf


def test_queues_are_listed_with_their_items_in_each_state(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        jobs = shelf.queue("jobs", attempts=1)
        jobs.put_many("abcd")
        jobs.put("later", delay=100)
        with pytest.raises(KeyError), jobs.take():
            raise KeyError
        shelf.sub("s").queue("größe\x1b").put(1)
        shelf.queue("empty").put(1)
        shelf.queue("empty").get()
        with jobs.take():
            out, _ = sh("coshelf queues a.shelf --json")
            assert json.loads(out) == {
                "jobs": {"available": 2, "delayed": 1, "taken": 1, "failed": 1},
                "s/größe\x1b": {"available": 1, "delayed": 0, "taken": 0, "failed": 0},
            }
            out, _ = sh("coshelf queues a.shelf")
    assert out.splitlines() == [
        " available     delayed       taken      failed  queue",
        "         2           1           1           1  jobs",
        "         1           0           0           0  s/größe\\x1b",
    ]
    sh("coshelf queues none.shelf", 3)


def test_a_shelf_without_queues_lists_nothing(sh, tmp_path: Path) -> None:
    coshelf.open(tmp_path / "a.shelf").close()
    assert sh("coshelf queues a.shelf")[0] == ""
