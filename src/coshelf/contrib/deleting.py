"""Deleting several entries at once, as the bulk calls of frameworks do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction

__all__ = ["delete_many"]


def delete_many(shelf: Shelf[Any, Any], keys: Iterable[Any]) -> list[Any]:
    """Remove those of these keys that exist, in one commit. On object stores, one after the other.

    Returns:
        the keys that existed, in order.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:")
    >>> shelf.update({"a": 1, "b": 2})
    >>> delete_many(shelf, ["b", "c", "a"])
    ['b', 'a']
    """
    wanted = list(dict.fromkeys(keys))
    if not wanted:
        return []
    if shelf.capabilities.checks == "entry":
        return _deleted(shelf, wanted)
    return shelf.transact(lambda transaction: _deleted(transaction, wanted))


def _deleted(entries: Shelf[Any, Any] | Transaction[Any, Any], keys: list[Any]) -> list[Any]:
    existed = []
    for key in keys:
        try:
            del entries[key]
        except KeyError:
            continue
        existed.append(key)
    return existed
