"""Writes a whole shelf at once: rows that come in order fill one page after the other.

The file is compact. Like any closed shelf it is synced and stamped.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from coshelf.engines.lmdb.base_writer import BaseWriter
from coshelf.engines.lmdb.checks.opening import stamp
from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.lmdb_file import LmdbFile, with_largest_map
from coshelf.engines.lmdb.pages.header import missing_bytes
from coshelf.engines.lmdb.shelf_row import ROW_KEY, ShelfRow
from coshelf.system.file_systems.durable import sync
from coshelf.system.file_systems.space import reserve

__all__ = ["fill"]

# The size of one transaction, which LMDB keeps in memory. Each transaction but the first leaves a few free pages.
_BYTES_AT_ONCE = 64 << 20

Rows = Iterable[list[tuple[bytes, bytes]]]


def fill(descriptor: int, path: str, row: ShelfRow, pages: Rows, shelf: str) -> None:
    """Make the empty file at ``path`` a closed shelf with this shelf row and these sealed records.

    Pages of rows come in the order of their keys. ``shelf`` is the name that the file will have, for messages. On
    return the content is durable, but not the name.
    """
    with translated(shelf, "write"):
        # Without a lock file: no other process can open this file. Unsynced: an incomplete file is thrown away.
        def opened(size: int) -> LmdbFile:
            return LmdbFile(path, shelf, size, lock=False, sync=False, metasync=False)

        file = with_largest_map(opened, 0)
        try:
            _write(file, row, pages)
            file.lmdb.sync(True)
        finally:
            file.close()
    missing = missing_bytes(descriptor, shelf)
    if missing:
        reserve(descriptor, os.fstat(descriptor).st_size, missing)
    stamp(descriptor, shelf, has_damage=False, unchanged=None)
    sync(descriptor)


def _write(file: LmdbFile, row: ShelfRow, pages: Rows) -> None:
    transaction = file.begin_write()
    try:
        transaction.put(ROW_KEY, row.pack())
        writer = BaseWriter(file, transaction)
        written = 0
        for page in pages:
            writer.take_over(page)
            written += sum(len(key) + len(record) for key, record in page)
            if written > _BYTES_AT_ONCE:
                writer.finish(row.sequence)
                transaction.commit()
                transaction = file.begin_write()
                writer = BaseWriter(file, transaction)
                written = 0
        writer.finish(row.sequence)
        transaction.commit()
    except BaseException:
        transaction.abort()
        raise
