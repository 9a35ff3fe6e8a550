"""When entries expire: a column has it, so the rows of the index by time are not stored."""

from __future__ import annotations

import dataclasses

from coshelf.contract import Batch
from coshelf.values.expiry import INDEX, time_of

__all__ = ["column", "without_rows"]

_LATEST = (1 << 63) - 1


def column(body: bytes) -> int | None:
    """The value of the column ``expires`` for a body or record."""
    time = time_of(body)
    return None if time is None else min(time, _LATEST)


def without_rows(batch: Batch) -> Batch:
    """The batch without the rows of the index by time, and without the clear of all of them."""
    puts, deletes = batch.puts, batch.deletes
    if any(map(_is_row, puts)):
        puts = {key: body for key, body in puts.items() if not _is_row(key)}
    if any(map(_is_row, deletes)):
        deletes = frozenset(key for key in deletes if not _is_row(key))
    clears = tuple(range_ for range_ in batch.clears if range_ != INDEX) if batch.clears else ()
    if puts is batch.puts and deletes is batch.deletes and clears == batch.clears:
        return batch
    return dataclasses.replace(batch, puts=puts, deletes=deletes, clears=clears)


def _is_row(key: bytes) -> bool:
    return key[:1] == INDEX[0]
