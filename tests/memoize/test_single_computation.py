"""One computation of each result at a time, over all processes and threads."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
from support import Crew, Worker

import coshelf
from coshelf.contract import CLAIMS

SCRIPTS = Path(__file__).parent / "scripts" / "single"
CALLER = SCRIPTS / "caller.py"


def start(crew: Crew, url: str, threads: int = 1) -> Worker:
    caller = crew.start(CALLER, url, threads)
    caller.expect("calling")
    return caller


def start_computing(crew: Crew, url: str) -> Worker:
    worker = start(crew, url)
    worker.expect("computing 1")
    return worker


def claims(url: str) -> list[bytes]:
    with coshelf.open(url) as shelf:
        return [row for row, _ in shelf.engine_for("test").scan(*CLAIMS)]


def test_threads_of_four_processes_compute_once(crew: Crew, url: str) -> None:
    computing = start_computing(crew, url)
    waiting = [start(crew, url, threads=3) for _ in range(3)]
    computing.tell("result")
    assert computing.finish() == ["returned result"]
    assert [worker.finish() for worker in waiting] == [["returned result"] * 3] * 3
    assert claims(url) == []


def test_no_result_is_computed_twice_in_a_race(crew: Crew, url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    racers = crew.start_many(4, SCRIPTS / "racing.py", url, log)
    said = [racer.finish() for racer in racers]
    assert len(said[0]) == 20
    assert said == [said[0]] * 4
    assert sorted(map(int, log.read_text().split())) == list(range(20))
    assert claims(url) == []


def test_another_process_takes_over_from_a_killed_one(crew: Crew, url: str) -> None:
    computing = start_computing(crew, url)
    waiting = [start(crew, url), start(crew, url)]
    computing.kill()
    said = []
    for worker in waiting:  # one of them computes, and it is not known which
        worker.tell("result")
        said.append(worker)
    assert sorted(line for worker in said for line in worker.finish()) == [
        "computing 1",
        "returned result",
        "returned result",
    ]
    assert claims(url) == []


def test_claim_of_a_killed_process_is_no_entry_and_goes_with_the_next_computation(crew: Crew, url: str) -> None:
    start_computing(crew, url).kill()
    with coshelf.open(url) as shelf:
        assert list(shelf) == []
        assert len(shelf) == 0
        assert shelf.check().ok
    assert len(claims(url)) == 1
    with coshelf.open(url) as shelf:

        @shelf.memoize
        def another(number: int) -> int:
            return number

        assert another(1) == 1
    assert claims(url) == []


def test_copies_have_no_claims(crew: Crew, path: str, tmp_path: Path) -> None:
    computing = start_computing(crew, path)
    with coshelf.open(path) as shelf:
        for step in ("delta", "base"):
            shelf.backup(tmp_path / step)
            assert claims(str(tmp_path / step)) == []
            shelf.sync()
    assert len(claims(path)) == 1
    computing.kill()


def test_each_caller_computes_in_turn_after_an_exception(crew: Crew, path: str) -> None:
    computing = start_computing(crew, path)
    waiting = start(crew, path)
    computing.tell("fail")
    assert computing.finish() == ["raised fail"]
    waiting.expect("computing 1")
    waiting.tell("result")
    assert waiting.finish() == ["returned result"]


def test_each_caller_computes_in_turn_if_the_result_is_not_to_be_kept(crew: Crew, path: str) -> None:
    computing = start_computing(crew, path)
    waiting = start(crew, path)
    computing.tell("unwanted")
    assert computing.finish() == ["returned unwanted"]
    waiting.expect("computing 1")
    waiting.tell("result")
    assert waiting.finish() == ["returned result"]


def test_none_is_a_result(crew: Crew, path: str) -> None:
    computing = start_computing(crew, path)
    waiting = start(crew, path)
    computing.tell("")
    assert computing.finish() == ["returned None"]
    assert waiting.finish() == ["returned None"]


@pytest.mark.parametrize("count", [2, 3])
def test_processes_that_wait_for_each_other_in_a_circle_end(crew: Crew, path: str, count: int) -> None:
    links = [crew.start(SCRIPTS / "circle.py", path, number, count) for number in range(count)]
    for link in links:
        link.expect("computing")
    for link in links:
        link.tell()
    assert [link.finish() for link in links] == [["returned end"]] * count
    assert claims(path) == []


@pytest.mark.parametrize("way", ["exit", "raise"])
def test_forked_child_of_a_computation_leaves_the_claim(crew: Crew, path: str, way: str) -> None:
    computing = crew.start(SCRIPTS / "forks.py", path, way, fresh=True)
    computing.expect("computing")
    assert len(claims(path)) == 1
    computing.tell()
    assert computing.finish() == ["returned 1"]


def test_stopped_process_is_waited_for(crew: Crew, path: str) -> None:
    computing = start_computing(crew, path)
    waiting = start(crew, path)
    computing.process.send_signal(signal.SIGSTOP)
    computing.tell("result")
    computing.process.send_signal(signal.SIGCONT)
    assert computing.finish() == ["returned result"]
    assert waiting.finish() == ["returned result"]


@pytest.mark.parametrize("target", ["memory:", {}], ids=["memory", "mapping"])
def test_threads_on_engines_of_one_process_compute_once(target: object) -> None:
    shelf = coshelf.open(target)  # type: ignore[arg-type, var-annotated]
    is_computing, may_return = threading.Event(), threading.Event()
    computed, returned = [], []

    @shelf.memoize
    def slow(number: int) -> int:
        computed.append(number)
        is_computing.set()
        assert may_return.wait(300)
        return number + 1

    def call() -> None:
        returned.append(slow(1))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert is_computing.wait(300)
    may_return.set()
    for thread in threads:
        thread.join()
    assert computed == [1]
    assert returned == [2] * 4
    assert list(shelf) == [slow.cache_key(1)]
    assert slow.cache_info() == (3, 1, None, 1)
