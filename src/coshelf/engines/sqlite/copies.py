"""Makes a new database with all that a snapshot of any engine shows. ``Shelf.backup`` uses it where LMDB cannot run."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress

from coshelf.contract import Snapshot
from coshelf.engines.beginnings import kind_at
from coshelf.engines.copied_rows import Page, copied_rows
from coshelf.engines.sqlite.addresses import uri_of
from coshelf.engines.sqlite.database import Content, create
from coshelf.engines.sqlite.sidecars import Sidecars
from coshelf.errors import NotAShelf, ShelfExists, ShelfLocked, ShelfPermissionError
from coshelf.inspection.reports import Progress
from coshelf.keys import FIRST
from coshelf.system.file_systems.kinds import refuse_shared_filesystem
from coshelf.system.files.paths import expanded
from coshelf.trust import marks
from coshelf.values.blobs import Blobs

__all__ = ["copy_to"]

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
    """As :func:`coshelf.engines.lmdb.files.copies.copy_to`. Only the lmdb engine has ``blobs``."""
    assert blobs is None
    target = os.path.realpath(expanded(path))
    refuse_shared_filesystem(target)
    marks.check_secret()
    is_there = os.path.lexists(target)
    if is_there:
        _refuse_to_replace(target, source, overwrite=overwrite)
    number = snapshot.last_commit()
    rows = copied_rows(snapshot, source, progress, 0 if number is not None else _FIRST_NUMBER)
    entries = 0

    def counted() -> Iterator[Page]:
        nonlocal entries
        for page in rows:
            entries += sum(key >= FIRST for key, _ in page)
            yield page
        if is_there:
            _close(target)  # as late as possible

    content = Content(store_id, _FIRST_NUMBER if number is None else number, counted(), marked)
    try:
        is_made = create(target, _MODE, content, over=is_there)
    except ShelfPermissionError as error:
        if is_there and error.errno == errno.EACCES:
            raise _locked(target) from error
        raise
    if not is_made:
        raise _exists(target)
    return entries


def _refuse_to_replace(target: str, source: str, *, overwrite: bool) -> None:
    """Raise unless a shelf is at the target, and may be replaced. The shelf may be damaged."""
    if os.path.realpath(source.removeprefix("sqlite:")) == target or not overwrite:
        raise _exists(target)
    if kind_at(target) != "sqlite shelf":
        raise NotAShelf(f"{target} is not a shelf of the sqlite engine; it has not been changed")


def _close(target: str) -> None:
    """Have SQLite remove the log of a shelf that is to be replaced: it would be taken for that of the new one.

    The last process that closes a database removes its log. So a log that stays tells that the shelf is open.
    """
    Sidecars(target)  # raises if another user could have made the log
    database = sqlite3.connect(uri_of(target, "rw"), uri=True, isolation_level=None)
    with closing(database), suppress(sqlite3.DatabaseError):  # it is damaged, or another program has it locked
        database.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    if any(os.path.lexists(target + suffix) for suffix in ("-wal", "-journal")):
        raise _locked(target)


def _locked(target: str) -> ShelfLocked:
    return ShelfLocked(f"shelf is locked: {target}\n  it is open, so it is not replaced\n  hint: take another name")


def _exists(target: str) -> ShelfExists:
    return ShelfExists(errno.EEXIST, "there is something at this path; overwrite=True replaces a shelf", target)
