"""Check and salvage of a shelf's file, by its path. The modules that do the work are imported on demand."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from coshelf.screen import plain
from coshelf.system.files.paths import Path, expanded

if TYPE_CHECKING:
    from coshelf.inspection.reports import Progress, Report, SalvageReport

__all__ = ["check", "salvage"]


def check(path: Path, *, progress: Progress | bool | None = None) -> Report:
    """Verify everything in a shelf's file, and report what is damaged, and where.

    Nothing is changed and no value is decoded. A damaged file cannot crash the process. No process can open the shelf
    meanwhile. If a process has it open already, the shelf is opened and verified by :meth:`coshelf.Shelf.check`.
    Commits that a killed process had not flushed are verified, too.

    Args:
        path: of a file, or the URL of a shelf. A shelf that is not a file of the lmdb engine is opened.
        progress: a function that is called with the number of pages verified, and of all pages; or True for a bar on
            the terminal, or in the notebook, if it takes over a second.

    Raises:
        ShelfNotFound, ShelfPermissionError, StorageError: the file cannot be read.

    >>> import coshelf, tempfile, os
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     path = os.path.join(directory, "recipes.shelf")
    ...     coshelf.open(path).close()
    ...     coshelf.check(path).ok
    True
    """
    from coshelf.engines import is_file, refuse_credentials
    from coshelf.opening import open_with_codec
    from coshelf.system.progress import showing
    from coshelf.values.front_doors import UNREAD_VALUES

    refuse_credentials(path)
    if not is_file(path):
        with open_with_codec(path, "r", UNREAD_VALUES) as shelf:
            return shelf.check(progress=progress)
    from coshelf.engines.lmdb.checks.file import check_closed

    path = os.path.realpath(expanded(path))
    with showing(progress, plain(os.fsdecode(path)), "pages", size=_size(path)) as tell:
        report = check_closed(path, tell)
        if report is None:
            with open_with_codec(path, "r", UNREAD_VALUES) as shelf:
                return shelf.check(progress=tell)
    return report


def _size(path: str | bytes) -> int | None:
    """The bytes of a file; None if it cannot be read, which the caller will find out."""
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def salvage(source: Path, target: Path, *, progress: Progress | bool | None = None) -> SalvageReport:
    """Copy what can be read in a damaged file to a new shelf, and report what could not be read.

    The file is not changed. It is read without LMDB, so headers and inner pages may be damaged. A record is copied only
    if its checksum fits. Records that damage cuts off are looked for in all pages of the file. If such a record is only
    found in a page that may have been free, it may be an older value, or may have been deleted. The report names it.
    Commits that a killed process had not flushed are copied from the hidden directory beside the file.

    Args:
        source: the damaged file. No process may have it open.
        target: the file of the new shelf, which must not exist.
        progress: as for :func:`check`.

    Raises:
        ShelfExists: the target exists.
        ShelfLocked: a process has the damaged shelf open.
        NotAShelf: no record in the file can be read.
        Unsupported: the file is a SQLite database, or the lmdb engine cannot run here.

    >>> import coshelf, tempfile, os
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     path = os.path.join(directory, "recipes.shelf")
    ...     with coshelf.open(path) as shelf:
    ...         shelf["hello"] = 15
    ...     with open(path, "r+b") as file:
    ...         overwritten = file.write(bytes(8192))  # both headers
    ...     report = coshelf.salvage(path, os.path.join(directory, "salvaged.shelf"))
    ...     report.entries, report.lost, report.resurrected
    (1, 0, 0)
    """
    from coshelf.engines import refuse_credentials
    from coshelf.engines.paths import refuse_databases, refuse_where_it_cannot_run
    from coshelf.system.progress import showing

    refuse_credentials(source)
    refuse_credentials(target)
    refuse_where_it_cannot_run("lmdb")
    from coshelf.engines.lmdb.checks.salvaging import salvage as take_all

    source = os.path.realpath(expanded(source))
    refuse_databases(os.fsdecode(source))
    with showing(progress, plain(os.fsdecode(source)), "pages", size=_size(source)) as tell:
        return take_all(source, target, tell)
