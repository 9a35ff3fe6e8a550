"""A sorted table in memory that is cheap to copy.

Keys and entries are in leaves of some hundred. A copy shares the leaves, and a table copies a shared leaf before it
changes it. So a snapshot of a million entries is a list of a few thousand references.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from coshelf.contract import Entry

__all__ = ["SortedTable"]

_LEAF = 512


class _Leaf:
    __slots__ = ("entries", "keys", "owner")

    def __init__(self, keys: list[bytes], entries: list[Entry], owner: object) -> None:
        self.keys = keys
        self.entries = entries
        self.owner = owner  # the table that may change this leaf in place


class SortedTable:
    """Keys to entries, in order. Not safe for threads by itself."""

    def __init__(self) -> None:
        self._leaves: list[_Leaf] = []
        self._firsts: list[bytes] = []  # the first key of each leaf
        self._owner = object()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def copy(self) -> SortedTable:
        """A table with the same entries, independent from now on."""
        twin = SortedTable()
        twin._leaves = self._leaves.copy()
        twin._firsts = self._firsts.copy()
        twin._length = self._length
        self._owner = object()  # from now on, neither table owns the shared leaves
        return twin

    def get(self, key: bytes) -> Entry | None:
        at = bisect_right(self._firsts, key) - 1
        if at < 0:
            return None
        leaf = self._leaves[at]
        position = bisect_left(leaf.keys, key)
        if position < len(leaf.keys) and leaf.keys[position] == key:
            return leaf.entries[position]
        return None

    def put(self, key: bytes, entry: Entry) -> None:
        if not self._leaves:
            self._leaves.append(_Leaf([key], [entry], self._owner))
            self._firsts.append(key)
            self._length = 1
            return
        at = max(0, bisect_right(self._firsts, key) - 1)
        leaf = self._own(at)
        position = bisect_left(leaf.keys, key)
        if position < len(leaf.keys) and leaf.keys[position] == key:
            leaf.entries[position] = entry
            return
        leaf.keys.insert(position, key)
        leaf.entries.insert(position, entry)
        self._firsts[at] = leaf.keys[0]
        self._length += 1
        if len(leaf.keys) > _LEAF:
            self._split(at)

    def delete(self, key: bytes) -> bool:
        at = bisect_right(self._firsts, key) - 1
        if at < 0:
            return False
        position = bisect_left(self._leaves[at].keys, key)
        if position == len(self._leaves[at].keys) or self._leaves[at].keys[position] != key:
            return False
        leaf = self._own(at)
        del leaf.keys[position], leaf.entries[position]
        self._length -= 1
        if leaf.keys:
            self._firsts[at] = leaf.keys[0]
        else:
            del self._leaves[at], self._firsts[at]
        return True

    def scan(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, Entry]]:
        """The items with ``start <= key < stop``. The table must not change meanwhile: scan a copy."""
        first, last = self._locate(start), self._locate(stop)
        leaves = range(first[0], min(last[0] + 1, len(self._leaves)))
        for at in reversed(leaves) if reverse else leaves:
            leaf = self._leaves[at]
            low = first[1] if at == first[0] else 0
            high = last[1] if at == last[0] else len(leaf.keys)
            positions = range(low, high)
            for position in reversed(positions) if reverse else positions:
                yield leaf.keys[position], leaf.entries[position]

    def count(self, start: bytes, stop: bytes) -> int:
        """How many keys are in ``[start, stop)``."""
        if self._firsts and start <= self._firsts[0] and stop > self._leaves[-1].keys[-1]:
            return self._length
        first, last = self._locate(start), self._locate(stop)
        if first >= last:
            return 0
        if first[0] == last[0]:
            return last[1] - first[1]
        between = sum(len(leaf.keys) for leaf in self._leaves[first[0] : last[0]])
        return between - first[1] + last[1]

    def _locate(self, key: bytes) -> tuple[int, int]:
        """Leaf and position of the first key that is not smaller."""
        at = max(0, bisect_right(self._firsts, key) - 1)
        if at >= len(self._leaves):
            return at, 0
        return at, bisect_left(self._leaves[at].keys, key)

    def _own(self, at: int) -> _Leaf:
        leaf = self._leaves[at]
        if leaf.owner is not self._owner:
            leaf = self._leaves[at] = _Leaf(leaf.keys.copy(), leaf.entries.copy(), self._owner)
        return leaf

    def _split(self, at: int) -> None:
        leaf = self._leaves[at]
        half = len(leaf.keys) // 2
        right = _Leaf(leaf.keys[half:], leaf.entries[half:], self._owner)
        del leaf.keys[half:], leaf.entries[half:]
        self._leaves.insert(at + 1, right)
        self._firsts.insert(at + 1, right.keys[0])
