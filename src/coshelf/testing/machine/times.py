"""Entries that expire, by a clock that the machine moves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from coshelf.testing.machine.base import ShelfRules
from coshelf.testing.machine.strategies import NAMES, keys, values
from coshelf.testing.moving_clock import MovingClock

__all__ = ["ExpiryRules"]

_LIFETIMES = st.sampled_from([None, -1, 0, 1, 2.5, 60, timedelta(seconds=5)])


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

    @rule(name=st.sampled_from(NAMES))
    @precondition(lambda self: self.shelf.capabilities.expiry)
    def ask_when_entries_expire(self, name: str) -> None:
        target, model = self._both(name)
        expected = {key: model.time_of(key) for key in model}
        found = {key: target.expires(key) for key in target}
        assert found == {key: None if time is None else time / 1_000_000 for key, time in expected.items()}

    @rule(seconds=st.sampled_from([0.5, 1, 3, 100]))
    @precondition(lambda self: self.shelf.capabilities.expiry and self.block is None)
    def let_time_pass(self, seconds: float) -> None:
        self.clock.pass_by(seconds)
        self.committed.drop_expired(self.clock.now())

    @rule()
    @precondition(lambda self: self.shelf.capabilities.expiry and self.block is None)
    def remove_what_has_expired(self) -> None:
        assert self.shelf.expire() >= 0
        assert self.shelf.expire() == 0
