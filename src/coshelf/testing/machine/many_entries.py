"""Changing and comparing many entries at once."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from coshelf.testing.machine.base import ShelfRules
from coshelf.testing.machine.comparisons import check_equal
from coshelf.testing.machine.strategies import NAMES, keys, values

__all__ = ["ManyEntriesRules"]


class ManyEntriesRules(ShelfRules):
    @rule(name=st.sampled_from(NAMES), pairs=st.lists(st.tuples(keys(), values()), max_size=8), form=st.integers(0, 3))
    def update(self, name: str, pairs: list[tuple[Any, Any]], form: int) -> None:
        target, model = self._both(name)
        if form == 0:
            target.update(pairs)
        elif form == 1:
            target.update(dict(pairs))
        elif form == 2:
            target.update(iter(pairs), word="extra")
            pairs = [*pairs, ("word", "extra")]
        else:
            same = target
            same |= pairs
            assert same is target
        for key, value in pairs:
            model[key] = value

    @rule(name=st.sampled_from(NAMES))
    def clear(self, name: str) -> None:
        target, model = self._both(name)
        target.clear()
        model.clear()

    @rule(name=st.sampled_from(NAMES), pairs=st.dictionaries(keys(), values(), max_size=3))
    def merge(self, name: str, pairs: dict[Any, Any]) -> None:
        target, model = self._both(name)
        assert target | pairs == dict(model) | pairs
        assert pairs | target == pairs | dict(model)
        assert type(target | pairs) is dict
        assert type(pairs | target) is dict

    @rule(name=st.sampled_from(NAMES))
    def compare_whole(self, name: str) -> None:
        target, model = self._both(name)
        check_equal(target, model)
        whole = dict(model)
        assert target == whole
        assert target == target.copy()
        assert target != whole | {"not in it": 1}
        if whole:
            del whole[next(iter(whole))]
            assert target != whole
