"""Looks into the index of order of a bounded shelf."""

from __future__ import annotations

from typing import Any

import coshelf
from coshelf import records
from coshelf.engines.lmdb import long_keys
from coshelf.engines.lmdb.order import state_in
from coshelf.engines.lmdb.shelf_row import ROW_KEY, unpack_row
from coshelf.keys import FIRST, LAST
from coshelf.values.limits import ORDER, order_of, size_of_entry

__all__ = ["Shelf", "counted_bytes", "evicted", "order_rows", "refuse_wrong_index"]

Shelf = coshelf.Shelf[Any, Any]


def order_rows(shelf: Shelf) -> list[tuple[int, bytes, int]]:
    """The rows of the index: number, key, and the number of the commit that stored the entry."""
    environment: Any = shelf._handle.engine._environment  # type: ignore[attr-defined]
    with environment.base.begin() as transaction:
        rows = long_keys.walk(transaction, ORDER[0] + b"\0", ORDER[1], False, False)
        return [order_of(row, record) for row, record in rows]


def counted_bytes(shelf: Shelf) -> int:
    """The bytes that the base counts for all entries."""
    environment: Any = shelf._handle.engine._environment  # type: ignore[attr-defined]
    with environment.base.begin() as transaction:
        return state_in(transaction, shelf.name)[0]


def evicted(shelf: Shelf) -> int:
    environment: Any = shelf._handle.engine._environment  # type: ignore[attr-defined]
    with environment.base.begin() as transaction:
        return state_in(transaction, shelf.name)[1]


def refuse_wrong_index(shelf: Shelf) -> None:
    """Raise unless each entry of the base has its row, and the base counts its entries and their bytes."""
    environment: Any = shelf._handle.engine._environment  # type: ignore[attr-defined]
    with environment.base.begin() as transaction:
        entries = dict(long_keys.walk(transaction, FIRST, LAST, False, False))
        rows = long_keys.walk(transaction, ORDER[0] + b"\0", ORDER[1], False, False)
        told = [order_of(row, record) for row, record in rows]
        row = unpack_row(transaction.get(ROW_KEY), shelf.name)
        physical = transaction.stat()["entries"]
        size = state_in(transaction, shelf.name)[0]
    valid = [key for _, key, stored in told if key in entries and records.version(entries[key]) == stored]
    assert sorted(valid) == sorted(entries)
    assert physical - row.extra_rows == len(entries)
    assert size == sum(size_of_entry(key, record) for key, record in entries.items())
