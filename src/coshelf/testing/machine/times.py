"""Entries that expire, by a clock that the machine moves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from coshelf.testing.machine.base import ShelfRules
from coshelf.testing.machine.comparisons import check_equal
from coshelf.testing.machine.model import Model
from coshelf.testing.machine.strategies import NAMES, keys, values
from coshelf.testing.moving_clock import MovingClock

__all__ = ["STEPS", "ExpiryRules"]

_HOUR = 3_600
_LIFETIMES = st.sampled_from(
    [None, -1, 0, 1, 2.5, timedelta(seconds=5), 60, 60, 600, _HOUR, timedelta(hours=6), 48 * _HOUR]
)
STEPS = st.sampled_from([0.5, 1, 3, 60, 600, _HOUR, 6 * _HOUR])
_STEPS_BACK = st.sampled_from([1, 60, _HOUR])


class ExpiryRules(ShelfRules):
    def __init__(self) -> None:
        self.clock = self.moving_clock()
        self.clock.start()
        try:
            super().__init__()
        except BaseException:
            self.clock.stop()
            raise

    def moving_clock(self) -> MovingClock:
        """A clock by which the entries expire. A shelf on a server has one of its own."""
        return MovingClock()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.clock.stop()

    def _end_transaction(self, commit: bool) -> None:
        super()._end_transaction(commit)
        self.committed.drop_expired(self.clock.now())

    def _instant(self) -> Model:
        model = super()._instant()
        model.drop_expired(self.clock.now())  # if a transaction is open, that still has what has expired since
        return model

    def _until(self, expire: Any) -> int | None:
        """The time of an entry that is stored now."""
        if expire is None:
            return None
        seconds = expire.total_seconds() if isinstance(expire, timedelta) else expire
        return self.clock.now() + int(seconds * 1_000_000)

    @rule(name=st.sampled_from(NAMES), key=keys(), value=values(), expire=_LIFETIMES)
    @precondition(lambda self: self.shelf.capabilities.expiry)
    def set_with_time(self, name: str, key: Any, value: Any, expire: Any) -> None:
        target, model = self._both(name)
        target.set(key, value, expire=expire)
        model.store(key, value, self._until(expire), self.clock.now())

    @rule(name=st.sampled_from(NAMES), key=keys(), value=values(), expire=_LIFETIMES)
    @precondition(lambda self: self.shelf.capabilities.expiry)
    def add(self, name: str, key: Any, value: Any, expire: Any) -> None:
        target, model = self._both(name)
        assert target.add(key, value, expire=expire) is (key not in model)
        if key not in model:
            model.store(key, value, self._until(expire), self.clock.now())

    @rule(name=st.sampled_from(NAMES), key=keys(), expire=_LIFETIMES)
    @precondition(lambda self: self.shelf.capabilities.expiry)
    def touch(self, name: str, key: Any, expire: Any) -> None:
        target, model = self._both(name)
        assert target.touch(key, expire=expire) is (key in model)
        if key in model:
            model.store(key, model[key], self._until(expire), self.clock.now())

    @rule(name=st.sampled_from(NAMES), pairs=st.lists(st.tuples(keys(), values()), max_size=4), expire=_LIFETIMES)
    @precondition(lambda self: self.shelf.capabilities.expiry)
    def update_with_time(self, name: str, pairs: list[tuple[Any, Any]], expire: Any) -> None:
        target, model = self._both(name)
        target.update(pairs, expire=expire)
        for key, value in pairs:
            model.store(key, value, self._until(expire), self.clock.now())

    @rule(name=st.sampled_from(NAMES), key=keys(), by=st.integers(-2, 2), expire=_LIFETIMES)
    @precondition(lambda self: self.shelf.capabilities.expiry)
    def count(self, name: str, key: Any, by: int, expire: Any) -> None:
        target, model = self._both(name)
        if key not in model:
            assert target.incr(key, by, 10, expire=expire) == 10 + by
            model.store(key, 10 + by, self._until(expire), self.clock.now())
        elif isinstance(model[key], int):
            assert target.incr(key, by, expire=expire) == model[key] + by
            model.change(key, model[key] + by)
        else:
            with pytest.raises(TypeError):
                target.incr(key, by, expire=expire)

    @rule(name=st.sampled_from(NAMES))
    @precondition(lambda self: self.shelf.capabilities.expiry)
    def ask_when_entries_expire(self, name: str) -> None:
        target, model = self._both(name)
        expected = {key: model.time_of(key) for key in model}
        found = {key: target.expires(key) for key in target}
        assert found == {key: None if time is None else time / 1_000_000 for key, time in expected.items()}

    @rule(seconds=STEPS)
    @precondition(lambda self: self.block is None and self.shelf.capabilities.expiry)
    def let_time_pass(self, seconds: float) -> None:
        self._pass_by(seconds)

    @rule(at=st.integers(0, 3))
    @precondition(lambda self: self.block is None and self.committed.content.times)
    def go_to_the_time_of_an_entry(self, at: int) -> None:
        """An entry is there a microsecond before its time, and missing from its time on."""
        times = sorted(set(self.committed.content.times.values()))
        self._go_to(times[at % len(times)])

    @rule(seconds=_STEPS_BACK)
    @precondition(lambda self: self.block is None and self.shelf.capabilities.expiry)
    def put_the_clock_back(self, seconds: float) -> None:
        """What had expired is there again as it was, or has been removed."""
        self.clock.pass_by(-seconds)
        self.committed.take_back(self.clock.now(), self._exists)

    @rule()
    @precondition(lambda self: self.shelf.capabilities.expiry and self.block is None)
    def remove_what_has_expired(self) -> None:
        gone = self.committed.content.gone
        assert 0 <= self.shelf.expire() <= len(gone)
        assert self.shelf.expire() == 0
        gone.clear()

    def _pass_by(self, seconds: float) -> None:
        self.clock.pass_by(seconds)
        if self.block is None:
            self.committed.drop_expired(self.clock.now())

    def _go_to(self, time: int) -> None:
        for moment in (time - 1, time):
            self._pass_by((moment - self.clock.now()) / 1_000_000)
            assert self.clock.now() == moment
            check_equal(self.shelf, self.committed)

    def _exists(self, key: Any, value: Any, time: int) -> bool:
        if key not in self.shelf:
            return False
        assert self.shelf[key] == value
        assert self.shelf.expires(key) == time / 1_000_000
        return True
