"""Whether a concurrent history could have happened one operation after the other.

Each operation must have taken effect at some instant between its call and its return. The search is that of Wing and
Gong (1993): try every operation that can be the next one, and go back if nothing fits. Lowe (2017) added a memory of
what was tried: which operations have taken effect, and the state that came of it. That makes it quick and leaves it
exhaustive. An operation whose process was killed is *pending*: it may take effect at any time after its call, or never.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["PENDING", "Operation", "explain", "find_order"]

PENDING = float("inf")

Apply = Callable[[Any, Any], tuple[object, Hashable]]
"""The sequential object: from a state and a call to the result and the next state."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call, from ``invoked`` to ``returned`` on a clock that all processes share."""

    process: str
    call: Any
    invoked: float
    returned: float = PENDING
    result: object = None

    def __str__(self) -> str:
        end = "killed" if self.returned == PENDING else f"{self.returned:.0f}  -> {self.result!r}"
        return f"{self.process:>8}  {self.invoked:.0f} ... {end}  {self.call!r}"


def find_order(history: Sequence[Operation], state: Hashable, apply: Apply) -> list[Operation] | None:
    """An order, one after the other, that gives every operation the result that it had; None if there is none."""
    operations = sorted(history, key=lambda operation: operation.invoked)
    required = sum(1 << place for place, operation in enumerate(operations) if operation.returned != PENDING)
    tried: set[tuple[int, Hashable]] = set()
    order: list[Operation] = []
    path = [(0, state, _next_ones(operations, 0))]
    while path:
        done, state, candidates = path[-1]
        if done & required == required:
            return order
        for place in candidates:
            operation = operations[place]
            result, after = apply(state, operation.call)
            if operation.returned != PENDING and result != operation.result:
                continue
            found = (done | 1 << place, after)
            if found not in tried:
                tried.add(found)
                path.append((*found, _next_ones(operations, found[0])))
                order.append(operation)
                break
        else:
            path.pop()
            if order:
                order.pop()
    return None


def _next_ones(operations: list[Operation], done: int) -> Iterator[int]:
    """The places of those that can take effect next: called before any of those that are left has returned."""
    first_return = PENDING
    first_left = (~done & (done + 1)).bit_length() - 1
    for place in range(first_left, len(operations)):
        if done >> place & 1:
            continue
        operation = operations[place]
        if operation.invoked > first_return:
            return
        yield place
        first_return = min(first_return, operation.returned)


def explain(history: Sequence[Operation], state: Hashable, apply: Apply) -> str:
    """What is wrong with a history that has no order: it up to the first return that fits none, which is the last."""
    returns = sorted(operation.returned for operation in history if operation.returned != PENDING)
    fits, fails = 0, len(returns)
    while fails - fits > 1:
        middle = (fits + fails) // 2
        if find_order(_until(history, returns[middle - 1]), state, apply) is None:
            fails = middle
        else:
            fits = middle
    shown = sorted(_until(history, returns[fails - 1]), key=lambda operation: operation.returned)
    return "\n".join(["no order explains the last that returned of these:", f"from {state!r}", *map(str, shown)])


def _until(history: Sequence[Operation], end: float) -> list[Operation]:
    """The history as it was known at that time."""
    return [
        operation if operation.returned <= end else replace(operation, returned=PENDING, result=None)
        for operation in history
        if operation.invoked <= end
    ]
