"""For engines that know by themselves when entries expire, and take no rows of the index by time from above."""

from __future__ import annotations

import dataclasses

from coshelf.contract import Batch
from coshelf.values.expiry import INDEX

__all__ = ["without_rows"]


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
