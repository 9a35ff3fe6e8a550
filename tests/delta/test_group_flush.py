"""``durability="commit"``: all who wait at the same time share one flush."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from insides import commits_to_base, until, waiting
from support import Crew

import coshelf
from coshelf.engines.lmdb.base_writer import BaseWriter

SCRIPTS = Path(__file__).parent / "scripts" / "group_flush"


def test_threads_that_wait_during_a_flush_share_the_next_one(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    finish = BaseWriter.finish

    def wait_and_finish(self: BaseWriter, *arguments: Any) -> None:
        begun.set()
        assert go_on.wait(300)
        finish(self, *arguments)

    with coshelf.open(path, durability="commit") as shelf:
        shelf["before"] = 1
        before = commits_to_base(path)
        monkeypatch.setattr(BaseWriter, "finish", wait_and_finish)
        threads = [threading.Thread(target=shelf.__setitem__, args=(n, n)) for n in range(12)]
        threads[0].start()
        assert begun.wait(300)
        for thread in threads[1:]:
            thread.start()
        until(lambda: len(shelf) == 13)  # all are in the delta, and all wait
        assert all(thread.is_alive() for thread in threads)
        assert commits_to_base(path) == before
        go_on.set()
        for thread in threads:
            thread.join()
        assert commits_to_base(path) == before + 2
        assert not waiting(shelf)


def test_many_threads_need_far_fewer_flushes_than_they_make_commits(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = BaseWriter.finish

    def wait_for_the_others_and_finish(self: BaseWriter, *arguments: Any) -> None:
        until(lambda: len(shelf) % 8 == 1)  # all have committed, and wait: the others share the next flush
        finish(self, *arguments)

    with coshelf.open(path, durability="commit") as shelf:
        shelf["first"] = 1  # makes the delta
        before = commits_to_base(path)
        monkeypatch.setattr(BaseWriter, "finish", wait_for_the_others_and_finish)
        barrier = threading.Barrier(8)

        def commit(name: int) -> None:
            for turn in range(10):
                barrier.wait(300)
                shelf[name, turn] = turn

        threads = [threading.Thread(target=commit, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(shelf) == 81
        assert commits_to_base(path) - before <= 2 * 10
        assert not waiting(shelf)


def test_a_finalizer_that_writes_in_a_flush_does_not_keep_a_transaction_waiting(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the exclusive lock, whose holder waits for the end of the flush."""
    flushing, held = threading.Event(), threading.Event()
    committer = threading.Thread(target=lambda: shelf.update(a=1))
    finish = BaseWriter.finish

    def interrupted(self: BaseWriter, *arguments: Any) -> None:
        if threading.current_thread() is committer and not flushing.is_set():
            flushing.set()
            assert held.wait(300)
            shelf["finalizer"] = 1
        finish(self, *arguments)

    with coshelf.open(path, durability="commit") as shelf:
        shelf["first"] = 1
        monkeypatch.setattr(BaseWriter, "finish", interrupted)
        committer.start()
        assert flushing.wait(300)
        with shelf.transaction() as t:
            held.set()
            t["b"] = 2
        committer.join()
        assert dict(shelf) == {"first": 1, "a": 1, "b": 2, "finalizer": 1}


def test_processes_share_flushes_too(crew: Crew, path: str, armed: Any) -> None:
    """While one is held up in its flush the others commit; the next one of them takes all of that along."""
    others = [
        crew.start(
            SCRIPTS / "commits.py",
            path,
            number,
        )
        for number in range(4)
    ]
    for other in others:  # who opens a shelf waits for a flush under way
        other.expect("open")
    flag = path + ".stopped"
    slow = armed(
        f"flush-copied=pause:{flag}@1000",
        SCRIPTS / "slow.py",
        path,
    )
    until(lambda: os.path.exists(flag))
    for other in others:
        other.tell()
    with coshelf.open(path, "r") as shelf:
        until(lambda: len(shelf) == 5)
        before = commits_to_base(path)
        os.unlink(flag)
        for worker in (slow, *others):
            worker.expect("durable")
        assert commits_to_base(path) == before + 2
        assert not waiting(shelf)


def test_readers_see_a_commit_before_it_is_durable(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    finish = BaseWriter.finish

    def wait_and_finish(self: BaseWriter, *arguments: Any) -> None:
        assert go_on.wait(300)
        finish(self, *arguments)

    with coshelf.open(path, durability="commit") as shelf:
        monkeypatch.setattr(BaseWriter, "finish", wait_and_finish)
        thread = threading.Thread(target=shelf.__setitem__, args=("a", 1))
        thread.start()
        until(lambda: "a" in shelf)
        assert thread.is_alive()
        go_on.set()
        thread.join()
