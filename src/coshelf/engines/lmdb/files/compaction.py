"""Giving back the room that a shelf's file does not need: it is written anew and takes the place of the old one.

LMDB cannot make a file smaller that somebody has mapped. So the shelf is closed in this process, which must be the only
one, for as long as that takes; openers wait, and find that the name has another file by then.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import lmdb

from coshelf import records
from coshelf.engines.lmdb import long_keys
from coshelf.engines.lmdb.blobs.blob_file import remove_blob
from coshelf.engines.lmdb.blobs.catalogue import dropped_blobs, is_about_blobs
from coshelf.engines.lmdb.blobs.folder import blob_path, folder_of
from coshelf.engines.lmdb.environment import Environment
from coshelf.engines.lmdb.failpoints import ARMED, reach
from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.files.creation import making
from coshelf.engines.lmdb.files.sidecar_files import give
from coshelf.engines.lmdb.files.sidecars import Files
from coshelf.engines.lmdb.files.whole_file import fill, refuse_damage
from coshelf.engines.lmdb.shelf_row import ROW_KEY, unpack_row
from coshelf.errors import OpenUnderAnotherName, ShelfLocked, ShelfPermissionError
from coshelf.inspection.reports import Compaction
from coshelf.system.durable_files import sync_directory, sync_removals
from coshelf.trust import marks

__all__ = ["compact"]

_AT_ONCE = 64


def compact(environment: Environment) -> Compaction:
    """Write the file anew. Only for the holder of the exclusive lock.

    Raises :class:`ShelfLocked` if another process has the shelf open, or this one a snapshot of it.
    """
    others = environment.other_processes()
    if others:
        raise _in_use(environment.path, f"it is open in pid {', '.join(map(str, others))}")
    before = os.stat(environment.path).st_size
    hindrance = environment.replace_file(_rewrite)
    if hindrance is not None:
        raise _in_use(environment.path, hindrance)
    return Compaction(before, os.stat(environment.path).st_size)


def _in_use(path: str, why: str) -> ShelfLocked:
    return ShelfLocked(
        f"shelf is locked: {path}\n  {why}, so its file cannot be made smaller in place\n"
        "  hint: close it there, or make a compact copy with backup()"
    )


def _rewrite(files: Files) -> None:
    """Replace the file by a compact copy. Only for the process that is alone with it, and has it closed."""
    path, old = files.path, os.fstat(files.descriptor)
    if old.st_nlink > 1:
        raise OpenUnderAnotherName(f"{path} has {old.st_nlink} names (hard links): the others would keep the old file")
    with making(path) as (descriptor, temporary):
        give(descriptor, old)
        new = os.fstat(descriptor)
        if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
            raise ShelfPermissionError(
                f"only the owner of {path} can make it smaller, because the new file must have the same owner"
            )
        with _read(files.descriptor, path) as transaction:
            row = unpack_row(transaction.get(ROW_KEY), path)
            mark = transaction.get(marks.ROW_KEY)
            body = None if mark is None else mark[: -records.TRAILER]
            fill(descriptor, temporary, replace(row, extra_rows=1), _pages(transaction, path), path)
            # Nothing reads it any more, and the new file does not know them. Before it has its name, or a death in
            # between would leave them for ever.
            dropped = dropped_blobs(transaction)
            for identity, _ in dropped:
                remove_blob(blob_path(folder_of(path), identity), row.store_id)
            if dropped:
                sync_removals(folder_of(path))
        # With a given secret the mark is a row, which has gone with the others.
        if marks.is_marked(row.store_id, old.st_dev, old.st_ino, body):
            marks.mark(row.store_id, new.st_dev, new.st_ino, path)
        if ARMED:
            reach("compact-written")
        files.remove_sidecars()
        if ARMED:
            reach("compact-alone")
        os.rename(temporary, path)
        sync_directory(os.path.dirname(path))
        marks.unmark(row.store_id, old.st_dev, old.st_ino)
        if ARMED:
            reach("compact-replaced")


@contextlib.contextmanager
def _read(descriptor: int, path: str) -> Iterator[lmdb.Transaction[bytes]]:
    opened = f"/proc/self/fd/{descriptor}"
    name = opened if os.path.exists(opened) else path
    with (
        translated(path, "read"),
        contextlib.closing(
            lmdb.open(os.fsencode(name), subdir=False, readonly=True, lock=False, create=False, lib_version=0)
        ) as environment,
        environment.begin() as transaction,
    ):
        yield transaction


def _pages(transaction: lmdb.Transaction[bytes], path: str) -> Iterator[list[tuple[bytes, bytes]]]:
    rows = (row for row in long_keys.everything(transaction) if row[0] != ROW_KEY and not is_about_blobs(row[0]))
    while page := list(islice(rows, _AT_ONCE)):
        refuse_damage(page, path)
        yield page
