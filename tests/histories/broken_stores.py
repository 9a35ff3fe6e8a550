"""Shelves with typical faults. The checks of this directory must find each of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import coshelf

__all__ = ["STORES"]

_GAP = 0.0003  # seconds between two steps that ought to be one


class Whole:
    """A shelf as it is. The others differ from it in one method."""

    def __init__(self, shelf: coshelf.Shelf[Any, Any]) -> None:
        self.shelf = shelf

    def __getattr__(self, name: str) -> Any:
        return getattr(self.shelf, name)

    def __setitem__(self, key: str, value: int) -> None:
        self.shelf[key] = value

    def __delitem__(self, key: str) -> None:
        del self.shelf[key]

    def __len__(self) -> int:
        return len(self.shelf)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self.shelf)


class GetThenPut(Whole):
    """``modify`` reads and then writes. Another process may write in between."""

    def modify(self, key: str, function: Callable[[int], int], default: int) -> int:
        new = function(self.shelf.get(key, default))
        time.sleep(_GAP)
        self.shelf[key] = new
        return new


class StaleReads(Whole):
    """A value that was read or written once is kept, and never read again."""

    def __init__(self, shelf: coshelf.Shelf[Any, Any]) -> None:
        super().__init__(shelf)
        self._known: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self._known.setdefault(key, self.shelf.get(key, default))

    def __setitem__(self, key: str, value: int) -> None:
        super().__setitem__(key, value)
        self._known[key] = value


class MixedSnapshots(Whole):
    """A snapshot that reads the current value at each call."""

    @contextmanager
    def snapshot(self) -> Iterator[MixedSnapshots]:
        yield self

    def get(self, key: str, default: Any = None) -> Any:
        time.sleep(_GAP)
        return self.shelf.get(key, default)


class HalfTransactions(Whole):
    """A transaction whose writes become visible one by one."""

    @contextmanager
    def transaction(self) -> Iterator[HalfTransactions]:
        yield self

    def __setitem__(self, key: str, value: int) -> None:
        super().__setitem__(key, value)
        time.sleep(_GAP)


class LateWrites(Whole):
    """An assignment returns at once and is written with the next call: lost if the process is killed in between."""

    def __init__(self, shelf: coshelf.Shelf[Any, Any]) -> None:
        super().__init__(shelf)
        self._waiting: dict[str, int] = {}

    def _write(self) -> None:
        self.shelf.update(self._waiting)
        self._waiting = {}

    def __getattr__(self, name: str) -> Any:
        self._write()
        return super().__getattr__(name)

    def __setitem__(self, key: str, value: int) -> None:
        self._write()
        self._waiting[key] = value
        time.sleep(_GAP)

    def __delitem__(self, key: str) -> None:
        self._write()
        super().__delitem__(key)


class TouchInTwoSteps(Whole):
    """``touch`` reads the value and stores it again. Another process may write in between."""

    def touch(self, key: str, expire: int | None) -> bool:
        value = self.shelf.get(key)
        time.sleep(_GAP)
        if value is not None:
            self.shelf.set(key, value, expire=expire)
        return value is not None


STORES: dict[str, Callable[[coshelf.Shelf[Any, Any]], Whole]] = {
    "whole": Whole,
    "get then put": GetThenPut,
    "stale reads": StaleReads,
    "mixed snapshots": MixedSnapshots,
    "half transactions": HalfTransactions,
    "late writes": LateWrites,
    "touch in two steps": TouchInTwoSteps,
}
