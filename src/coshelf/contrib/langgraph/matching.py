"""Which items a search selects, and which namespaces a list shows."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, Final

from langgraph.store.base import ListNamespacesOp, MatchCondition

__all__ = ["fits", "listed", "literal_prefix"]

_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def fits(value: Any, wanted: Any) -> bool:
    """Whether a value is what a filter wants: equal to it, or as its operators and the parts of a dict or list say.

    Raises:
        ValueError: an operator that is not known.

    >>> fits({"score": 5, "tags": ["a"]}, {"score": {"$gt": 4}, "tags": ["a"]})
    True
    >>> fits({"score": "high"}, {"score": {"$gt": 4}})
    False
    """
    if isinstance(wanted, dict):
        if any(str(name).startswith("$") for name in wanted):
            return all(_compare(value, name, with_what) for name, with_what in wanted.items())
        return isinstance(value, dict) and all(fits(value.get(name), part) for name, part in wanted.items())
    if isinstance(wanted, (list, tuple)):
        return isinstance(value, (list, tuple)) and len(value) == len(wanted) and all(map(fits, value, wanted))
    return bool(value == wanted)


def _compare(value: Any, name: str, with_what: Any) -> bool:
    if name == "$eq":
        return bool(value == with_what)
    if name == "$ne":
        return bool(value != with_what)
    if name not in _ORDER:
        raise ValueError(f"unknown operator {name!r}; the operators are $eq, $ne, {', '.join(_ORDER)}")
    if not (isinstance(value, str) and isinstance(with_what, str)):
        try:
            value, with_what = float(value), float(with_what)
        except (TypeError, ValueError):
            return False  # there is no order between them
    return _ORDER[name](value, with_what)


def listed(namespaces: Iterable[tuple[str, ...]], wanted: ListNamespacesOp) -> list[tuple[str, ...]]:
    """The namespaces that a list shows, in order, each once."""
    found = {
        namespace[: wanted.max_depth]
        for namespace in namespaces
        if all(_matches(namespace, condition) for condition in wanted.match_conditions or ())
    }
    return sorted(found)[wanted.offset : wanted.offset + wanted.limit]


def _matches(namespace: tuple[str, ...], condition: MatchCondition) -> bool:
    path = condition.path
    if len(namespace) < len(path):
        return False
    if condition.match_type == "prefix":
        labels = namespace[: len(path)]
    elif condition.match_type == "suffix":
        labels = namespace[len(namespace) - len(path) :]
    else:
        raise ValueError(f"match_type must be 'prefix' or 'suffix', not {condition.match_type!r}")
    return all(name in {"*", label} for name, label in zip(path, labels, strict=True))


def literal_prefix(wanted: ListNamespacesOp) -> tuple[str, ...]:
    """The longest beginning without ``*`` that all listed namespaces have."""
    longest: tuple[str, ...] = ()
    for condition in wanted.match_conditions or ():
        if condition.match_type == "prefix":
            path = condition.path
            end = path.index("*") if "*" in path else len(path)
            longest = max(longest, path[:end], key=len)
    return longest
