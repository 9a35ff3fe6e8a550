"""Transactions keep writers out, never readers; waiting is bounded, names the holder, and can be interrupted."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support import INTERRUPTIBLE, Crew

import coshelf
from coshelf import native
from coshelf.errors import ShelfLocked

SCRIPTS = Path(__file__).parent / "scripts" / "locks"

HOLDER = SCRIPTS / "holder.py"


def test_readers_go_on_while_another_process_sits_in_a_transaction(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf.update({number: number for number in range(100)})
        holder = crew.start(HOLDER, path)
        holder.expect("holding")
        reader = crew.start(
            SCRIPTS / "reader.py",
            path,
        )
        reader.finish()  # it has opened, read and closed: only now is the holder told to go on
        for turn in range(500):
            assert shelf[turn % 100] == turn % 100
        assert "half" not in shelf
        holder.tell()
        holder.expect("still holding")
        holder.expect("released")
        assert shelf["half"] == "not committed"
        holder.tell()
        holder.finish()


WAYS: dict[str, Callable[[coshelf.Shelf[str, int]], object]] = {
    "set": lambda shelf: shelf.__setitem__("a", 1),
    "update": lambda shelf: shelf.update(a=1),
    "modify": lambda shelf: shelf.modify("a", lambda value: value + 1, default=0),
    "setdefault": lambda shelf: shelf.setdefault("b", 1),
    "clear": lambda shelf: shelf.clear(),
    "transaction": lambda shelf: shelf.transaction().__enter__(),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_writer_that_waited_too_long_is_told_who_holds_the_lock(crew: Crew, path: str, way: str) -> None:
    with coshelf.open(path, timeout=0.05) as shelf:
        holder = crew.start(HOLDER, path)
        holder.expect("holding")
        with pytest.raises(ShelfLocked, match=f"pid {holder.pid} ") as caught:
            WAYS[way](shelf)
        assert caught.value.pid == holder.pid
        assert caught.value.since is not None
        assert dict(shelf) == {}
        holder.tell()
        holder.expect("still holding")
        holder.expect("released")
        with coshelf.open(path) as patient:  # the holder may be flushing
            patient["mine"] = 1
        assert dict(shelf) == {"half": "not committed", "mine": 1}
        holder.tell()
        holder.finish()


def test_the_timeout_of_a_transaction_goes_before_that_of_the_shelf(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:  # its own timeout is a minute
        holder = crew.start(HOLDER, path)
        holder.expect("holding")
        with pytest.raises(ShelfLocked), shelf.transaction(timeout=0.01):
            pytest.fail("entered")
        holder.end()


def test_waiting_writers_go_on_after_the_release(crew: Crew, path: str) -> None:
    holder = crew.start(HOLDER, path)
    holder.expect("holding")
    waiting = [
        crew.start(
            SCRIPTS / "waiting_writer.py",
            path,
            way,
        )
        for way in ("commit", "transaction")
    ]
    for worker in waiting:
        worker.expect("waiting")
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {}
        holder.tell()
        for worker in waiting:
            worker.finish()
        assert shelf["transaction"] == shelf["half"] == "not committed"
        assert "commit" in shelf
    holder.tell()
    holder.finish()


def test_a_thread_that_waits_for_another_threads_transaction_is_told_so(path: str) -> None:
    failures = []

    def wait() -> None:
        try:
            shelf["b"] = 1
        except ShelfLocked as error:
            failures.append(error)

    with coshelf.open(path, timeout=0.05) as shelf:
        with shelf.transaction() as t:
            t["a"] = 1
            thread = threading.Thread(target=wait)
            thread.start()
            thread.join()
        assert failures[0].pid == os.getpid()
        assert "another thread of this process" in str(failures[0])
        assert dict(shelf) == {"a": 1}


@pytest.mark.parametrize("way", ["commit", "transaction", "modify"])
def test_ctrl_c_ends_the_wait_for_a_lock_and_the_shelf_works_on(crew: Crew, path: str, way: str) -> None:
    holder = crew.start(HOLDER, path)
    holder.expect("holding")
    waiting = crew.start(
        SCRIPTS / "interrupted_wait.py",
        path,
        way,
        options=INTERRUPTIBLE,
    )
    for _ in range(20):
        waiting.expect("waiting")
        waiting.interrupt()
        waiting.expect("interrupted")
    waiting.expect("alive")
    holder.tell()
    holder.expect("still holding")
    holder.expect("released")
    holder.tell()
    waiting.tell()
    holder.finish()
    waiting.finish()


def test_ctrl_c_between_threads_ends_the_wait(crew: Crew, path: str) -> None:
    waiting = crew.start(
        SCRIPTS / "interrupted_between_threads.py",
        path,
        options=INTERRUPTIBLE,
    )
    waiting.expect("waiting")
    waiting.interrupt()
    waiting.expect("interrupted")
    waiting.finish()


def test_ctrl_c_inside_a_transaction_drops_it_whole(crew: Crew, path: str) -> None:
    worker = crew.start(
        SCRIPTS / "interrupted_transaction.py",
        path,
        options=INTERRUPTIBLE,
    )
    worker.expect("inside")
    worker.interrupt()
    worker.finish()


def test_interrupts_at_random_instants_leave_a_shelf_that_works(crew: Crew, path: str) -> None:
    worker = crew.start(
        SCRIPTS / "interrupted_at_random.py",
        path,
        options=(),
    )
    for _ in range(150):
        worker.expect("working")
        worker.process.send_signal(signal.SIGINT)
    worker.expect("done")
    with coshelf.open(path, timeout=60) as shelf, shelf.transaction() as t:
        assert t["a"] + t["b"] == 0
    worker.finish()


@pytest.mark.parametrize(
    "work", ["shelf['k'] = 1", "shelf['k'] = 1j", "with shelf.transaction(): raise Entered", "shelf.pop('k')"]
)
def test_ctrl_c_at_any_step_before_the_block_leaves_a_shelf_that_works(crew: Crew, path: str, work: str) -> None:
    """Python looks for signals when a function begins and when a call into C returns: here each of these is tried."""
    crew.run(SCRIPTS / "interrupted_at_every_step.py", path, work)


@pytest.mark.parametrize(
    ("step", "stride"),
    [
        ("modify", 1),
        ("touching", 11),
        ("pop", 1),
        ("incr", 1),
        ("popitem", 1),
        ("setdefault", 1),
        ("transaction", 1),
        ("transaction of a sub", 7),
        ("nested", 7),
        ("edit", 3),
    ],
)
def test_ctrl_c_at_any_instruction_leaves_no_lock(crew: Crew, path: str, step: str, stride: int) -> None:
    stride = stride if native.in_use else 23  # without the module there are many more instructions
    crew.run(SCRIPTS / "interrupted_at_every_instruction.py", path, step, stride)
