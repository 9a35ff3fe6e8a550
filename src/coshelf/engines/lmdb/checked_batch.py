"""A quick way for small batches that check one version, such as claims and ``replace``: one call of the module in C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coshelf.contract import ABSENT, Batch
from coshelf.system.failpoints import ARMED

if TYPE_CHECKING:
    from coshelf._native import BaseReader

__all__ = ["commit_quickly"]

_MOST_ROWS = 4  # as in native/checked.c


def commit_quickly(reader: BaseReader, batch: Batch) -> Any:
    """Commit the batch into the log that the reader looks in.

    Returns the number of the commit, and whether more is to be done. Returns ``NotImplemented`` if nothing was
    committed: it is not such a batch, the check failed, or something is unusual. Then it has to be committed otherwise.
    """
    if ARMED or len(batch.checks) != 1 or batch.clears or not 0 < len(batch.puts) + len(batch.deletes) <= _MOST_ROWS:
        return NotImplemented
    ((key, version),) = batch.checks.items()
    if version is ABSENT:
        number = 0
    elif isinstance(version, int) and version > 0:
        number = version
    else:
        return NotImplemented
    deletes = ((deleted, b"") for deleted in batch.deletes)
    return reader.commit((*deletes, *batch.puts.items()), key, number)
