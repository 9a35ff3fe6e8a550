"""The rows of the index of order, where rows are stale."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import lmdb
import pytest

from coshelf import records
from coshelf.engines.lmdb import long_keys
from coshelf.engines.lmdb.evicting import NO_USES, Eviction
from coshelf.engines.lmdb.order import Order, state_in
from coshelf.errors import DamagedShelf
from coshelf.values.blobs import Reference
from coshelf.values.limits import MARK, Limits, order_key

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


def evict(transaction: lmdb.Transaction[bytes], order: Order, policy: Any) -> None:
    """Remove entries until one is left."""

    def remove(key: bytes, record: bytes) -> None:
        order.forget(key, record)
        transaction.delete(key)

    entries = sum(key >= b"\x10" for key, _ in transaction.cursor())
    limits = Limits(max_entries=1, evict=policy)
    Eviction(
        transaction, order, limits, NO_USES, entries=entries, number=99, flushed=50, remove=remove
    ).run(0)  # fmt: skip


@pytest.mark.parametrize("policy", ["fifo", "sieve", "lru", "lfu"])
def test_a_row_that_cannot_be_found_by_its_key_is_not_met_for_ever(
    transaction: lmdb.Transaction[bytes], policy: Any
) -> None:
    order = Order(transaction, "shelf")
    chunk = b"\x07" * 499  # no link has so long a chunk
    transaction.put(chunk + b"\0", b"\0")
    transaction.put(long_keys.LAYERS + blake2b(chunk, digest_size=16).digest() + b"rest", b"\2\0".ljust(16, b"\0"))
    for number in range(2, 6):
        transaction.put(b"\x10%d" % number, sealed(b"\x10%d" % number, number))  # without a row
    with pytest.raises(DamagedShelf, match="the index of order of shelf is damaged"):
        evict(transaction, order, policy)


@pytest.mark.parametrize("policy", ["fifo", "sieve", "lru", "lfu"])
@pytest.mark.parametrize("beyond", [b"", b"\x07\x00", b"\x01limits", b"\xff" * 600, b"\x05" * 600])
def test_rows_that_name_no_key_of_an_entry_go(transaction: lmdb.Transaction[bytes], policy: Any, beyond: bytes) -> None:
    order = Order(transaction, "shelf")
    order._write([(order_key(1, beyond), MARK)])
    for number in range(2, 6):
        store(transaction, order, b"\x10%d" % number, number)
    evict(transaction, order, policy)
    assert [key for key, _ in transaction.cursor() if key >= b"\x10"] == [b"\x105"]
    assert order.added == 1


def test_damaged_records_are_replaced(transaction: lmdb.Transaction[bytes]) -> None:
    order = Order(transaction, "shelf")
    for key, damaged in ((b"\x10a", b""), (b"\x10b", b"\x02"), (b"\x10c", b"\x80" * 5)):
        transaction.put(key, damaged)
        store(transaction, order, key, 7)
        store(transaction, order, key, 8)
        transaction.put(key, damaged)
        order.delete(key)
    order.finish(keep=True)


def test_sizes_beyond_all_numbers_are_kept_within_them(transaction: lmdb.Transaction[bytes]) -> None:
    order = Order(transaction, "shelf")
    reference = Reference(bytes(16), 0, ((1 << 64) - 1, (1 << 64) - 1))
    body = records.write_headers([(records.BLOB, reference.pack())]) + b"\x80\x04N."
    record = records.seal(body, records.checksum(KEY, body), 7)
    order.put([(KEY, record)])
    order.finish(keep=True)
    assert state_in(transaction, "shelf")[0] == (1 << 64) - 1
