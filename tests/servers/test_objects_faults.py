"""Replies that are lost, servers that go away, and many who write at once: no update is lost, and nobody hangs."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import objects
import pytest
from http_proxy import Proxy, proxy
from insides import until

import coshelf
from starting import Program, words_of

SCRIPTS = Path(__file__).parent / "scripts" / "objects_faults"

WRITER = SCRIPTS / "writer_of_objects.py"


def start(program: Program, *arguments: object) -> subprocess.Popen[str]:
    environment = os.environ | objects.ENVIRONMENT
    command = [sys.executable, *words_of(program), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def race(server: objects.Server, processes: int, rounds: int, conditionally: bool) -> None:
    url = server.url()
    with coshelf.open(url) as shelf:
        shelf.update({("item", number): f"value{number}" for number in range(rounds)})
        running = [start(WRITER, url, rounds, conditionally) for _ in range(processes)]
        said = [process.communicate(timeout=300)[0].split() for process in running]
        assert [process.returncode for process in running] == [0] * processes
        assert sorted(value for each in said for value in each) == sorted(f"value{n}" for n in range(rounds))
        assert dict(shelf) == {"guarded": processes * rounds, "counted": processes * rounds}


@pytest.mark.parametrize("conditionally", [True, False])
def test_processes_that_race_lose_nothing(weed: objects.Weed, conditionally: bool) -> None:
    race(weed, processes=3, rounds=12, conditionally=conditionally)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("conditionally", [True, False])
def test_processes_that_race_for_long_lose_nothing(weed: objects.Weed, conditionally: bool) -> None:
    race(weed, processes=4, rounds=150, conditionally=conditionally)


# --- replies that are lost -------------------------------------------------------------------------------------------


@pytest.fixture
def spoiled(moto: objects.Server) -> Any:
    """A shelf behind a proxy, and the proxy."""
    with proxy(moto) as between, coshelf.open(between.url(), timeout=4) as shelf:
        shelf["n"] = 1
        between.requests.clear()
        yield shelf, between


def test_write_whose_reply_is_lost_is_looked_for_and_not_repeated(spoiled: Any) -> None:
    shelf, between = spoiled
    between.lost = {"PUT"}
    shelf["a"] = "there"
    shelf.modify("n", lambda n: n + 1)
    assert shelf.setdefault("new", 5) == 5
    assert between.requests.count("PUT") == 3
    between.lost = set()
    assert dict(shelf) == {"a": "there", "n": 2, "new": 5}


def test_write_that_cannot_be_looked_for_has_an_unknown_outcome(spoiled: Any) -> None:
    shelf, between = spoiled
    between.lost = {"PUT", "GET"}
    began = time.monotonic()
    with pytest.raises(coshelf.OutcomeUnknown, match="not repeated"):
        shelf["a"] = "perhaps"
    assert time.monotonic() - began < 100
    assert between.requests.count("PUT") == 1
    between.lost = set()
    assert shelf["a"] == "perhaps"


def test_write_that_failed_on_the_server_has_an_unknown_outcome(spoiled: Any) -> None:
    shelf, between = spoiled
    between.status = {"PUT": 500}
    with pytest.raises(coshelf.OutcomeUnknown, match="HTTP status 500"):
        shelf.modify("n", lambda n: n + 1)
    assert between.requests.count("PUT") == 1
    between.status = {}
    assert shelf["n"] == 1


def test_deletion_whose_reply_is_lost_has_an_unknown_outcome(spoiled: Any) -> None:
    shelf, between = spoiled
    between.lost = {"DELETE"}
    with pytest.raises(coshelf.OutcomeUnknown):
        shelf.pop("n")
    assert between.requests.count("DELETE") == 1
    between.lost = set()
    assert "n" not in shelf


def test_tombstone_whose_reply_is_lost_has_an_unknown_outcome(spoiled: Any) -> None:
    shelf, between = spoiled
    shelf._handle.engine._deletes_conditionally = False
    between.lost = {"PUT"}
    with pytest.raises(coshelf.OutcomeUnknown):
        shelf.pop("n")
    assert between.requests.count("PUT") == 1
    between.lost = set()
    assert "n" not in shelf and len(shelf) == 0


@contextmanager
def answering_after(between: Proxy, method: str) -> Iterator[None]:
    """For the block: let the server answer once a request was repeated."""

    def answer() -> None:
        until(lambda: between.requests.count(method) > 1)
        between.status.clear()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_busy_server_is_asked_again_for_reads_and_writes(spoiled: Any) -> None:
    shelf, between = spoiled
    between.status = {"PUT": 429, "GET": 503}
    with answering_after(between, "PUT"):
        shelf["a"] = 1
    assert between.requests.count("PUT") > 1
    between.requests.clear()
    between.status = {"GET": 503}
    with answering_after(between, "GET"):
        assert dict(shelf) == {"a": 1, "n": 1}


def test_unreachable_server_is_told_with_address_and_time() -> None:
    with pytest.raises(coshelf.Unavailable) as caught:
        coshelf.open(f"s3://{objects.BUCKET}/x?endpoint=http://127.0.0.1:9", timeout=0.3)
    assert "127.0.0.1:9" in str(caught.value) and "timeout 0.3 s" in str(caught.value)


# --- servers that go away --------------------------------------------------------------------------------------------


def test_server_that_stands_still_keeps_nobody_for_longer_than_the_timeout(weed: objects.Weed) -> None:
    url = weed.url()
    with coshelf.open(url) as patient:
        patient["a"] = 1  # the first value of all may take its time
    with coshelf.open(url, timeout=3) as shelf:
        weed.pause()
        try:
            for operation, error in (
                (lambda: shelf["a"], coshelf.Unavailable),
                (lambda: shelf.update({n: n for n in range(40)}), coshelf.OutcomeUnknown),
                (lambda: list(shelf.items()), coshelf.Unavailable),
            ):
                began = time.monotonic()
                with pytest.raises(error):
                    operation()
                assert time.monotonic() - began < 100
        finally:
            weed.resume()
    with coshelf.open(url) as patient:
        assert patient["a"] == 1


def count_up(url: str, stop: threading.Event, counts: dict[str, int]) -> None:
    """Increments until told to stop; how many were acknowledged, and of how many the outcome is unknown."""
    with coshelf.open(url, timeout=60) as shelf:
        while not stop.is_set():
            try:
                shelf.transact(lambda t: t.modify("n", lambda n: n + 1, default=0), attempts=1000)
                counts["done"] += 1
            except coshelf.OutcomeUnknown:
                counts["unknown"] += 1
            except coshelf.Unavailable:
                counts["not done"] += 1


def test_connections_that_break_at_random_lose_no_acknowledged_update(moto: objects.Server) -> None:
    with proxy(moto) as between, coshelf.open(moto.url("breaking")) as shelf:
        url, stop = between.url("breaking"), threading.Event()
        counts = [{"done": 0, "unknown": 0, "not done": 0} for _ in range(3)]
        threads = [threading.Thread(target=count_up, args=(url, stop, each)) for each in counts]
        for thread in threads:
            thread.start()
        while not all(each["done"] for each in counts):
            time.sleep(0.01)
        between.chance = random.Random(1)
        while sum(each["done"] for each in counts) < 60:
            time.sleep(0.01)
        stop.set()
        for thread in threads:
            thread.join(300)
            assert not thread.is_alive()
        done, unknown = (sum(each[kind] for each in counts) for kind in ("done", "unknown"))
        assert done <= shelf["n"] <= done + unknown


@pytest.mark.long
@pytest.mark.timeout(600)
def test_restart_loses_no_acknowledged_update(tmp_path: Path) -> None:
    with objects.Weed() as weed:
        url = weed.url()
        with coshelf.open(url, timeout=60) as shelf:
            stop = threading.Event()
            counts = [{"done": 0, "unknown": 0, "not done": 0} for _ in range(3)]
            threads = [threading.Thread(target=count_up, args=(url, stop, each)) for each in counts]
            for thread in threads:
                thread.start()
            while sum(each["done"] for each in counts) < 30:
                time.sleep(0.01)
            weed.kill()
            time.sleep(0.2)
            before = sum(each["done"] for each in counts)
            weed.start()
            while sum(each["done"] for each in counts) < before + 30:
                time.sleep(0.01)
            stop.set()
            for thread in threads:
                thread.join(300)
                assert not thread.is_alive()
            done, unknown = (sum(each[kind] for each in counts) for kind in ("done", "unknown"))
            assert done <= shelf["n"] <= done + unknown
