"""Comparing a sequence with another, item by item."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = ["ComparedSequence"]


class ComparedSequence(Sequence[Any]):
    """A sequence that is compared with any other one: list, tuple, deque. It cannot be hashed."""

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError

    def __eq__(self, other: object) -> Any:
        return self._compare(operator.eq, other)

    def __ne__(self, other: object) -> Any:
        return self._compare(operator.ne, other)

    def __lt__(self, other: object) -> Any:
        return self._compare(operator.lt, other)

    def __gt__(self, other: object) -> Any:
        return self._compare(operator.gt, other)

    def __le__(self, other: object) -> Any:
        return self._compare(operator.le, other)

    def __ge__(self, other: object) -> Any:
        return self._compare(operator.ge, other)

    def _compare(self, relation: Callable[[Any, Any], Any], other: object) -> Any:
        """The relation of the first items that differ; that of the lengths if there are none."""
        if not isinstance(other, Sequence):
            return NotImplemented
        lengths = len(self), len(other)
        if lengths[0] != lengths[1] and relation in {operator.eq, operator.ne}:
            return relation is operator.ne
        for one, two in zip(self, other, strict=False):
            if one != two:
                return relation(one, two)
        return relation(*lengths)
