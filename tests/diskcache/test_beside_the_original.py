"""The same calls of a cache and of the installed diskcache have the same answers."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

import diskcache as original
import pytest
from cache_calls import Call, Clock, calls, listing
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from coshelf import diskcache


class BesideTheOriginal(RuleBasedStateMachine):
    """Two caches in step. What is a fault of the original is left out of the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.directories = [tempfile.mkdtemp(prefix="caches-") for _ in range(2)]
        with self.clock.shown():
            self.ours: Any = diskcache.Cache(self.directories[0])
            self.theirs: Any = original.Cache(self.directories[1])

    def teardown(self) -> None:
        try:
            assert self.ours.check() == []
        finally:
            for cache, directory in zip((self.ours, self.theirs), self.directories, strict=True):
                cache.close()
                shutil.rmtree(directory)

    def both(self, call: Call) -> None:
        with self.clock.shown():
            assert call.of(self.ours) == call.of(self.theirs)

    @rule(call=calls)
    def make_a_call(self, call: Call) -> None:
        self.both(call)

    @rule(several=st.lists(calls, max_size=5))
    def make_calls_in_a_transaction(self, several: list[Call]) -> None:
        with self.ours.transact(), self.theirs.transact():
            for call in several:
                self.both(call)

    @rule(seconds=st.sampled_from([0.5, 1, 2, 60]))
    def let_time_pass(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(limit=st.sampled_from([0, 1, 10]))
    def change_the_cull_limit(self, limit: int) -> None:
        self.both(Call("reset", ("cull_limit", limit)))

    @rule(policy=st.sampled_from(sorted(original.EVICTION_POLICY)))
    def change_the_policy(self, policy: str) -> None:
        self.both(Call("reset", ("eviction_policy", policy)))

    @rule()
    def reopen(self) -> None:
        with self.clock.shown():
            self.ours.close()
            self.theirs.close()
            self.ours = diskcache.Cache(self.directories[0])
            self.theirs = original.Cache(self.directories[1])

    @precondition(lambda self: self.ours is not None)
    @invariant()
    def both_hold_the_same(self) -> None:
        with self.clock.shown():
            assert listing(self.ours) == listing(self.theirs)


PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # to make a failing example smaller takes minutes


def run(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        BesideTheOriginal,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            phases=PHASES,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


def test_every_call_answers_as_the_originals_does() -> None:
    run(8, 25)


@pytest.mark.long
def test_every_call_answers_as_the_originals_does_for_long() -> None:
    run(100, 50)
