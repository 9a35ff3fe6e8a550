"""Keys, items and values, of the whole and of parts."""

from __future__ import annotations

from itertools import islice
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from coshelf.testing.machine.base import ShelfRules
from coshelf.testing.machine.comparisons import check_same, check_views
from coshelf.testing.machine.strategies import NAMES, conditions, keys, patterns

__all__ = ["ViewRules"]


class ViewRules(ShelfRules):
    @rule(name=st.sampled_from(NAMES), conditions=conditions(), key=keys())
    def look_at_ranges(self, name: str, conditions: dict[str, Any], key: Any) -> None:
        check_views(*self._both(name), conditions, key)

    @rule()
    def look_at_nested_namespace(self) -> None:
        assert list(self.target.sub("a/b").items()) == list(self.target.sub("a").sub("b").items())

    @rule(name=st.sampled_from(NAMES), glob=patterns(), reverse=st.booleans())
    def look_at_globs(self, name: str, glob: str, reverse: bool) -> None:
        target, model = self._both(name)
        assert list(target.keys(glob, reverse=reverse)) == model.select({"glob": glob, "reverse": reverse})

    @rule(name=st.sampled_from(NAMES), conditions=conditions(), others=st.sets(keys(), max_size=5))
    def use_keys_as_a_set(self, name: str, conditions: dict[str, Any], others: set[Any]) -> None:
        target, model = self._both(name)
        view, expected = target.keys(**conditions), set(model.select(conditions))
        assert view == expected
        assert view & others == expected & others
        assert view | others == expected | others
        assert view - others == expected - others
        assert view ^ others == expected ^ others
        assert view.isdisjoint(others) == expected.isdisjoint(others)
        assert (view <= others) == (expected <= others)

    @rule(name=st.sampled_from(NAMES), first=keys(), second=keys())
    @precondition(lambda self: self.shelf.capabilities.snapshots)
    def write_while_iterating(self, name: str, first: Any, second: Any) -> None:
        target, model = self._both(name)
        expected = list(model.items())
        walk = iter(target.items())
        seen = list(islice(walk, 1))
        if seen and self.shelf.capabilities.snapshots:
            target[first] = "new"
            model[first] = "new"
            check_same(target, model, lambda mapping: mapping.pop(second, None))
            assert seen + list(walk) == expected
