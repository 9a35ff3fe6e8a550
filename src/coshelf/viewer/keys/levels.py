"""The rows of a branch by their number, so that a browser can scroll to any of a million keys.

A row has no number in a shelf. A level remembers the position of every hundredth row, which it finds in the background.
A block of rows is then read from its position on. The first block needs no positions.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from coshelf.contract import Reader
from coshelf.errors import CoshelfError
from coshelf.viewer.background import Background
from coshelf.viewer.keys.branches import Branch, Child, children, runs

__all__ = ["BLOCK", "Block", "Level", "Levels"]

BLOCK = 100
"""Rows of a block."""

_KEPT = 200  # levels
_YOUNG = 2.0  # seconds after which rows are found again, because the shelf may have changed
_QUICK = 0.05  # seconds
_SHARE = 10  # rows that took long to find are found again after so many times as long


@dataclass
class Level:
    """What is known of the rows of a branch.

    Attributes:
        positions: of the first row of each block.
        rows: how many rows are known.
        is_complete: whether these are all.
        problem: why they are not all; None if nothing went wrong.
        is_overtaken: whether an entry was changed since.
        next: the level that is to take its place, while that is filled.
    """

    positions: list[bytes] = field(default_factory=list)
    rows: int = 0
    is_complete: bool = False
    problem: str | None = None
    started: float = field(default_factory=time.monotonic)
    took: float = 0.0
    is_overtaken: bool = False
    next: Level | None = None

    def fill(self, reader: Reader, branch: Branch) -> Iterator[None]:
        """Find all rows, in short steps."""
        try:
            for found in runs(reader, branch):
                if isinstance(found, Branch):
                    if self.rows % BLOCK == 0:
                        self.positions.append(found.base)
                    self.rows += 1
                else:
                    self.positions += found[-self.rows % BLOCK :: BLOCK]
                    self.rows += len(found)
                yield
        except CoshelfError as error:
            self.problem = str(error)
        self.is_complete = True
        self.took = time.monotonic() - self.started

    @property
    def is_old(self) -> bool:
        """Whether the shelf may have changed so much that its rows have to be found again."""
        if not self.is_complete:
            return False
        return self.is_overtaken or time.monotonic() - self.started - self.took > max(_YOUNG, _SHARE * self.took)


@dataclass(frozen=True)
class Block:
    """Some rows of a branch that follow each other.

    Attributes:
        rows: the rows.
        count: how many rows of the branch are known.
        is_complete: whether these are all.
        behind: the position behind the last row; None if no row follows.
    """

    rows: list[Child]
    count: int
    is_complete: bool
    behind: bytes | None = None


class Levels:
    """The levels of a shelf.

    Args:
        reader: gives a reader of the shelf.
        background: fills levels.
    """

    def __init__(self, reader: Callable[[], Reader], background: Background) -> None:
        self._reader = reader
        self._background = background
        self._levels: dict[bytes, Level] = {}
        self._lock = threading.Lock()

    def block(self, branch: Branch, number: int) -> Block:
        """The rows of a block. If its position is not known yet, there are none."""
        first, more = from_position(self._reader(), branch, None, BLOCK) if not number else ([], None)
        if not number and more is None:
            return Block(first, len(first), is_complete=True)
        level = self._level(branch)
        count = level.rows if level.is_complete else max(level.rows, len(first) + 1)
        if not number:
            return Block(first, max(count, len(first)), level.is_complete, more)
        if number >= len(level.positions):
            return Block([], count, level.is_complete)
        stop = level.positions[number + 1] if number + 1 < len(level.positions) else branch.stop
        found = islice(children(self._reader(), branch, level.positions[number]), BLOCK)
        rows = [row for row in found if row.key < stop]
        return Block(rows, count, level.is_complete)

    def number(self, branch: Branch, key: bytes) -> int | None:
        """The number of the row of a key or branch, given by its bytes; None if it is not known yet."""
        first, behind = from_position(self._reader(), branch, None, BLOCK)
        found = _index(first, key)
        if found is not None or behind is None or key < behind:
            return found
        level = self._level(branch)
        at = bisect_right(level.positions, key) - 1
        if at < 0 or (not level.is_complete and at == len(level.positions) - 1):
            return None
        inner = _index(list(islice(children(self._reader(), branch, level.positions[at]), BLOCK)), key)
        return None if inner is None else at * BLOCK + inner

    def forget(self) -> None:
        """Find the rows of all levels again: an entry was changed here."""
        with self._lock:
            for level in self._levels.values():
                level.is_overtaken = True

    def outdate(self) -> None:
        """Look again at the levels that are found quickly: another process has changed entries."""
        with self._lock:
            for level in self._levels.values():
                level.is_overtaken = level.is_overtaken or (level.is_complete and level.took < _QUICK)

    def _level(self, branch: Branch) -> Level:
        with self._lock:
            found = self._levels.get(branch.base)
            if found is not None and found.next is not None and found.next.is_complete:
                found = self._levels[branch.base] = found.next
            if found is not None and (not found.is_old or found.next is not None):
                return found
            level = Level()
            if found is None:
                found = self._levels[branch.base] = level
            else:
                found.next = level  # the old one is used until the new one is complete
            while len(self._levels) > _KEPT:
                del self._levels[next(iter(self._levels))]
        self._background.add(level.fill(self._reader(), branch))
        return found


def _index(rows: list[Child], key: bytes) -> int | None:
    return next((at for at, row in enumerate(rows) if row.key == key), None)


def from_position(
    reader: Reader, branch: Branch, position: bytes | None, most: int
) -> tuple[list[Child], bytes | None]:
    """Rows from a position on, and the position behind them; None if no row follows."""
    rows = list(islice(children(reader, branch, position), most + 1))
    return rows[:most], rows[most - 1].behind if len(rows) > most else None
