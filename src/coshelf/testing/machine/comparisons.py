"""Whether a shelf, a transaction or a snapshot equals the model, by every way to read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coshelf.testing.machine.model import Model

__all__ = ["check_equal", "check_same", "check_views"]


def outcome(mapping: Any, action: Callable[[Any], Any]) -> Any:
    """The result of an action; KeyError itself if it raises that."""
    try:
        return action(mapping)
    except KeyError:
        return KeyError


def check_same(target: Any, model: Model, action: Callable[[Any], Any]) -> None:
    """Assert that the same action has the same outcome on both."""
    assert outcome(target, action) == outcome(model, action)


def check_equal(target: Any, model: Model) -> None:
    """Assert the same entries in the same order, by every way to read all of them."""
    expected = list(model.items())
    assert list(target.items()) == expected
    # 1 == 1.0 == True, so equality alone would not show the form in which keys come back.
    assert [repr(key) for key in target] == [repr(key) for key, _ in expected]
    assert list(reversed(target)) == [key for key, _ in reversed(expected)]
    assert list(target.values()) == [value for _, value in expected]
    assert len(target) == len(expected)
    assert bool(target) is bool(expected)


def check_views(target: Any, model: Model, conditions: dict[str, Any], key: Any) -> None:
    """Assert that ``keys``, ``items`` and ``values`` with the same conditions are equal."""
    expected = model.select(conditions)
    view = target.keys(**conditions)
    assert list(view) == expected
    assert list(reversed(view)) == expected[::-1]
    assert len(view) == len(expected)
    assert (key in view) == (key in expected)
    items = target.items(**conditions)
    assert list(items) == [(each, model[each]) for each in expected]
    assert len(items) == len(expected)
    assert ((key, model.get(key)) in items) == (key in expected)
    assert list(target.values(**conditions)) == [model[each] for each in expected]
