"""Makes a shelf's file smaller: writes a compact copy, which replaces the old file.

LMDB cannot shrink a file that a process has mapped. So this process must be the only one that has the shelf open, and
it closes the shelf meanwhile. Openers wait, and find that the name leads to another file by then.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

import lmdb

from coshelf import records
from coshelf.engines.copied_rows import refuse_damage
from coshelf.engines.lmdb import long_keys
from coshelf.engines.lmdb.blobs.blob_file import remove_blob
from coshelf.engines.lmdb.blobs.catalogue import dropped_blobs, is_about_blobs
from coshelf.engines.lmdb.blobs.folder import blob_path, folder_of
from coshelf.engines.lmdb.environment import Environment
from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.files.creation import making
from coshelf.engines.lmdb.files.sidecars import Files
from coshelf.engines.lmdb.files.whole_file import fill
from coshelf.engines.lmdb.shelf_row import ROW_KEY, unpack_row
from coshelf.errors import OpenUnderAnotherName, ShelfLocked, ShelfPermissionError
from coshelf.inspection.reports import Compaction, Progress
from coshelf.system.failpoints import ARMED, reach
from coshelf.system.file_systems.durable import sync_directory, sync_removals
from coshelf.system.files.descriptors import name_to_open
from coshelf.system.rights.giving import give
from coshelf.trust import marks
from coshelf.values.envelope import is_left_behind

__all__ = ["compact"]

_AT_ONCE = 64


def compact(environment: Environment, progress: Progress | None = None) -> Compaction:
    """Write the file anew. The caller holds the exclusive lock.

    Raises :class:`ShelfLocked` if another process has the shelf open, or if this process has a snapshot of it.
    """
    others = environment.other_processes()
    if others:
        raise _in_use(environment.path, f"it is open in pid {', '.join(map(str, others))}")
    before = os.stat(environment.path).st_size
    hindrance = environment.replace_file(partial(_rewrite, progress=progress))
    if hindrance is not None:
        raise _in_use(environment.path, hindrance)
    return Compaction(before, os.stat(environment.path).st_size)


def _in_use(path: str, why: str) -> ShelfLocked:
    return ShelfLocked(
        f"shelf is locked: {path}\n  {why}, so its file cannot be made smaller in place\n"
        "  hint: close it there, or make a compact copy with backup()"
    )


def _rewrite(files: Files, *, progress: Progress | None) -> None:
    """Replace the file by a compact copy. The caller is alone with the file, and has it closed in LMDB."""
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
            pages = _told(_pages(transaction, path), transaction.stat()["entries"] - row.extra_rows, progress)
            fill(descriptor, temporary, replace(row, extra_rows=1), pages, path)
            # Remove blobs that nothing names any more: no process reads the shelf, and the new file does not list them.
            # This comes before the new file has its name. Otherwise a death in between would leave the blobs for ever.
            dropped = dropped_blobs(transaction)
            for identity, _ in dropped:
                remove_blob(blob_path(folder_of(path), identity), row.store_id)
            if dropped:
                sync_removals(folder_of(path))
        # With a given secret the mark is a row, and the copy has that row already.
        if marks.is_marked(row.store_id, old.st_dev, old.st_ino, body):
            marks.mark(row.store_id, new.st_dev, new.st_ino, path)
        if ARMED:
            reach("compact-written")
        files.remove_sidecars(keeps_turns=True)
        if ARMED:
            reach("compact-alone")
        os.rename(temporary, path)
        sync_directory(os.path.dirname(path))
        marks.unmark(row.store_id, old.st_dev, old.st_ino)
        if ARMED:
            reach("compact-replaced")


@contextlib.contextmanager
def _read(descriptor: int, path: str) -> Iterator[lmdb.Transaction[bytes]]:
    name = name_to_open(descriptor, path)
    with (
        translated(path, "read"),
        contextlib.closing(
            lmdb.open(os.fsencode(name), subdir=False, readonly=True, lock=False, create=False, lib_version=0)
        ) as environment,
        environment.begin() as transaction,
    ):
        yield transaction


def _told(
    pages: Iterator[list[tuple[bytes, bytes]]], total: int, progress: Progress | None
) -> Iterator[list[tuple[bytes, bytes]]]:
    """The pages. After each one the progress is told."""
    done = 0
    for page in pages:
        yield page
        done += len(page)
        if progress is not None:
            progress(min(done, total), total)
    if progress is not None:
        progress(total, total)


def _pages(transaction: lmdb.Transaction[bytes], path: str) -> Iterator[list[tuple[bytes, bytes]]]:
    def record(key: bytes) -> bytes | None:
        return transaction.get(long_keys.physical(key))

    def is_kept(row: bytes) -> bool:
        return row != ROW_KEY and not is_about_blobs(row) and not is_left_behind(row, record)

    rows = (row for row in long_keys.everything(transaction) if is_kept(row[0]))
    while page := list(islice(rows, _AT_ONCE)):
        refuse_damage(page, path)
        yield page
