"""The lock of the backend for dogpile.cache: among processes, given back by any thread, over with its process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from dogpile.cache import CacheRegion, make_region
from dogpile.cache.api import CacheMutex
from lock_talk import in_thread, wait_until
from support import Crew

import coshelf
from coshelf.errors import TurnNotHeld
from coshelf.testing.contract.child import Child, Talk

RegionOf = Callable[..., CacheRegion]
WORKER = """
from dogpile.cache import make_region, register_backend
register_backend("coshelf", "coshelf.contrib.dogpile", "CoshelfBackend")
region = make_region().configure("coshelf", arguments={"target": path})
def create():
    say("computes")
    return hear()
say("ready")
hear()
say(region.get_or_create("a", create))
"""


def test_one_of_several_processes_computes_and_all_get_its_value(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        lock = shelf.sub("dogpile").lock("a")
        workers = {worker.pid: worker for worker in crew.start_many(3, WORKER, path)}
        wait_until(lambda: len(lock.waiting()) == 2)
        computing = workers[lock.holders()[0].pid]
        computing.expect("computes")
        computing.tell("the value")
        for worker in workers.values():
            assert worker.finish() == ["the value"]


def test_waiting_process_computes_if_the_first_is_killed(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        lock = shelf.sub("dogpile").lock("a")
        first, second = crew.start(WORKER, path), crew.start(WORKER, path)
        for worker in (first, second):
            worker.expect("ready")
        first.tell()
        first.expect("computes")
        second.tell()
        wait_until(lambda: len(lock.waiting()) == 1)
        first.kill()
        second.expect("computes")
        second.tell("the value")
        assert second.finish() == ["the value"]


def test_expired_value_is_given_out_while_another_process_computes(crew: Crew, path: str, region_of: RegionOf) -> None:
    with coshelf.open(path) as shelf:
        region = region_of(shelf)
        region.set("a", "old")
        worker = crew.start(WORKER.replace('"a", create', '"a", create, expiration_time=0'), path)
        worker.expect("ready")
        worker.tell()
        worker.expect("computes")
        assert region.get_or_create("a", lambda: "not called", expiration_time=0) == "old"
        worker.tell("new")
        assert worker.finish() == ["new"]
        assert region.get("a") == "new"


def test_thread_that_computes_in_the_background_gives_the_lock_back(path: str, region_of: RegionOf) -> None:
    computing, go = threading.Event(), threading.Event()
    started: list[threading.Thread] = []

    def run(region: CacheRegion, key: str, creator: Any, mutex: CacheMutex) -> None:
        def compute() -> None:
            computing.set()
            assert go.wait(60)
            try:
                region.set(key, creator())
            finally:
                mutex.release()

        started.append(threading.Thread(target=compute))
        started[0].start()

    with coshelf.open(path) as shelf:
        region = region_of(shelf, make_region(async_creation_runner=run))
        region.set("a", "old")

        def ask() -> Any:
            return region.get_or_create("a", lambda: "new", expiration_time=0)

        assert in_thread(ask) == "old"  # the thread that took the lock has ended
        assert computing.wait(60)
        assert region.key_is_locked("a")
        assert ask() == "old"
        go.set()
        started[0].join()
        assert not region.key_is_locked("a")
        assert region.get("a") == "new"
        assert len(started) == 1


def test_value_that_cannot_be_computed_leaves_no_lock(path: str, region_of: RegionOf) -> None:
    region = region_of(path)
    with pytest.raises(ZeroDivisionError):
        region.get_or_create("a", lambda: 1 // 0)
    assert not region.key_is_locked("a")
    assert region.get_or_create("a", lambda: 2) == 2


def test_forked_child_has_no_lock_of_its_parent(path: str, region_of: RegionOf) -> None:
    mutex = region_of(path).backend.get_mutex("a")
    assert mutex.acquire()

    def work(talk: Talk) -> None:
        with pytest.raises(TurnNotHeld):
            mutex.release()
        talk.say(mutex.acquire(False))
        talk.hear()
        talk.say(mutex.acquire())
        mutex.release()

    with Child(work) as child:
        assert child.heard() == "False"
        assert mutex.locked()
        mutex.release()
        child.tell("released")
        assert child.heard() == "True"


def test_lock_that_was_not_taken_cannot_be_given_back(path: str, region_of: RegionOf) -> None:
    mutex = region_of(path).backend.get_mutex("a")
    with pytest.raises(TurnNotHeld, match="'a'"):
        mutex.release()


def test_region_can_do_without_the_lock(path: str, region_of: RegionOf) -> None:
    region = region_of(path, distributed_lock=False)
    assert region.backend.get_mutex("a") is None
    assert region.get_or_create("a", lambda: 1) == 1
