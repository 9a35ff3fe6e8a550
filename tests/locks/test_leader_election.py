"""examples/leader_election.py: one worker leads, and the next one when it is killed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from lock_talk import wait_until
from support import Crew, Worker

import coshelf

EXAMPLE = Path(__file__).parents[2] / "examples" / "leader_election.py"


@pytest.fixture
def example() -> ModuleType:
    specification = importlib.util.spec_from_file_location("leader_election", EXAMPLE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def token_of(worker: Worker) -> int:
    """The token with which a worker begins to lead."""
    words = worker.hear().split()
    assert words[:4] == [str(worker.pid), "leads", "with", "token"]
    return int(words[4])


def test_next_worker_leads_when_the_leader_is_killed(crew: Crew, path: str) -> None:
    first = crew.start(EXAMPLE, path, 100_000, 0.01)
    tokens = [token_of(first)]
    with coshelf.open(path) as shelf:
        leader = shelf.lock("leader")
        second = crew.start(EXAMPLE, path, 100_000, 0.01)
        wait_until(lambda: len(leader.waiting()) == 1)
        third = crew.start(EXAMPLE, path, 3, 0.0)
        wait_until(lambda: len(leader.waiting()) == 2)
        first.kill()
        tokens.append(token_of(second))
        second.kill()
        tokens.append(token_of(third))
        assert third.finish() == [f"{third.pid} has done its work"]
        assert shelf["work/report"] == "round 3"
        assert shelf["work/leader"] == third.pid
        assert shelf["work/token"] == tokens[-1]
    assert tokens == sorted(set(tokens))


def test_work_of_an_earlier_leader_is_refused(example: ModuleType) -> None:
    with coshelf.open("memory:") as shelf:
        example.note(shelf, 7, "by the later leader")
        with pytest.raises(example.Superseded, match="leader 6"):
            example.note(shelf, 6, "by the earlier leader")
        example.note(shelf, 7, "once more")
        assert shelf["report"] == "once more"
