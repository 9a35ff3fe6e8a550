"""Memoized functions of several processes, on the engines that lie on servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Crew, Worker

import coshelf
from coshelf.contract import CLAIMS

CALLER = Path(__file__).parents[1] / "memoize" / "scripts" / "single" / "caller.py"


@pytest.fixture(params=["moto", "redis", "cluster", "postgresql"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of a shelf that is not there yet."""
    if request.param in ("moto", "postgresql"):
        yield request.getfixturevalue(request.param).url()
    else:
        yield request.getfixturevalue({"redis": "server", "cluster": "cluster"}[request.param])


@pytest.fixture
def crew() -> Iterator[Crew]:
    with Crew() as crew:
        yield crew


def end(worker: Worker) -> list[str]:
    """What a worker prints until it ends. It may report on its standard error that a server is slow."""
    said = worker.rest()
    assert worker.process.returncode == 0, worker.errors()
    return said.splitlines()


def test_processes_compute_once_and_one_takes_over_from_a_killed_one(crew: Crew, url: str) -> None:
    computing = crew.start(CALLER, url, 1)
    computing.expect("calling")
    computing.expect("computing 1")
    waiting = [crew.start(CALLER, url, 1) for _ in range(2)]  # not earlier: one of them would compute first
    for caller in waiting:
        caller.expect("calling")
    computing.kill()
    for caller in waiting:
        caller.tell("result")
    said = sorted(line for caller in waiting for line in end(caller))
    assert said == ["computing 1", "returned result", "returned result"]
    with coshelf.open(url) as shelf:
        assert list(shelf.values()) == ["result"]
        assert list(shelf.engine_for("test").scan(*CLAIMS)) == []
