"""Transactions keep writers out, never readers; waiting is bounded, names the holder, and can be interrupted."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import pytest
from support import Crew

import coshelf
from coshelf.errors import ShelfLocked

HOLDER = """
with coshelf.open(path) as shelf:
    with shelf.transaction() as t:
        t["half"] = "not committed"
        say("holding")
        hear()
        say("still holding")
    say("released")
    hear()
"""


def test_readers_go_on_while_another_process_sits_in_a_transaction(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf.update({number: number for number in range(100)})
        holder = crew.start(HOLDER, path)
        holder.expect("holding")
        reader = crew.start(
            """
            with coshelf.open(path) as shelf:
                for turn in range(500):
                    assert shelf[turn % 100] == turn % 100
                    assert "half" not in shelf
                    assert len(shelf) == 100
                with shelf.snapshot() as snapshot:
                    assert len(list(snapshot.items())) == 100
                assert shelf.get_many([1, 2, "half"]) == {1: 1, 2: 2}
            """,
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
        shelf["mine"] = 1
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
            """
            with coshelf.open(path) as shelf:
                say("waiting")
                if sys.argv[2] == "commit":
                    shelf["commit"] = shelf.get("half")
                    assert shelf["half"] == "not committed"
                else:
                    with shelf.transaction() as t:
                        t["transaction"] = t["half"]
            """,
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
        """
        shelf = coshelf.open(path, timeout=1000)  # longer than any test: only the interrupt ends the wait
        write = {
            "commit": lambda: shelf.update(mine=1),
            "transaction": lambda: shelf.transaction().__enter__(),
            "modify": lambda: shelf.modify("mine", lambda value: 1, default=0),
        }[sys.argv[2]]
        for turn in range(20):
            try:
                say("waiting")
                write()
            except KeyboardInterrupt:
                say("interrupted")
        assert "mine" not in shelf
        say("alive")
        hear()
        write()
        if sys.argv[2] != "transaction":
            assert shelf["mine"] == 1
            with shelf.transaction() as t:
                t["more"] = 1
            shelf.close()
            say("closed")
        """,
        path,
        way,
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
        """
        shelf = coshelf.open(path, timeout=1000)
        held, go = threading.Event(), threading.Event()
        def hold():
            with shelf.transaction() as t:
                t["a"] = 1
                held.set()
                go.wait()
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        try:
            say("waiting")
            shelf["b"] = 1
        except KeyboardInterrupt:
            say("interrupted")
        go.set()
        thread.join()
        shelf["c"] = 1
        assert dict(shelf) == {"a": 1, "c": 1}
        shelf.close()
        """,
        path,
    )
    waiting.expect("waiting")
    waiting.interrupt()
    waiting.expect("interrupted")
    waiting.finish()


def test_ctrl_c_inside_a_transaction_drops_it_whole(crew: Crew, path: str) -> None:
    worker = crew.start(
        """
        shelf = coshelf.open(path)
        try:
            with shelf.transaction() as t:
                t["a"] = 1
                say("inside")
                signal.pause()
        except KeyboardInterrupt:
            assert dict(shelf) == {}
            shelf["b"] = 1  # at once, in the handler: the lock has been released
        with shelf.transaction() as t:
            t["c"] = 1
        assert dict(shelf) == {"b": 1, "c": 1}
        shelf.close()
        """,
        path,
    )
    worker.expect("inside")
    worker.interrupt()
    worker.finish()


def test_interrupts_at_random_instants_leave_a_shelf_that_works(crew: Crew, path: str) -> None:
    worker = crew.start(
        """
        shelf = coshelf.open(path, timeout=5)
        shelf.update(a=0, b=0)
        def work():
            while True:
                with shelf.transaction() as t:
                    t["a"] += 1
                    t["b"] -= 1
                shelf.modify("n", lambda n: n + 1, default=0)
                shelf["k"] = 1
                shelf.pop("k", None)
                list(shelf.items())
        for turn in range(150):
            try:
                say("working")
                work()
            except KeyboardInterrupt:
                pass
            found = shelf.get_many(["a", "b"])
            assert found["a"] + found["b"] == 0
        say("done")
        """,
        path,
        options=(),
    )
    for _ in range(150):
        worker.expect("working")
        worker.process.send_signal(signal.SIGINT)
    worker.expect("done")
    with coshelf.open(path, timeout=5) as shelf, shelf.transaction() as t:
        assert t["a"] + t["b"] == 0
    worker.finish()


@pytest.mark.parametrize("work", ["shelf['k'] = 1", "with shelf.transaction(): raise Entered", "shelf.pop('k')"])
def test_ctrl_c_at_any_step_before_the_block_leaves_a_shelf_that_works(crew: Crew, path: str, work: str) -> None:
    """Python looks for signals when a function begins and when a call into C returns: here each of these is tried."""
    crew.run(
        f"""
        shelf = coshelf.open(path, timeout=0.05)
        class Entered(Exception):
            def __init__(self):
                sys.setprofile(None)
        code = compile({work!r}, "work", "exec")
        step, interrupted = 0, True
        while interrupted:
            shelf["k"] = 0
            step, count, interrupted, where = step + 1, 0, False, None
            def profile(frame, event, argument):
                global count, interrupted, where
                if event in ("call", "c_return") and "/coshelf/" in frame.f_code.co_filename:
                    count += 1
                    if count == step:
                        sys.setprofile(None)
                        interrupted, where = True, (frame.f_code.co_filename, frame.f_lineno, event, str(argument))
                        raise KeyboardInterrupt
            sys.setprofile(profile)
            try:
                exec(code, {{"shelf": shelf, "Entered": Entered}})
            except (KeyboardInterrupt, Entered):
                pass
            finally:
                sys.setprofile(None)
            try:
                shelf["after"] = step
                with shelf.transaction() as t:
                    t["more"] = step
            except CoshelfError as error:
                raise AssertionError(where) from error
        assert step > 20
        """,
        path,
    )
