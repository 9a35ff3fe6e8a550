"""A day of a shelf whose entries expire, beside a plain dict."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from coshelf.errors import WaitTimeout
from coshelf.testing.machine.base import below
from coshelf.testing.machine.comparisons import check_equal
from coshelf.testing.machine.one_entry import OneEntryRules
from coshelf.testing.machine.opening import OpeningRules
from coshelf.testing.machine.snapshots import SnapshotRules
from coshelf.testing.machine.strategies import NAMES
from coshelf.testing.machine.times import STEPS, ExpiryRules
from coshelf.testing.machine.transactions import TransactionRules

__all__ = ["DayMachine"]

_DAY = round(timedelta(days=1).total_seconds() * 1_000_000)


class DayMachine(ExpiryRules, OneEntryRules, TransactionRules, SnapshotRules, OpeningRules):
    """Lives through a day with a few keys that are stored, touched, counted and removed, and expire.

    The rules move the clock by seconds to hours, now and then back. The rest of the day passes at the end: each entry
    is missing from its time on. Use it as :class:`coshelf.testing.ShelfMachine`, for an engine whose entries can
    expire.
    """

    few_keys: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self._end = self.clock.now() + _DAY

    def teardown(self) -> None:
        try:
            if sys.exception() is None:  # what a rule has found is to be reported
                self._live_through_the_day()
        finally:
            super().teardown()

    def _live_through_the_day(self) -> None:
        if self.block is not None:
            self._end_transaction(commit=True)
        times = self.committed.content.times
        while times and min(times.values()) <= self._end:
            self._go_to(min(times.values()))
        self._pass_by(max(0, self._end - self.clock.now()) / 1_000_000)
        check_equal(self.shelf, self.committed)
        self.remove_what_has_expired()
        check_equal(self.shelf, self.committed)
        for snapshot, model in self.snapshots:
            check_equal(snapshot, model)

    @rule(seconds=STEPS)
    @precondition(lambda self: self.block is not None)
    def let_time_pass_in_a_transaction(self, seconds: float) -> None:
        """It goes on to see what it saw at its beginning."""
        self._pass_by(seconds)

    @rule(name=st.sampled_from(NAMES))
    def look_in_every_way(self, name: str) -> None:
        self._look(*self._both(name))
        for snapshot, model in self.snapshots:
            self._look(below(snapshot, name), model.sub(name) if name else model)

    def _look(self, target: Any, model: Any) -> None:
        """All that can be asked of all keys that there may be."""
        candidates = ["a", "b", "a/b", "b/a", 1, *model, *self.committed]
        there = {key: model[key] for key in candidates if key in model}
        assert {key: target[key] for key in candidates if key in target} == there
        assert {key: value for key in candidates if (value := target.get(key, self)) is not self} == there
        assert target.get_many(candidates) == there
        for prefix in ("", "a", "a/", "b"):
            expected = model.select({"prefix": prefix})
            assert len(target.keys(prefix=prefix)) == len(expected)
            assert list(target.keys(prefix=prefix, reverse=True)) == expected[::-1]
        cursor = target.cursor()
        walk = [cursor.first(), *(cursor.next() for _ in there)]
        assert walk == [*model.items(), None]

    @rule(name=st.sampled_from(NAMES))
    @precondition(lambda self: self.block is None)
    def wait_for_each(self, name: str) -> None:
        target, model = self._both(name)
        for key in ("a", "b", 1):
            try:
                assert target.wait(key, timeout=0) == model[key]
            except WaitTimeout:
                assert key not in model
