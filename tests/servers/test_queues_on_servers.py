"""Queues and deques of several processes, on the engines that lie on servers."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import Crew

import coshelf

TAKER = Path(__file__).parents[1] / "queues" / "scripts" / "taker.py"


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


def test_a_queue_does_on_servers_what_it_does_elsewhere(url: str) -> None:
    with coshelf.open(url) as shelf:
        jobs = shelf.queue("jobs", attempts=2)
        jobs.put_many(["b", "x" * 50_000])
        jobs.put("a", priority=-1)
        jobs.put("later", delay=1000)
        assert (len(jobs), jobs.peek(), jobs.get()) == (4, "a", "a")
        for _ in range(2):
            with pytest.raises(KeyError), jobs.take():
                raise KeyError
        taking = jobs.take()
        with taking as job:
            assert (job, taking.attempt) == ("x" * 50_000, 1)
        with pytest.raises(queue.Empty):
            jobs.get_nowait()
        assert [(item.value, item.attempts) for item in jobs.failed] == [("b", 2)]
        assert (jobs.failed.retry(), jobs.get()) == (1, "b")
        jobs.clear()
        jobs.join(timeout=60)
    with coshelf.open(url, "n") as shelf:
        assert shelf.queue("jobs").empty()


def test_a_deque_does_on_servers_what_it_does_elsewhere(url: str) -> None:
    with coshelf.open(url) as shelf:
        recent = shelf.deque("recent", maxlen=4)
        recent.extend(range(6))
        recent.appendleft("x" * 9000)
        recent.rotate(1)
        recent[1] = "changed"
        del recent[0]
        assert (list(recent), recent.pop(), recent.popleft()) == (["changed", 2, 3], 3, "changed")


def test_the_item_of_a_stopped_process_of_another_machine_comes_back(url: str, monkeypatch: Any) -> None:
    """Another machine is a process that this one cannot look at."""
    from coshelf.memo import claims
    from coshelf.system.processes.identity import Process

    monkeypatch.setattr(claims, "LEASE", 0.2)
    monkeypatch.setattr("coshelf.engines.renewing._PERIOD", 1000.0)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(claims, "this_process", lambda: Process("another boot", 1, 1, 1))
        lost = coshelf.open(url)
        lost.queue("jobs").put("a")
        taking = lost.queue("jobs").take()
        assert taking.__enter__() == "a"
    with coshelf.open(url) as shelf:
        again = shelf.queue("jobs").take(timeout=60)
        with again as job:
            assert (job, again.attempt) == ("a", 2)
    taking.__exit__(KeyError, KeyError(), None)
    lost.close()


def test_the_item_of_a_killed_taker_goes_to_one_that_waits(crew: Crew, url: str) -> None:
    with coshelf.open(url) as shelf:
        shelf.queue("jobs").put("a")
        first = crew.start(TAKER, url)
        first.expect("ready")
        first.expect("a 1")
        second = crew.start(TAKER, url)
        second.expect("ready")
        first.kill()
        second.expect("a 2")
        second.tell()
        second.expect("done")
        shelf.queue("jobs").join(timeout=60)


@pytest.mark.parametrize("url", ["redis", "postgresql"], indirect=True)
def test_a_transaction_ends_a_job_with_its_result(url: str) -> None:
    with coshelf.open(url) as shelf:
        jobs = shelf.queue("jobs")
        jobs.put(6)
        with jobs.take() as job, shelf.transaction() as transaction:
            transaction["result"] = job * job
            jobs.done()
        assert (shelf["result"], len(jobs)) == (36, 0)
        jobs.join(timeout=60)
