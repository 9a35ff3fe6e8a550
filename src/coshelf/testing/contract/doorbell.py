"""The doorbell: it rings at each change, and a waiting reader misses no change."""

from __future__ import annotations

from functools import partial

from coshelf.contract import Batch, Engine
from coshelf.testing.contract.base import EngineTests
from coshelf.testing.contract.entries import A, B, body, contents, loaded, put
from coshelf.testing.contract.requirements import needs
from coshelf.testing.contract.task import Task

__all__ = ["DoorbellTests"]


class DoorbellTests(EngineTests):
    @needs("watch=doorbell")
    def test_tone_differs_after_each_change(self, engine: Engine) -> None:
        bell = engine.doorbell(A)
        sequences = [bell.sequence()]
        for batch in (Batch(puts={A: body(1)}), Batch(puts={A: body(1)}), Batch(deletes=frozenset((A,)))):
            engine.commit(batch)
            sequences.append(bell.sequence())
        if engine.capabilities.exclusive:
            with engine.exclusive() as lock:
                put(lock, {A: 1})
            sequences.append(bell.sequence())
        assert len(set(sequences)) == len(sequences)

    @needs("watch=doorbell")
    def test_tone_stays_while_nothing_changes(self, engine: Engine) -> None:
        put(engine, {A: 1})
        bell = engine.doorbell(A)
        sequence = bell.sequence()
        contents(engine)
        assert bell.sequence() == sequence

    @needs("watch=doorbell")
    def test_ring_between_looking_and_waiting_is_not_missed(self, engine: Engine) -> None:
        bell = engine.doorbell(A)
        sequence = bell.sequence()
        put(engine, {A: 1})
        Task(lambda: bell.wait(sequence, None)).finish()

    @needs("watch=doorbell")
    def test_waiter_wakes_when_another_thread_commits(self, engine: Engine) -> None:
        def wait() -> object:
            bell = engine.doorbell(A)
            while True:
                sequence = bell.sequence()
                entry = engine.get(A)
                if entry is not None:
                    return loaded(entry)
                bell.wait(sequence, None)

        waiters = [Task(wait) for _ in range(3)]
        assert all(waiter.still_runs() for waiter in waiters)
        put(engine, {B: "of no interest"})
        put(engine, {A: "here"})
        assert [waiter.finish() for waiter in waiters] == ["here"] * 3

    @needs("watch=doorbell")
    def test_two_threads_that_answer_each_other_miss_no_ring(self, engine: Engine, eager_threads: None) -> None:
        put(engine, {A: 0, B: 0})

        def follow(mine: bytes, theirs: bytes, lead: int) -> None:
            bell = engine.doorbell(A)
            for number in range(1, 40):
                while True:
                    sequence = bell.sequence()
                    if loaded(engine.get(theirs)) >= number - lead:
                        break
                    bell.wait(sequence, None)
                put(engine, {mine: number})

        for task in [Task(partial(follow, A, B, 1)), Task(partial(follow, B, A, 0))]:
            task.finish()
        assert contents(engine) == [(A, 39), (B, 39)]

    @needs("watch=doorbell")
    def test_wait_ends_at_its_timeout(self, engine: Engine) -> None:
        bell = engine.doorbell(A)
        sequence = bell.sequence()
        Task(lambda: bell.wait(sequence, 0.01)).finish()
        Task(lambda: bell.wait(sequence, 0)).finish()
        assert bell.sequence() == sequence
