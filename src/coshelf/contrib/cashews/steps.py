"""What the backend does to one entry, or to several, in one commit.

An entry is an int, or bytes that the serializer made, or one of three collections: :class:`Packed` bits, a set of
texts, a list of times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from coshelf.contrib.cashews.bits import Bits
from coshelf.contrib.cashews.patterns import matching
from coshelf.contrib.deleting import delete_many
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction

__all__ = [
    "add_bits",
    "add_to_set",
    "count_in_window",
    "delete_equal",
    "delete_matching",
    "get_bits",
    "is_value",
    "pop_from_set",
    "remove_from_set",
    "store",
    "store_existing",
    "store_many",
]

Entries = Shelf[Any, Any] | Transaction[Any, Any]
_ABSENT: Final = object()
_BITS: Final = "bits"


def is_value(stored: object) -> bool:
    """Whether an entry is a value that ``set`` or ``incr`` stored, and no collection."""
    return isinstance(stored, int | bytes)


def store(entries: Entries, key: str, stored: Any, expire: float | None) -> None:
    """Store an entry. Without a time, one that exists keeps its time."""
    if expire:
        entries.set(key, stored, expire=expire)
    else:
        entries.modify(key, lambda _: stored, default=None)


def store_existing(shelf: Shelf[Any, Any], key: str, stored: Any, expire: float | None) -> bool:
    """Store an entry if the key exists. Return whether it did."""

    def step(entries: Transaction[Any, Any]) -> bool:
        if key not in entries:
            return False
        store(entries, key, stored, expire)
        return True

    return shelf.transact(step)


def store_many(shelf: Shelf[Any, Any], stored: Mapping[str, Any], expire: float | None) -> None:
    """Store several entries in one commit. Without a time, those that exist keep theirs."""
    if expire:
        shelf.update(stored, expire=expire)
    elif shelf.capabilities.checks == "entry":
        _store_each(shelf, stored)
    elif stored:
        shelf.transact(lambda entries: _store_each(entries, stored))


def _store_each(entries: Entries, stored: Mapping[str, Any]) -> None:
    for key, value in stored.items():
        store(entries, key, value, None)


def delete_equal(shelf: Shelf[Any, Any], key: str, stored: Any) -> bool:
    """Delete an entry if it is this value. Return whether it was."""

    def step(entries: Transaction[Any, Any]) -> bool:
        if entries.get(key, _ABSENT) != stored:
            return False
        del entries[key]
        return True

    return shelf.transact(step)


def delete_matching(shelf: Shelf[Any, Any], pattern: str) -> list[str]:
    """Delete the entries whose keys match, in one commit. Return the keys."""
    if shelf.capabilities.checks == "entry":
        return delete_many(shelf, list(matching(shelf, pattern)))

    def step(entries: Transaction[Any, Any]) -> list[str]:
        keys = list(matching(entries, pattern))
        for key in keys:
            del entries[key]
        return keys

    return shelf.transact(step)


def get_bits(shelf: Shelf[Any, Any], key: str, indexes: Iterable[int], size: int) -> tuple[int, ...]:
    """The numbers of these counters."""
    bits = Bits(_packed(key, shelf.get(key, _ABSENT)), size)
    return tuple(bits.get(index) for index in indexes)


def add_bits(shelf: Shelf[Any, Any], key: str, indexes: Iterable[int], size: int, by: int) -> tuple[int, ...]:
    """Add to these counters. Return their numbers."""

    def step(entries: Transaction[Any, Any]) -> tuple[int, ...]:
        bits = Bits(_packed(key, entries.get(key, _ABSENT)), size)
        numbers = tuple(bits.add(index, by) for index in indexes)
        store(entries, key, (_BITS, bytes(bits.packed)), None)
        return numbers

    return shelf.transact(step)


def _packed(key: str, stored: Any) -> bytes:
    if stored is _ABSENT:
        return b""
    if isinstance(stored, tuple) and stored[0] == _BITS:
        packed: bytes = stored[1]
        return packed
    raise _other(key, "bits", stored)


def count_in_window(shelf: Shelf[Any, Any], key: str, start: float, end: float, most: int, expire: float | None) -> int:
    """Add the time ``end`` if fewer than ``most`` times lie between start and end. Return how many lie there then.

    Times before ``start`` are forgotten.
    """

    def step(entries: Transaction[Any, Any]) -> int:
        times = [time for time in _collection(entries, key, list) if time >= start]
        count: int = sum(time <= end for time in times)
        if count < most:
            store(entries, key, [*times, end], expire)
            count += 1
        return count

    return shelf.transact(step)


def add_to_set(shelf: Shelf[Any, Any], key: str, values: Iterable[str], expire: float | None) -> None:
    """Add to a set, which gets this time, or else keeps its own."""

    def step(entries: Transaction[Any, Any]) -> None:
        store(entries, key, _collection(entries, key, set).union(values), expire)

    shelf.transact(step)


def remove_from_set(shelf: Shelf[Any, Any], key: str, values: Iterable[str]) -> None:
    """Remove from a set. An empty set does not exist."""

    def step(entries: Transaction[Any, Any]) -> None:
        old = _collection(entries, key, set)
        _shrink(entries, key, old, old.difference(values))

    shelf.transact(step)


def pop_from_set(shelf: Shelf[Any, Any], key: str, count: int) -> list[str]:
    """Remove up to ``count`` values from a set, and return them."""

    def step(entries: Transaction[Any, Any]) -> list[str]:
        old = _collection(entries, key, set)
        taken = list(islice(old, count))
        _shrink(entries, key, old, old.difference(taken))
        return taken

    return shelf.transact(step)


def _shrink(entries: Transaction[Any, Any], key: str, old: set[str], new: set[str]) -> None:
    if new:
        if new != old:
            store(entries, key, new, None)
    elif old:
        del entries[key]


def _collection(entries: Transaction[Any, Any], key: str, kind: type) -> Any:
    stored = entries.get(key, _ABSENT)
    if stored is _ABSENT:
        return kind()
    if not isinstance(stored, kind):
        raise _other(key, f"a {kind.__name__}", stored)
    return stored


def _other(key: str, wanted: str, stored: object) -> TypeError:
    return TypeError(f"the entry {key!r} is not {wanted}, but {'a value' if is_value(stored) else 'a collection'}")
