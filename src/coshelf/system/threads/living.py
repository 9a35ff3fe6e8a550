"""Objects that are known for as long as they live."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Living"]

T = TypeVar("T")


class Living(Generic[T]):
    """Weak references to objects, for threads: one may iterate while others add and discard.

    A :class:`weakref.WeakSet` raises RuntimeError then. Each method here is one step of a dict. So a signal handler,
    a finalizer and a forked child find it whole, too. Objects are told apart by identity.

    >>> class Watch: ...
    >>> watches, watch = Living(), Watch()
    >>> watches.add(watch)
    >>> watch in watches, len(watches), [each is watch for each in watches]
    (True, 1, [True])
    """

    def __init__(self) -> None:
        self._references: dict[int, weakref.ref[T]] = {}

    def add(self, each: T) -> None:
        """Know an object from now on."""
        number, references = id(each), self._references
        # No other object can have the number before the reference to this one has been removed.
        references[number] = weakref.ref(each, lambda _: references.pop(number, None))

    def discard(self, each: T) -> None:
        """Know an object no more."""
        self._references.pop(id(each), None)

    def __contains__(self, each: object) -> bool:
        return id(each) in self._references

    def __iter__(self) -> Iterator[T]:
        """The objects that are known now. What is added meanwhile is left out."""
        references = list(self._references.values())
        return iter([each for reference in references if (each := reference()) is not None])

    def __len__(self) -> int:
        return sum(1 for _ in self)
