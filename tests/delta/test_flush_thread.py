"""The flush thread: there while there is something to flush, quick at first, then once an interval, gone at the end."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from insides import base_row, commits_to_base, environment_of, flush_all, flush_threads, is_clean, until, waiting
from support import Crew

import coshelf
from coshelf.engines.lmdb.base_writer import BaseWriter
from coshelf.engines.lmdb.delta.flusher import Flusher
from coshelf.system.threads.cooperation import ServiceThread

SCRIPTS = Path(__file__).parent / "scripts" / "flush_thread"

LONG = 1000.0  # seconds; a flush that comes all the same has another reason


def test_a_lone_assignment_reaches_the_base_without_sync(path: str) -> None:
    with coshelf.open(path, flush_interval=LONG) as shelf:
        before = base_row(shelf)
        shelf["a"] = 1
        until(lambda: base_row(shelf).nonce != before.nonce)
        assert base_row(shelf).sequence > before.sequence
        until(lambda: is_clean(shelf) and not waiting(shelf))


def test_the_thread_ends_when_nothing_is_left(path: str) -> None:
    with coshelf.open(path, flush_interval=LONG) as shelf:
        for turn in range(3):
            environment_of(shelf).page.delta.last_flush = 0.0  # long ago: as after a quiet interval
            shelf["a"] = turn
            until(lambda: not flush_threads())
            assert is_clean(shelf)


def test_who_only_reads_has_no_thread(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
        flush_all(shelf)
        with shelf.snapshot() as snapshot:
            assert snapshot["a"] == shelf["a"] == 1
        assert list(shelf) == ["a"] and len(shelf) == 1
        shelf.sync()
        assert shelf.get("b") is None and "a" in shelf
        assert not flush_threads()


def test_what_follows_a_flush_waits_for_the_interval_in_one_thread(path: str) -> None:
    with coshelf.open(path, flush_interval=LONG) as shelf:
        shelf["first"] = 1
        flush_all(shelf)
        before = commits_to_base(path)
        for turn in range(1000):
            shelf[turn] = turn
        assert len(flush_threads()) == 1
        assert commits_to_base(path) == before
        assert len(waiting(shelf)) == 1000


def test_under_steady_writing_there_is_about_one_flush_an_interval(path: str) -> None:
    interval = 0.05
    with coshelf.open(path, flush_interval=interval) as shelf:
        before, start, commits = commits_to_base(path), time.monotonic(), 0
        while commits_to_base(path) < before + 6:
            shelf["a"] = commits
            commits += 1
            assert time.monotonic() < start + 300, "it is not flushed"
        flushes = commits_to_base(path) - before
        assert flushes <= 2 + (time.monotonic() - start) / interval
        assert commits > flushes


def test_the_interval_is_shared_by_all_processes(crew: Crew, path: str) -> None:
    with coshelf.open(path, flush_interval=LONG) as shelf:
        shelf["first"] = 1
        flush_all(shelf)
        before = commits_to_base(path)
        crew.start(
            SCRIPTS / "commits_and_dies.py",
            path,
            LONG,
        ).expect("done")
        assert commits_to_base(path) == before
        assert len(waiting(shelf)) == 100


def test_twenty_thousand_entries_are_flushed_before_the_interval_ends(path: str) -> None:
    with coshelf.open(path, flush_interval=LONG) as shelf:
        shelf["first"] = 1
        flush_all(shelf)
        before = base_row(shelf).sequence
        for batch in range(20):
            shelf.update({(batch, n): n for n in range(1000)})
        assert base_row(shelf).sequence == before
        shelf.update({("more", n): n for n in range(100)})
        shelf["one more"] = 1
        until(lambda: base_row(shelf).sequence > before)


def test_sixteen_megabytes_are_flushed_before_the_interval_ends(path: str) -> None:
    with coshelf.open(path, flush_interval=LONG) as shelf:
        shelf["first"] = 1
        flush_all(shelf)
        before = base_row(shelf).sequence
        for turn in range(16):
            shelf[turn] = b"x" * 1_000_000
        assert base_row(shelf).sequence == before
        for turn in range(3):
            shelf["more", turn] = b"x" * 1_000_000
        until(lambda: base_row(shelf).sequence > before)


def test_a_flush_that_fails_in_the_background_is_tried_again_and_nobody_is_disturbed(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coshelf.engines.lmdb.delta.flusher._AFTER_FAILURE", 0.01)
    flush, attempts = Flusher.flush, []

    def fail_twice(self: Flusher) -> int:
        attempts.append(self)
        if len(attempts) <= 2:
            raise coshelf.StorageError(5, "cannot flush")
        return flush(self)

    monkeypatch.setattr(Flusher, "flush", fail_twice)
    with coshelf.open(path, flush_interval=0) as shelf:
        shelf["a"] = 1
        until(lambda: is_clean(shelf))
        assert len(attempts) >= 3
        assert shelf["a"] == 1


def test_without_a_thread_it_is_flushed_at_once(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: ServiceThread) -> None:
        raise RuntimeError("can't start new thread")

    with coshelf.open(path, flush_interval=LONG) as shelf:
        flush_all(shelf)
        monkeypatch.setattr(ServiceThread, "start", refuse)
        for turn in range(3):
            before = commits_to_base(path)
            shelf[turn] = turn
            assert commits_to_base(path) == before + 1
            assert not waiting(shelf)
        monkeypatch.undo()
        shelf["more"] = 1
        assert len(shelf) == 4


def test_a_commit_is_not_called_failed_when_without_a_thread_its_flush_fails(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: ServiceThread) -> None:
        raise RuntimeError("can't start new thread")

    def fail(self: Flusher) -> int:
        raise coshelf.StorageError(5, "cannot flush")

    with coshelf.open(path, flush_interval=LONG) as shelf:
        flush_all(shelf)
        with monkeypatch.context() as patch:
            patch.setattr(ServiceThread, "start", refuse)
            patch.setattr(Flusher, "flush", fail)
            shelf["a"] = 1
            assert shelf["a"] == 1
            with pytest.raises(coshelf.StorageError, match="cannot flush"):
                shelf.sync()
        shelf.sync()
        assert not waiting(shelf)


def test_an_interrupt_just_before_the_thread_is_started_leaves_that_to_the_next_commit(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupting:
        def __enter__(self) -> None:
            pass

        def __exit__(self, *_: object) -> None:
            raise KeyboardInterrupt

    with coshelf.open(path, flush_interval=LONG) as shelf:
        shelf["first"] = 1
        flush_all(shelf)
        with monkeypatch.context() as patch:
            patch.setattr(environment_of(shelf).flusher, "_mutex", Interrupting())
            with pytest.raises(KeyboardInterrupt):
                shelf["a"] = 1
        shelf["b"] = 2
        assert len(flush_threads()) == 1


def test_the_thread_ends_at_close(path: str) -> None:
    shelf = coshelf.open(path, flush_interval=LONG)
    for turn in range(10):
        shelf[turn] = turn
    shelf.close()
    assert not flush_threads()


def test_the_thread_goes_on_while_another_handle_is_open(path: str) -> None:
    with coshelf.open(path, flush_interval=0.01) as stays:
        with coshelf.open(path) as goes:
            goes["a"] = 1
        before = base_row(stays).sequence
        stays["b"] = 2
        until(lambda: base_row(stays).sequence > before)


def test_handles_closed_at_the_same_time_leave_no_thread_that_fails(path: str) -> None:
    """Neither sees that it is the last one, so neither waits for the thread's end."""
    for turn in range(20):
        shelves: list[Any] = [coshelf.open(path, flush_interval=LONG) for _ in range(2)]
        shelves[0]["a"] = turn
        flush_all(shelves[0])
        shelves[0]["a"] = turn
        assert flush_threads()
        barrier = threading.Barrier(2)

        def close(shelf: Any, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            shelf.close()

        closers = [threading.Thread(target=close, args=(shelf,)) for shelf in shelves]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join()
        until(lambda: not flush_threads())


def test_a_finalizer_that_writes_in_a_flush_keeps_nobody_from_the_base(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the exclusive lock, whose holder waits for the lock of the base."""
    flushing, take_over = threading.Event(), BaseWriter.take_over

    def interrupted(self: BaseWriter, rows: Any) -> None:
        if threading.current_thread() is flusher and not flushing.is_set():
            flushing.set()
            shelf["finalizer"] = 1
        take_over(self, rows)

    with coshelf.open(path, flush_interval=LONG) as shelf:
        shelf["first"] = 1
        flush_all(shelf)
        shelf["a"] = 1
        flusher = threading.Thread(target=shelf.sync)
        monkeypatch.setattr(BaseWriter, "take_over", interrupted)
        with shelf.transaction() as t:
            flusher.start()
            assert flushing.wait(300)
            t.update({number: number for number in range(1001)})  # too many for the delta
        flusher.join()
        assert len(shelf) == 1001 + 3
        assert shelf["finalizer"] == 1


def test_a_finalizer_that_closes_in_a_flush_waits_for_nobody_who_waits_for_that_flush(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread of the flush has the lock of the base. Another thread waits for it, and makes others wait."""
    take_over, is_first = BaseWriter.take_over, iter([True])

    def interrupted(self: BaseWriter, rows: Any) -> None:
        if next(is_first, False):
            other.start()
            until(lambda: not flusher._is_my_turn())
            handle.close()
        take_over(self, rows)

    with coshelf.open(path, flush_interval=LONG) as shelf:
        shelf["first"] = 1
        flush_all(shelf)
        handle = coshelf.open(path)
        shelf["a"] = 1
        flusher = environment_of(shelf).flusher
        other = threading.Thread(target=shelf.sync)
        monkeypatch.setattr(BaseWriter, "take_over", interrupted)
        flusher.flush()
        other.join()
        assert dict(shelf) == {"first": 1, "a": 1}


def test_a_fork_finds_no_flush_thread_and_the_parent_has_one_again_after(crew: Crew, path: str) -> None:
    """From Python 3.12 on, a thread that is there at a fork is a DeprecationWarning, here an error."""
    crew.start(SCRIPTS / "fork_without_the_thread.py", path, fresh=True).finish()


def test_a_thread_that_noticed_nothing_is_not_started_after_a_fork(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "fork_of_an_idle_one.py",
        path,
    )
