"""MAX_ENTRIES and CULL_FREQUENCY, as Django's own backends have them: a full cache drops a share of its entries."""

from __future__ import annotations

import heapq
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any

from coshelf.contrib.django.shelves import Held
from coshelf.mapping.transaction import Transaction

__all__ = ["Limit", "make_room"]


@dataclass(frozen=True)
class Limit:
    """How many entries there may be.

    Attributes:
        entries: MAX_ENTRIES.
        frequency: CULL_FREQUENCY: one in so many entries goes when the cache is full. 0: all of them.
    """

    entries: int
    frequency: int


def make_room(held: Held, limit: Limit, keys: Collection[str]) -> None:
    """Before keys are stored: remove entries if there are too many.

    To count the entries of a part is to visit them. So they are counted again after half of the entries were stored
    that would have filled the cache. Several processes together may exceed the limit by what they store until then.
    """
    left = held.left.get(limit, 0) - len(keys)
    held.left[limit] = left
    if left >= 0:
        return
    shelf = held.shelf
    new = sum(key not in shelf for key in keys)
    if not new:
        return
    count = len(shelf)
    if count + new > limit.entries:
        count = shelf.transact(partial(_cull, limit=limit, new=new))
    held.left[limit] = max(limit.entries - count - new, 0) // 2


def _cull(entries: Transaction[str, Any], limit: Limit, new: int) -> int:
    """Remove the entries that would expire next, and return how many are left."""
    count = len(entries)
    too_many = count + new - limit.entries
    if too_many <= 0:  # another process was here before
        return count
    if limit.frequency <= 0 or too_many >= count:
        entries.clear()
        return 0
    going = max(count // limit.frequency, too_many)
    for _, key in heapq.nsmallest(going, ((_time(record.expires), record.key) for record in entries.records())):
        del entries[key]
    return count - going


def _time(expires: float | None) -> float:
    return inf if expires is None else expires
