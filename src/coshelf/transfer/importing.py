"""Imports a source into a shelf, batch by batch, so that a stopped import can continue."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from coshelf.engines import refuse_credentials
from coshelf.errors import DamagedRecord, InvalidKey, KeyTooLong, ShelfNotFound, UnreadableValue, ValueTooLarge
from coshelf.keys import encode, shown
from coshelf.mapping.shelf import Shelf
from coshelf.opening import open_with_codec
from coshelf.system.paths import expanded
from coshelf.transfer.detection import open_source
from coshelf.transfer.diskcache_source import DISKS
from coshelf.transfer.encodings import KEYS, VALUES
from coshelf.transfer.report import Left, TransferProgress, TransferReport
from coshelf.transfer.source import Skipped, SourceEntry, SourceOptions
from coshelf.values.front_doors import RAW_PICKLES

__all__ = ["import_entries"]


_MOST = 1_000  # entries
_LARGEST = 8 << 20  # bytes


def import_entries(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    kind: str | None = None,
    trust_pickle: bool = False,
    keyencoding: str = "utf-8",
    values: str = "pickle",
    table: str | None = None,
    keys: str | None = None,
    disk: str | None = None,
    drop_expiry: bool = False,
    replace: bool = False,
    dry_run: bool = False,
    progress: TransferProgress | None = None,
) -> TransferReport:
    """Copy the entries of a source into a shelf.

    Batches have up to a thousand entries, and each batch is one commit. An entry that the target has already is
    skipped, so an import that was stopped continues when it is run again. The source is not changed, and no value is
    unpickled.

    Args:
        source: a path; "-" is standard input, with JSON lines.
        target: a path or URL, made if it is missing.
        kind: what the source is, one of ``coshelf.transfer.detection.KINDS``. None: it is recognised by its files.
        trust_pickle: unpickle data that cannot be read in another way: pickleshare's hashed categories, and keys of
            diskcache that are not str, int, float or bytes. This runs the code that the pickles name.
        keyencoding: the encoding of a dbm module's keys.
        values: the form of the values of a dbm database or of sqlitedict: "pickle", "json" or "pickle-zlib". "bytes"
            keeps them as bytes.
        table: which table of sqlitedict, if there are several.
        keys: the form of sqlitedict's keys: "text", or "pickle-base64" for ``sqlitedict.encode_key``. None: keys are
            text, and keys that look like the other form fail.
        disk: the Disk class that wrote a diskcache: "pickle" for ``Disk``, "json" for ``JSONDisk``. None: each entry
            shows which class wrote it.
        drop_expiry: import entries of diskcache that will expire. They then stay for ever. Otherwise they are skipped.
        replace: whether another value that the target has under the same key is replaced.
        dry_run: only read and report; the target is neither made nor changed.
        progress: called from time to time with the number of entries so far, and of all entries, or None.

    Raises:
        SourceError: the kind of the source is unknown, or the source cannot be read.
        ValueError: an argument is not one of the possible values.
        CoshelfError: what opening and writing the target may raise.

    >>> import coshelf, dbm.dumb, os, pickle, tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with dbm.dumb.open(os.path.join(place, "old")) as old:
    ...         old["a"] = pickle.dumps([1])
    ...     report = import_entries(os.path.join(place, "old"), os.path.join(place, "new.shelf"))
    ...     with coshelf.open(os.path.join(place, "new.shelf")) as shelf:
    ...         report.done, dict(shelf)
    (1, {'a': [1]})
    """
    for name, given, possible in (("values", values, VALUES), ("keys", keys, KEYS), ("disk", disk, DISKS)):
        if given not in possible and (name == "values" or given is not None):
            raise ValueError(f"{name} must be one of {', '.join(possible)}, not {given!r}")
    refuse_credentials(source)
    "".encode(keyencoding)  # LookupError, before anything is made
    options = SourceOptions(trust_pickle, keyencoding, values, table, keys, disk, drop_expiry)
    with ExitStack() as stack:
        opened = stack.enter_context(open_source(expanded(os.fspath(source)), kind, options))
        shelf = stack.enter_context(_target(os.fspath(target), dry_run))
        report = TransferReport(opened.kind)
        total = opened.count()
        seen = 0
        for batch in _batches(opened.entries(), report):
            _store(shelf, batch, report, replace=replace, dry_run=dry_run)
            seen = report.done + report.unchanged + len(report.skipped) + len(report.failed)
            if progress is not None:
                progress(seen, total)
        return report


def _target(target: str, dry_run: bool) -> Shelf[Any, bytes]:
    if not dry_run:
        return open_with_codec(target, "c", RAW_PICKLES)
    try:
        return open_with_codec(target, "r", RAW_PICKLES)
    except ShelfNotFound:
        return open_with_codec("memory:", "c", RAW_PICKLES)


def _batches(entries: Iterator[SourceEntry | Left], report: TransferReport) -> Iterator[dict[Any, bytes]]:
    """The entries, in batches. Everything that is not an entry is put into the report."""
    batch: dict[Any, bytes] = {}
    numbers: dict[Any, str] = {}
    size = 0
    for found in entries:
        if isinstance(found, Left):
            (report.skipped if isinstance(found, Skipped) else report.failed).append(found)
            continue
        try:
            # Equal keys are one key, whatever their types. Texts are equal only to themselves.
            if not isinstance(found.key, (str, bytes)):
                first = numbers.setdefault(found.key, shown(found.key))
                if first != shown(found.key):
                    report.failed.append(Left(shown(found.key), f"it equals the key {first}, which came first"))
                    continue
            batch[found.key] = found.pickle
        except TypeError as error:  # an unpickled key that is not hashable
            report.failed.append(Left(shown(found.key), str(error)))
            continue
        size += len(found.pickle)
        if len(batch) >= _MOST or size >= _LARGEST:
            yield batch
            batch, size = {}, 0
    yield batch


def _store(
    shelf: Shelf[Any, bytes], batch: dict[Any, bytes], report: TransferReport, *, replace: bool, dry_run: bool
) -> None:
    new: dict[Any, bytes] = {}
    for key, value in batch.items():
        try:
            there = shelf.get(key)
        except (DamagedRecord, UnreadableValue) as error:
            report.failed.append(Left(shown(key), f"the target's own value cannot be read: {error}"))
            continue
        if there is None or (there != value and replace):
            new[key] = value
        elif there == value:
            report.unchanged += 1
        else:
            report.skipped.append(Left(shown(key), "the target has another value (--replace)"))
    if dry_run:
        report.done += sum(1 for key in new if _is_usable(key, report))
        return
    try:
        shelf.update(new)
        report.done += len(new)
    except (InvalidKey, KeyTooLong, ValueTooLarge):
        for key, value in new.items():  # one of them was refused: store the others
            try:
                shelf[key] = value
                report.done += 1
            except (InvalidKey, KeyTooLong, ValueTooLarge) as error:
                report.failed.append(Left(shown(key), str(error).splitlines()[0]))


def _is_usable(key: Any, report: TransferReport) -> bool:
    try:
        encode(key)
    except (InvalidKey, KeyTooLong) as error:
        report.failed.append(Left(shown(key), str(error).splitlines()[0]))
        return False
    return True
