"""Makes a shelf of a table."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

from coshelf.dropin.sqlitedict.connection import SqliteMultithread, has_uncommitted
from coshelf.errors import StorageError
from coshelf.trust.database_marks import exposure, origin

if TYPE_CHECKING:
    from coshelf.transfer.report import TransferProgress, TransferReport

__all__ = ["convert"]

_PICKLES = ("pickle", "pickle-zlib")


def _distrust(path: str) -> str | None:
    """Why another user may have written a database; None if only this user can have."""
    if not os.path.isfile(path):
        return None  # the import says what is wrong
    reason = exposure(path)
    if reason is not None:
        return reason
    from coshelf.transfer.sqlite_file import reported

    with reported(path), closing(SqliteMultithread(path, True, None, mode="ro")) as connection:
        found = connection.select_one("PRAGMA application_id")
    return origin(path, 0 if found is None else int(found[0]))


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    tablename: str | None = None,
    *,
    values: str = "pickle",
    keys: str | None = None,
    replace: bool = False,
    trust: bool = False,
    progress: TransferProgress | bool | None = None,
) -> TransferReport:
    """Copy a table into a shelf, which :func:`coshelf.open` opens. No value is unpickled, and the source stays.

    Entries are stored in batches, and each batch is one commit. An entry that the target has already is skipped, so a
    call that was stopped continues when it is made again.

    Args:
        source: the path of the SQLite file.
        target: the path or URL of a shelf, made if it is missing.
        tablename: the table; None if the file has only one.
        values: the form of the values: "pickle", "json" or "pickle-zlib". "bytes" keeps them as bytes.
        keys: the form of the keys: "text", or "pickle-base64" for :func:`encode_key`. None: keys are text, and keys
            that look like the other form are reported as failed.
        replace: whether another value that the target has under the same key is replaced.
        trust: whether you trust who wrote the pickles of a file that is not your own. Otherwise a new target loads
            plain data only, as the file does.
        progress: as for :func:`coshelf.transfer.import_entries`.

    Raises:
        SourceError: the file cannot be read, or has no such table.
        ShelfPermissionError: the target is trusted and has entries, and the source is not trusted.
        StorageError: an object of this process has changes in the file that are not committed.
        CoshelfError: what opening and writing the target may raise.

    >>> import coshelf, os, tempfile
    >>> from coshelf.sqlitedict import SqliteDict, convert
    >>> with tempfile.TemporaryDirectory() as place:
    ...     old, new = os.path.join(place, "old.sqlite"), os.path.join(place, "new.shelf")
    ...     with SqliteDict(old) as table:
    ...         table["a"] = [1]
    ...     report = convert(old, new)
    ...     with coshelf.open(new) as shelf:
    ...         report.done, dict(shelf)
    (1, {'a': [1]})
    """
    # Imported by those who convert: most programs only open tables.
    from coshelf.opening import open_with_codec
    from coshelf.transfer.copying import keep_trust_apart
    from coshelf.transfer.importing import import_entries
    from coshelf.values.front_doors import RAW_PICKLES

    if has_uncommitted(os.path.realpath(source)):
        raise StorageError(
            f"{os.fspath(source)} has changes of this process that are not committed\n  hint: commit() them first"
        )
    reason = None if trust or values not in _PICKLES else _distrust(os.path.realpath(source))
    if reason is not None:
        with open_with_codec(target, "c", RAW_PICKLES) as shelf:
            keep_trust_apart(reason, shelf.engine_for("convert", writing=True))
    return import_entries(
        source,
        target,
        kind="sqlitedict",
        table=tablename,
        values=values,
        keys=keys,
        replace=replace,
        trust=True,  # as far as the table is: see above
        progress=progress,
    )
