"""Check and salvage of a shelf's file, by its path. What does the work is imported when it is asked for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from coshelf.inspection.reports import Progress
from coshelf.system.paths import Path, expanded

if TYPE_CHECKING:
    from coshelf.inspection.reports import Report, SalvageReport

__all__ = ["check", "salvage"]


def check(path: Path, *, progress: Progress | None = None) -> Report:
    """Verify everything in a shelf's file, and report what is damaged, and where.

    The check changes nothing and decodes no value. Whatever is in the file, it cannot crash the process. Nobody can
    open the shelf meanwhile. If a process has it open, the check opens it, too, and does what
    :meth:`coshelf.Shelf.check` does. Commits that a killed process had not flushed are checked with the rest.

    Args:
        path: of a file of the lmdb engine. A shelf on another engine, by its URL, is opened and checked.
        progress: called with the number of pages that are done, and how many there may be.

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
    """Copy what is readable in a damaged file to a new shelf, and report what is not.

    The salvage does not change the file, and needs neither whole headers nor whole inner pages. It takes a record only
    if its checksum is right. It looks for what damage cuts off in all pages of the file. What it finds only in pages
    that may have been free can be an older value, or have been deleted: the report names it. It also takes what a
    killed process had committed and not flushed, from the hidden directory beside the file.

    Args:
        source: the damaged file; no process may have it open.
        target: the path of the new shelf; nothing may exist there.
        progress: called with the number of pages that are done, and how many there are.

    Raises:
        ShelfExists: something exists at the target.
        ShelfLocked: a process has the damaged shelf open.
        NotAShelf: the file holds nothing that could be taken.

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
