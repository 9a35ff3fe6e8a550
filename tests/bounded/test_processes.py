"""Limits hold while several processes write, and after processes were killed in the middle of an eviction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from looking import evicted, refuse_wrong_index
from support import Crew

import coshelf

WRITER = Path(__file__).parent / "scripts" / "writer.py"


@pytest.mark.parametrize("evict", ["sieve", "fifo", "lru", "lfu"])
def test_limits_hold_with_four_writers(crew: Crew, path: str, evict: Any) -> None:
    with coshelf.open(path, max_entries=200, max_bytes="1 MB", evict=evict, flush_interval=0.01) as shelf:
        workers = [crew.start(WRITER, path, f"w{number}-", "400") for number in range(4)]
        for worker in workers:
            assert worker.finish() == ["done"]
        shelf.sync()
        assert len(shelf) == 200
        assert evicted(shelf) >= 4 * (400 + 200) - 200
        refuse_wrong_index(shelf)
        assert shelf.check().ok


@pytest.mark.parametrize("after", ["1", "50", "333"])
def test_process_killed_in_an_eviction_leaves_the_shelf_within_its_limits(crew: Crew, path: str, after: str) -> None:
    with coshelf.open(path, max_entries=200, evict="lru") as shelf:
        shelf.update({number: number for number in range(200)})
    for name in ("a", "b", "c"):
        worker = crew.start(WRITER, path, name, "100000", "kill", after)
        assert worker.process.wait(60) == -9
        with coshelf.open(path) as shelf:
            shelf[name] = name
            shelf.sync()
            assert len(shelf) == 200
            assert shelf[name] == name
            refuse_wrong_index(shelf)
            assert shelf.check().ok
