"""The end of a thread, task, greenlet or process gives back what it had. Nothing else does."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from lock_talk import in_thread, try_lock, wait_until
from support import INTERRUPTIBLE, Crew

import coshelf
from coshelf.errors import TurnHeld, TurnNotHeld
from coshelf.testing.contract.child import Child, Talk
from coshelf.testing.contract.task import Task

Shelf = coshelf.Shelf[Any, Any]
SCRIPTS = Path(__file__).parent / "scripts"


# --- threads ---------------------------------------------------------------------------------------------------------


def test_end_of_a_thread_gives_its_locks_back(shelf: Shelf) -> None:
    def take() -> None:
        assert shelf.lock("door").acquire()
        assert shelf.lock("window", reentrant=True).acquire()
        assert shelf.lock("window", reentrant=True).acquire()
        assert shelf.semaphore("gpu", 2).acquire()
        assert shelf.semaphore("gpu", 2).acquire()
        assert shelf.lock("door").locked()

    in_thread(take)
    wait_until(lambda: not shelf.lock("door").locked())
    wait_until(lambda: not shelf.lock("window").locked())
    wait_until(lambda: shelf.semaphore("gpu", 2).holders() == ())


def test_thread_that_dies_by_an_exception_gives_its_lock_back(shelf: Shelf) -> None:
    def die() -> None:
        shelf.lock("door").acquire()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_thread(die)
    wait_until(lambda: not shelf.lock("door").locked())


def test_waiter_gets_the_lock_of_a_thread_that_ended(shelf: Shelf) -> None:
    over, taken = threading.Event(), threading.Event()

    def take() -> None:
        assert shelf.lock("door").acquire()
        taken.set()
        over.wait()

    holder = threading.Thread(target=take, daemon=True)
    holder.start()
    taken.wait()
    waiter = Task(lambda: bool(shelf.lock("door").acquire()))
    assert waiter.still_runs()
    over.set()
    assert waiter.finish() is True


def test_detached_turn_outlives_its_thread_and_is_released_by_another(shelf: Shelf) -> None:
    def take() -> Any:
        turn = shelf.lock("door").acquire()
        assert turn
        turn.detach()
        return turn

    turn = in_thread(take)
    gc.collect()
    assert turn.held
    assert not try_lock(shelf, "door")
    turn.release()
    assert try_lock(shelf, "door")
    with pytest.raises(TurnNotHeld):
        turn.detach()


def test_thread_that_detached_its_turn_has_it_no_more(shelf: Shelf) -> None:
    lock = shelf.lock("door", reentrant=True)
    turn = lock.acquire()
    assert turn
    assert lock.acquire() is turn
    turn.detach()
    assert lock.acquire(timeout=0) is False
    with pytest.raises(TurnNotHeld):
        lock.release()
    turn.release()
    assert turn.held  # it was taken twice
    turn.release()
    assert try_lock(shelf, "door")


def test_thread_that_never_held_anything_frees_nothing(shelf: Shelf) -> None:
    with shelf.lock("door") as turn:
        in_thread(lambda: shelf.lock("door").acquire(blocking=False))
        in_thread(lambda: shelf.lock("door").locked())
        gc.collect()
        assert turn.held


def test_turn_lives_on_without_its_objects(shelf: Shelf) -> None:
    shelf.lock("door").acquire()
    gc.collect()
    assert not try_lock(shelf)
    shelf.lock("door").release()


# --- tasks -----------------------------------------------------------------------------------------------------------


def test_tasks_of_one_thread_have_locks_of_their_own(shelf: Shelf) -> None:
    async def other() -> object:
        lock = shelf.lock("door")
        with pytest.raises(TurnNotHeld):
            lock.release()
        return lock.acquire(blocking=False)

    async def main() -> None:
        with shelf.lock("door") as turn:
            assert await asyncio.create_task(other()) is False
            with pytest.raises(TurnHeld):
                shelf.lock("door").acquire()
            assert turn.held
        assert await asyncio.create_task(other())

    asyncio.run(main())
    assert try_lock(shelf)


def test_task_that_is_done_gives_its_lock_back(shelf: Shelf) -> None:
    async def take() -> None:
        assert shelf.lock("door").acquire()
        assert [who.task for who in shelf.lock("door").holders()] == ["the taker"]

    async def main() -> None:
        await asyncio.create_task(take(), name="the taker")
        for _ in range(3):  # the task calls back when it is done, in the next round of the loop
            await asyncio.sleep(0)
        assert not shelf.lock("door").locked()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_task_that_is_cancelled_gives_its_lock_back(shelf: Shelf) -> None:
    async def take(taken: asyncio.Event) -> None:
        assert shelf.lock("door").acquire()
        with shelf.lock("window"):
            taken.set()
            await asyncio.sleep(3600)

    async def main() -> None:
        taken = asyncio.Event()
        task = asyncio.create_task(take(taken))
        await taken.wait()
        assert shelf.lock("door").locked()
        task.cancel()
        await asyncio.wait([task])
        for _ in range(3):
            await asyncio.sleep(0)
        assert not shelf.lock("door").locked()
        assert not shelf.lock("window").locked()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_thread_and_task_in_it_are_two_owners(shelf: Shelf) -> None:
    async def main() -> object:
        return shelf.lock("door").acquire(blocking=False)

    with shelf.lock("door"):
        assert asyncio.run(main()) is False


@pytest.mark.parametrize("patched", ["patched", "unpatched"])
def test_greenlets_have_locks_of_their_own(crew: Crew, some_url: str, patched: str) -> None:
    pytest.importorskip("gevent")
    worker = crew.start(SCRIPTS / "greenlets.py", some_url, patched, options=("-W", "default"), fresh=True)
    for line in (
        "another greenlet is kept out",
        "free after its end",
        "free after its kill",
        "a waiter lets others run",
    ):
        worker.expect(line)
    worker.process.wait()
    assert worker.process.returncode == 0, worker.errors()


# --- forks -----------------------------------------------------------------------------------------------------------


def test_forked_child_holds_nothing(shelf: Shelf) -> None:
    lock = shelf.lock("door")
    with lock as turn:

        def look(talk: Talk) -> None:
            talk.say(turn.held)
            for use in (turn.release, lock.release, lambda: turn.token):
                try:
                    use()
                except TurnNotHeld as error:
                    talk.say(str(os.getppid()) in str(error) or "has no turn" in str(error))

        with Child(look) as child:
            assert [child.heard() for _ in range(4)] == ["False", "True", "True", "True"]
            assert child.heard() == ""
        assert turn.held
        assert not try_lock(shelf)
    assert try_lock(shelf)


def test_block_that_a_child_leaves_frees_nothing(shelf: Shelf) -> None:
    def leave_block(talk: Talk) -> None:
        try:
            block.__exit__(None, None, None)
        except TurnNotHeld:
            talk.say("not held")
        block.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
        gc.collect()
        talk.say("the end")

    block = shelf.lock("door")
    with block as turn:
        with Child(leave_block) as child:
            assert [child.heard(), child.heard(), child.heard()] == ["not held", "the end", ""]
        assert turn.held
        assert not try_lock(shelf)


def test_forked_child_of_a_thread_that_holds_a_lock_can_take_others(shelf: Shelf) -> None:
    def work(talk: Talk) -> None:
        with shelf.lock("window") as turn:
            talk.say(turn.held)

    with shelf.lock("door"), Child(work) as child:
        assert child.heard() == "True"
        assert child.heard() == ""


# --- interrupts ------------------------------------------------------------------------------------------------------


def test_interrupted_wait_leaves_the_line(crew: Crew, url: str) -> None:
    """Ctrl-C ends the wait, and nothing is left of it."""
    worker = crew.start(SCRIPTS / "interrupted.py", url, options=INTERRUPTIBLE)
    worker.expect("waits")
    worker.interrupt()
    worker.expect("interrupted")
    worker.expect("nobody waits")
    worker.finish()


def test_interrupts_at_any_time_leave_nothing_that_cannot_be_given_back(crew: Crew, some_url: str) -> None:
    worker = crew.start(SCRIPTS / "interrupted_often.py", some_url)
    worker.expect("nothing is held")
    worker.finish()
