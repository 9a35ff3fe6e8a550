"""Finds values whose text would be endless, because they hold the same parts again and again."""

from __future__ import annotations

import gc
from typing import Any

__all__ = ["is_repetitive"]

_MOST = 500_000
"""How often parts may come again. Their text then has at least a million characters more than that of the parts."""


def is_repetitive(value: Any) -> bool:
    """Whether a value of plain data holds its parts so often that it cannot be written out.

    A pickle of 150 bytes can hold one list in 2**64 places. Loading it is quick. JSON and ``repr`` write the list in
    each of these places.

    >>> value = []
    >>> for _ in range(64):
    ...     value = [value, value]
    >>> is_repetitive(value), is_repetitive([[], []])
    (True, False)
    """
    known: set[int] = set()
    left, waiting = _MOST, [value]
    while waiting:
        part = waiting.pop()
        if id(part) in known:
            left -= 1
            if left < 0:
                return True
        known.add(id(part))
        waiting.extend(each for each in gc.get_referents(part) if _has_parts(each))
    return False


def _has_parts(value: Any) -> bool:
    """Whether a value may hold others. The collector does not track tuples and dicts that cannot be in a circle."""
    if type(value) in (tuple, dict):
        return len(value) > 0
    return gc.is_tracked(value) and not isinstance(value, type)
