"""The exclusive lock: one holder at a time whatever dies, stops or comes without the module; no process is kept out."""

from __future__ import annotations

import gc
import os
import signal
import threading
from pathlib import Path
from typing import Any

import bare_lock
import pytest
from support import Crew, Worker

import coshelf
from coshelf import native
from coshelf.errors import ShelfLocked

SCRIPTS = Path(__file__).parent / "scripts" / "locks"
KINDS = ["with", "with,without", "without"]

needs_module = pytest.mark.skipif(not native.in_use, reason=f"the module in C is not in use: {native.reason}")


def done(worker: Worker) -> None:
    assert worker.finish()[-1:] == ["done"]


# --- deaths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", KINDS)
def test_killed_holders_leave_a_lock_that_others_take_after_a_death(crew: Crew, path: str, kinds: str) -> None:
    done(crew.start(SCRIPTS / "killed_in_the_bare_lock.py", path, 1, 200, kinds))


@pytest.mark.parametrize("kinds", KINDS)
def test_no_acknowledged_change_is_lost_when_holders_are_killed(crew: Crew, path: str, kinds: str) -> None:
    done(crew.start(SCRIPTS / "killed_holders.py", path, 1, 40, kinds))


def test_a_process_with_the_pid_of_a_dead_holder_gets_the_lock(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["n"] = 0
        done(crew.start(SCRIPTS / "has_a_dead_pid.py", path))
        with shelf.transaction() as transaction:
            assert transaction["mine"] == 1


# --- processes that are stopped ---------------------------------------------------------------------------------------


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def stop(worker: Worker) -> None:
    worker.process.send_signal(signal.SIGSTOP)
    while not is_stopped(worker.pid):
        os.sched_yield()


def test_a_stopped_holder_is_waited_for_and_named(crew: Crew, path: str) -> None:
    with coshelf.open(path, timeout=0.3) as shelf:
        holder = crew.start(SCRIPTS / "holder.py", path)
        holder.expect("holding")
        stop(holder)
        with pytest.raises(ShelfLocked, match=f"pid {holder.pid} ") as caught:
            shelf.modify("n", lambda value: value, default=0)
        assert caught.value.pid == holder.pid
        assert dict(shelf) == {}
        holder.process.send_signal(signal.SIGCONT)
        holder.tell()
        holder.expect("still holding")
        holder.expect("released")
        with coshelf.open(path) as patient:  # the holder may be flushing
            patient["mine"] = 1
        assert dict(shelf) == {"half": "not committed", "mine": 1}
        holder.tell()
        holder.finish()


@needs_module
def test_a_stopped_waiter_does_not_keep_its_turn(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        with shelf.transaction() as transaction:
            waiter = crew.start(SCRIPTS / "counts.py", path, 1)
            waiter.expect("ready")
            waiter.tell()
            words = shelf._handle.engine._environment.page.memory.cast("I")
            while words[bare_lock.NEXT] != waiter.pid:
                os.sched_yield()
            stop(waiter)
            transaction["a"] = 1
        words.release()
        for turn in range(20):
            shelf.modify("a", lambda value, turn=turn: turn)
        waiter.process.send_signal(signal.SIGCONT)
        waiter.finish()
        assert dict(shelf) == {"a": 19, "n": 1}


def test_a_loop_in_one_process_does_not_keep_others_out(crew: Crew, path: str) -> None:
    busy = crew.start(SCRIPTS / "counts_until_told.py", path)
    busy.expect("counting")
    with coshelf.open(path) as shelf:
        for _ in range(30):
            shelf.modify("mine", lambda value: value + 1, default=0)
        busy.tell("stop")
        counted = int(busy.finish()[-1])
        assert dict(shelf) == {"mine": 30, "n": counted}


# --- processes with and without the module ----------------------------------------------------------------------------


@needs_module
def test_no_two_hold_it_while_a_process_without_the_module_comes(crew: Crew, path: str) -> None:
    done(crew.start(SCRIPTS / "changing_to_the_flock.py", path, 1, 300))


@pytest.mark.parametrize("without", [0, 1, 2])
def test_four_processes_count_exactly(crew: Crew, path: str, without: int, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = []
    for number in range(4):
        with monkeypatch.context() as patch:
            if number < without:
                patch.setenv("COSHELF_NATIVE", "0")
            workers.append(crew.start(SCRIPTS / "counts.py", path, 150))
    for worker in workers:
        worker.expect("ready")
    for worker in workers:
        worker.tell()
    for worker in workers:
        worker.finish()
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"n": 600}


# --- threads ----------------------------------------------------------------------------------------------------------


def test_a_block_may_be_left_by_another_thread(path: str) -> None:
    with coshelf.open(path, timeout=60) as shelf:
        block = shelf._handle.engine.exclusive()
        block.__enter__()
        thread = threading.Thread(target=block.__exit__, args=(None, None, None))
        thread.start()
        thread.join()
        assert not shelf._handle.engine.owns_exclusive()
        assert shelf.modify("a", lambda value: value + 1, default=0) == 1


def test_a_block_that_is_never_left_ends_when_it_is_collected(path: str) -> None:
    with coshelf.open(path, timeout=60) as shelf:
        block = shelf._handle.engine.exclusive()
        block.__enter__()
        assert shelf._handle.engine.owns_exclusive()
        del block
        gc.collect()
        assert shelf.modify("a", lambda value: value + 1, default=0) == 1


def test_threads_count_exactly(path: str) -> None:
    def count() -> None:
        for _ in range(50):
            shelf.modify("n", lambda value: value + 1)

    with coshelf.open(path) as shelf:
        shelf["n"] = 0
        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert shelf["n"] == 200


@needs_module
def test_threads_that_use_the_lock_first_at_the_same_time_share_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the object that took the lock can give it back."""
    made = native.process_lock
    others: list[object] = []

    def meanwhile(*arguments: Any) -> Any:
        if not others:
            others.append(None)
            assert lock.take(0) is False, "another thread uses the lock for the first time, and takes it"
        return made(*arguments)

    lock = bare_lock.opened(bare_lock.new_page(), str(tmp_path / "file"))
    monkeypatch.setattr(native, "process_lock", meanwhile)
    assert lock.swapped() is not None
    assert lock.take(0) is None
    lock.release()
    assert lock.take(0) is not None
