"""The rows of the index of order, where rows are stale."""

from __future__ import annotations

from collections.abc import Iterator

import lmdb
import pytest

from coshelf import records
from coshelf.engines.lmdb.order import Order

KEY = b"\x10key"


@pytest.fixture
def transaction(path: str) -> Iterator[lmdb.Transaction[bytes]]:
    with lmdb.open(path, subdir=False, lock=False) as environment, environment.begin(write=True) as transaction:
        yield transaction


def sealed(key: bytes, number: int) -> bytes:
    body = b"\x80\x04N."
    return records.seal(body, records.checksum(key, body), number)


def store(transaction: lmdb.Transaction[bytes], order: Order, key: bytes, number: int) -> None:
    record = sealed(key, number)
    order.put([(key, record)])
    transaction.put(key, record)


def test_a_row_that_replaces_a_stale_one_is_not_counted_twice(transaction: lmdb.Transaction[bytes]) -> None:
    order = Order(transaction, "shelf")
    store(transaction, order, KEY, 7)
    row = order.rows(b"", b"\x08", 1)[0][0]
    order.move(row, KEY, 7, 8)  # as "lru" does with an entry that was read after the last commit
    store(transaction, order, KEY, 8)
    assert transaction.stat()["entries"] == 2
    assert order.added == 1
