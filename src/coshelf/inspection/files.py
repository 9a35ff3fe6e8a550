"""Check and salvage of a shelf's file, by its path. The modules that do the work are imported on demand."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from coshelf.system.paths import Path, expanded

if TYPE_CHECKING:
    from coshelf.inspection.reports import Progress, Report, SalvageReport

__all__ = ["check", "salvage"]


def check(path: Path, *, progress: Progress | None = None) -> Report:
    """Verify everything in a shelf's file, and report what is damaged, and where.

    Nothing is changed and no value is decoded. A damaged file cannot crash the process. No process can open the shelf
    meanwhile. If a process has it open already, the shelf is opened and verified by :meth:`coshelf.Shelf.check`.
    Commits that a killed process had not flushed are verified, too.

    Args:
        path: of a file of the lmdb engine, or the URL of a shelf on any engine, which is opened.
        progress: called with the number of pages verified, and of all pages.

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
    from coshelf.engines.lmdb.checks.file import check_closed
    from coshelf.opening import open_with_codec
    from coshelf.values.front_doors import UNREAD_VALUES

    refuse_credentials(path)
    report = None
    if is_file(path):
        path = os.path.realpath(expanded(path))
        report = check_closed(path, progress)
    if report is None:
        with open_with_codec(path, "r", UNREAD_VALUES) as shelf:
            return shelf.check(progress=progress)
    return report


def salvage(source: Path, target: Path, *, progress: Progress | None = None) -> SalvageReport:
    """Copy what can be read in a damaged file to a new shelf, and report what could not be read.

    The file is not changed. It is read without LMDB, so headers and inner pages may be damaged. A record is copied only
    if its checksum fits. Records that damage cuts off are looked for in all pages of the file. If such a record is only
    found in a page that may have been free, it may be an older value, or may have been deleted. The report names it.
    Commits that a killed process had not flushed are copied from the hidden directory beside the file.

    Args:
        source: the damaged file. No process may have it open.
        target: the file of the new shelf, which must not exist.
        progress: called with the number of pages read, and of all pages.

    Raises:
        ShelfExists: the target exists.
        ShelfLocked: a process has the damaged shelf open.
        NotAShelf: no record in the file can be read.

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
    from coshelf.engines.lmdb.checks.salvaging import salvage as take_all

    refuse_credentials(source)
    refuse_credentials(target)
    return take_all(os.path.realpath(expanded(source)), target, progress)
