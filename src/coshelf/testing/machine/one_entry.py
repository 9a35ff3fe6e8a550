"""Reading and changing one entry."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from coshelf.errors import WaitTimeout
from coshelf.testing.machine.base import RollbackError, ShelfRules
from coshelf.testing.machine.comparisons import check_same
from coshelf.testing.machine.strategies import NAMES, keys, values

__all__ = ["OneEntryRules"]


class OneEntryRules(ShelfRules):
    @rule(name=st.sampled_from(NAMES), key=keys(), value=values())
    def set_item(self, name: str, key: Any, value: Any) -> None:
        target, model = self._both(name)
        target[key] = value
        model[key] = value

    @rule(name=st.sampled_from(NAMES), key=keys())
    def delete(self, name: str, key: Any) -> None:
        target, model = self._both(name)
        check_same(target, model, lambda mapping: mapping.__delitem__(key))

    @rule(name=st.sampled_from(NAMES), key=keys(), default=values())
    def read(self, name: str, key: Any, default: Any) -> None:
        target, model = self._both(name)
        check_same(target, model, lambda mapping: mapping[key])
        check_same(target, model, lambda mapping: mapping.get(key))
        check_same(target, model, lambda mapping: mapping.get(key, default))
        check_same(target, model, lambda mapping: key in mapping)

    @rule(key=keys())
    def change_what_was_read(self, key: Any) -> None:
        for value in (self.target.get(key), self.target.get_many([key]).get(key), self.target.setdefault(0, [])):
            if isinstance(value, list):
                value.append("not in the shelf")
        self.model.setdefault(0, [])

    @rule(name=st.sampled_from(NAMES), asked=st.lists(keys(), max_size=4))
    def read_many(self, name: str, asked: list[Any]) -> None:
        target, model = self._both(name)
        assert target.get_many(asked) == {key: model[key] for key in asked if key in model}

    @rule(name=st.sampled_from(NAMES), key=keys(), default=st.one_of(st.just([]), values().map(lambda value: [value])))
    def pop(self, name: str, key: Any, default: list[Any]) -> None:
        target, model = self._both(name)
        check_same(target, model, lambda mapping: mapping.pop(key, *default))

    @rule(name=st.sampled_from(NAMES), last=st.booleans())
    def popitem(self, name: str, last: bool) -> None:
        target, model = self._both(name)
        if not model:
            with pytest.raises(KeyError):
                target.popitem(last=last)
            return
        key = list(model)[-1 if last else 0]
        assert target.popitem(last=last) == (key, model.pop(key))

    @rule(name=st.sampled_from(NAMES), key=keys(), default=values())
    def setdefault(self, name: str, key: Any, default: Any) -> None:
        target, model = self._both(name)
        check_same(target, model, lambda mapping: mapping.setdefault(key, default))

    @rule(name=st.sampled_from(NAMES), key=keys(), new=values(), default=st.one_of(st.just([]), st.just([0])))
    def modify(self, name: str, key: Any, new: Any, default: list[Any]) -> None:
        target, model = self._both(name)
        if key not in model and not default:
            with pytest.raises(KeyError):
                target.modify(key, lambda old: [old, new])
            return
        model.change(key, [model.get(key, *default), new])
        assert target.modify(key, lambda old: [old, new], *default) == model[key]

    @rule(name=st.sampled_from(NAMES), key=keys(), old=values(), new=values(), right=st.booleans())
    def replace(self, name: str, key: Any, old: Any, new: Any, right: bool) -> None:
        target, model = self._both(name)
        if right:
            old = model.get(key, old)
        fits = key in model and model[key] == old
        assert target.replace(key, old, new) is fits
        if fits:
            model.change(key, new)

    @rule(name=st.sampled_from(NAMES), key=keys(), default=st.one_of(st.just([]), st.just([[7]])), fail=st.booleans())
    def edit(self, name: str, key: Any, default: list[Any], fail: bool) -> None:
        target, model = self._both(name)
        if key not in model and not default:
            with pytest.raises(KeyError), target.edit(key):
                raise AssertionError("the block must not run")
            return
        value = model.get(key, *default)
        if not isinstance(value, (list, dict)):
            with pytest.raises(TypeError), target.edit(key, *default):
                raise AssertionError("the block must not run")
            return
        if fail:
            with pytest.raises(RollbackError):
                self._fail_in_edit(target, key, copy.deepcopy(default))
            return
        with target.edit(key, *copy.deepcopy(default)) as mine:
            assert mine == value
            change(mine)
        change(value)
        model.change(key, value)

    def _fail_in_edit(self, target: Any, key: Any, default: list[Any]) -> None:
        with target.edit(key, *default) as mine:
            mine.clear()
            raise RollbackError

    @rule(key=keys())
    @precondition(lambda self: self.block is None)
    def wait(self, key: Any) -> None:
        if key in self.model:
            assert self.shelf.wait(key) == self.model[key]
        else:
            with pytest.raises(WaitTimeout):
                self.shelf.wait(key, timeout=0)

    @rule(name=st.sampled_from(NAMES), key=st.sampled_from([frozenset(), math.nan, 1j, (1, math.nan), (frozenset(),)]))
    def use_what_cannot_be_a_key(self, name: str, key: Any) -> None:
        target, _ = self._both(name)
        assert key not in target
        assert target.get(key, "default") == "default"
        assert target.pop(key, "default") == "default"
        assert target.get_many([key]) == {}
        with pytest.raises(KeyError):
            target.pop(key)
        with pytest.raises(TypeError):
            target[key]
        with pytest.raises(TypeError):
            target[key] = 1


def change(value: Any) -> None:
    """Change a list or dict in place."""
    if isinstance(value, list):
        value.append(8)
    else:
        value["w"] = len(value)
