"""Makes a new file with all that a snapshot of any engine shows. ``Shelf.backup`` uses it."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from coshelf import records
from coshelf.contract import Snapshot
from coshelf.engines.beginnings import kind_at
from coshelf.engines.copied_rows import Page, copied_rows
from coshelf.engines.lmdb.blobs.catalogue import is_about_blobs
from coshelf.engines.lmdb.blobs.copying import BlobCopies, Views
from coshelf.engines.lmdb.files.creation import making, place
from coshelf.engines.lmdb.files.whole_file import fill
from coshelf.engines.lmdb.pages.header import check_header
from coshelf.engines.lmdb.shelf_row import ShelfRow, new_row
from coshelf.errors import DamagedShelf, NotAShelf, ShelfExists, ShelfLocked
from coshelf.inspection.reports import Progress, shown_key, user_key
from coshelf.keys import FIRST
from coshelf.system.failpoints import ARMED, reach
from coshelf.system.file_systems.durable import sync_directory
from coshelf.system.file_systems.kinds import refuse_shared_filesystem
from coshelf.system.files.flags import ASIDE
from coshelf.system.files.os_errors import translate
from coshelf.system.files.paths import expanded
from coshelf.system.locks import whole_file
from coshelf.system.rights.owners import set_mode
from coshelf.trust import marks
from coshelf.values.blobs import Blobs, MissingBlob, reference_in

__all__ = ["Progress", "copy_to", "write_new"]

_MODE = 0o600
_FIRST_NUMBER = 1  # the number of the only commit of a copy, if the source has no numbers that can be kept


def copy_to(
    path: str | os.PathLike[str] | bytes | os.PathLike[bytes],
    snapshot: Snapshot,
    source: str,
    *,
    store_id: bytes,
    blobs: Blobs | None,
    marked: bool,
    overwrite: bool,
    progress: Progress | None,
) -> int:
    """Make a closed shelf of what a snapshot shows. Return how many entries it has.

    ``source`` is the name of the shelf that is copied. ``store_id`` is the id to which its signatures are bound, if
    they are. ``blobs`` has its large buffers. With ``marked`` the copy bears this user's mark.
    """
    number = snapshot.last_commit()
    row = new_row(_FIRST_NUMBER if number is None else number, store_id)
    pages = copied_rows(snapshot, source, progress, 0 if number is not None else _FIRST_NUMBER, is_about_blobs)
    views = None if blobs is None else blobs.views
    return write_new(path, row, pages, source, views=views, marked=marked, overwrite=overwrite)


def write_new(
    path: str | os.PathLike[str] | bytes | os.PathLike[bytes],
    row: ShelfRow,
    pages: Iterable[Page],
    source: str,
    *,
    views: Views | None,
    marked: bool,
    overwrite: bool,
) -> int:
    """Make a closed shelf of pages of sealed records in order. Return how many of them are entries.

    ``views`` gives the blobs that they name.
    """
    target = os.path.realpath(expanded(path))
    refuse_shared_filesystem(target)
    marks.check_secret()
    entries = 0

    def counted(copies: BlobCopies | None) -> Iterator[Page]:
        nonlocal entries
        for page in pages:
            entries += sum(key >= FIRST for key, _ in page)
            for key, record in page if copies is not None else ():
                reference = reference_in(record)
                if reference is not None and copies is not None:
                    with _naming(key, source):
                        copies.copy(reference)
            yield page

    with _replaceable(target, source, overwrite=overwrite), making(target) as (descriptor, temporary):
        set_mode(descriptor, _MODE)
        mark = _mark(descriptor, row, target) if marked else []
        copies = None if views is None else BlobCopies(target, os.fstat(descriptor), row.store_id, views)
        is_placed = False
        try:
            fill(descriptor, temporary, row, _after(mark, counted(copies)), target)
            if copies is not None:
                copies.finish()
            if ARMED:
                reach("backup-written")
            if overwrite:
                os.rename(temporary, target)
                is_placed = True  # from here on the file is in place and names its blobs, even if an error comes
                sync_directory(os.path.dirname(target))
            elif not place(temporary, target):
                raise _exists(target)
        except BaseException:
            if copies is not None and not is_placed:
                copies.discard()
            raise
        if ARMED:
            reach("backup-placed")
        if copies is not None:
            copies.remove_others(of_any_shelf=overwrite)
    return entries


def _mark(descriptor: int, row: ShelfRow, target: str) -> Page:
    """Mark the file that becomes the copy. Return the mark's row, or an empty page if the mark is not a row."""
    information = os.fstat(descriptor)
    body = marks.mark(row.store_id, information.st_dev, information.st_ino, target)
    if body is None:
        return []
    return [(marks.ROW_KEY, records.seal(body, records.checksum(marks.ROW_KEY, body), row.sequence))]


def _after(first: Page, pages: Iterable[Page]) -> Iterator[Page]:
    if first:
        yield first
    yield from pages


@contextmanager
def _naming(key: bytes, source: str) -> Iterator[None]:
    """Add the entry's key to the error for a blob that cannot be copied."""
    try:
        yield
    except MissingBlob as error:
        raise MissingBlob(
            f"the large buffers of the value for key {shown_key(key)} in {source} are damaged, so no copy was made: "
            f"{error}\n  hint: delete or overwrite this entry, or take what is whole to a new shelf: "
            "coshelf.salvage(path, new)",
            user_key(key),
        ) from None


@contextmanager
def _replaceable(target: str, source: str, *, overwrite: bool) -> Iterator[None]:
    """Lock the file at the target, for a block that replaces it. It must be a shelf that no process has open.

    The shelf may be damaged.
    """
    if not os.path.lexists(target):
        yield
        return
    if os.path.realpath(source) == target or not overwrite:
        raise _exists(target)
    kind = kind_at(target)
    if kind == "sqlite":
        raise NotAShelf(f"{target} is a SQLite database, not a shelf; it has not been changed")
    if kind == "sqlite shelf":
        raise NotAShelf(
            f"{target} is a shelf of the sqlite engine, which a backup does not replace; it has not been changed\n"
            "  hint: take another name, or remove that shelf first"
        )
    try:
        descriptor = os.open(target, os.O_RDONLY | ASIDE)
    except OSError as error:
        raise translate(error, "replace", "this file", target) from error
    try:
        if not whole_file.try_to_take(descriptor, whole_file.EXCLUSIVE):
            raise ShelfLocked(
                f"shelf is locked: {target}\n  it is open, so it is not replaced\n  hint: take another name"
            )
        with contextlib.suppress(DamagedShelf):
            try:
                check_header(descriptor, target)
            except IsADirectoryError as error:
                raise NotAShelf(f"{target} is a directory, not a shelf; it has not been changed") from error
        yield
        whole_file.release(descriptor)
    finally:
        os.close(descriptor)


def _exists(target: str) -> ShelfExists:
    return ShelfExists(errno.EEXIST, "there is something at this path; overwrite=True replaces a shelf", target)
