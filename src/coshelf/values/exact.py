"""Compares a decoded value with the value that was encoded, and finds where they differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from coshelf.keys import shown

__all__ = ["difference"]


def difference(value: Any, back: Any, encode: Callable[[Any], bytes], path: str = "") -> str | None:
    """Where two values differ, in words that name types but not values; None if they are equal.

    Two cases that ``==`` does not cover are equal as well: two NaNs, and instances of a class without an ``__eq__``
    whose encodings are the same.
    """
    if value is back or bool(value == back):
        return None
    if type(value) is not type(back):
        return _told(path, f"{_name(value)} would come back as {_name(back)}")
    if isinstance(value, float) and value != value and back != back:  # noqa: PLR0124 (NaN)
        return None
    if isinstance(value, dict) and value.keys() != back.keys():
        lost = next(iter(value.keys() - back.keys()), None)
        return _told(path, f"the key {shown(lost)} would not come back as it is")
    if isinstance(value, (list, tuple)) and len(value) != len(back):
        return _told(path, f"{len(value)} elements would come back as {len(back)}")
    parts = list(_parts(value, back))
    if parts:
        found = (difference(one, other, encode, path + name) for name, one, other in parts)
        return next((each for each in found if each is not None), None)
    if _has_no_equality(value) and encode(value) == encode(back):
        return None
    return _told(path, f"{_name(value)} would come back with another value")


def _parts(value: Any, back: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(value, dict):
        for key in value:
            yield f"[{shown(key)}]", value[key], back[key]
    elif isinstance(value, (list, tuple)):
        for number, (one, other) in enumerate(zip(value, back, strict=True)):
            yield f"[{number}]", one, other
    else:
        names = getattr(value, "__struct_fields__", None)
        if names is None and dataclasses.is_dataclass(value):
            names = [field.name for field in dataclasses.fields(value)]
        for name in names or ():
            yield f".{name}", getattr(value, name), getattr(back, name)


def _name(value: Any) -> str:
    return type(value).__qualname__


def _told(path: str, what: str) -> str:
    return f"{what}, at {path}" if path else what


def _has_no_equality(value: Any) -> bool:
    compare: Any = type(value).__eq__
    return compare is object.__eq__
