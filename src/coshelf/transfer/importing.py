"""Imports a source into a shelf, batch by batch, so that a stopped import can continue."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from coshelf.contract import Batch, Capabilities
from coshelf.dropin.diskcache.old_places import is_for_cache
from coshelf.engines import refuse_credentials
from coshelf.errors import DamagedRecord, InvalidKey, KeyTooLong, ShelfNotFound, UnreadableValue, ValueTooLarge
from coshelf.keys import encode, shown
from coshelf.mapping.shelf import Shelf
from coshelf.opening import open_with_codec
from coshelf.screen import plain
from coshelf.system.files.paths import expanded
from coshelf.system.progress import showing
from coshelf.transfer.admission import Admission
from coshelf.transfer.detection import open_source
from coshelf.transfer.diskcache_source import DISKS
from coshelf.transfer.encodings import KEYS, VALUES
from coshelf.transfer.report import Left, TransferProgress, TransferReport
from coshelf.transfer.source import Skipped, SourceEntry, SourceOptions
from coshelf.values.envelope import NOTHING, Envelope, enclosed, envelope_of, with_rows
from coshelf.values.front_doors import RAW_PICKLES
from coshelf.values.raw_pickles import RawPickles
from coshelf.values.tags import text_of

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
    drop_tags: bool = False,
    replace: bool = False,
    trust: bool = False,
    dry_run: bool = False,
    progress: TransferProgress | bool | None = None,
) -> TransferReport:
    """Copy the entries of a source into a shelf.

    Batches have up to a thousand entries, and each batch is one commit. An entry that the target has already is
    skipped, so an import that was stopped continues when it is run again. The source is not changed, and no value is
    unpickled. Values that are more than plain data take the trust from a new target, unless the source is a trusted
    shelf.

    If the source is a directory of diskcache, and the target is named ``cache.shelf``, the target becomes a cache of
    ``coshelf.diskcache`` with all that is in the source. That is :func:`coshelf.diskcache.take_over`. The options for
    single entries do not apply then.

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
        drop_expiry: import entries without the times at which they expire. Otherwise times are kept, and where the
            target cannot keep them, such entries are skipped.
        drop_tags: import entries without their tags. Otherwise tags are kept, and where the target cannot keep them,
            such entries are skipped.
        replace: whether another value that the target has under the same key is replaced.
        trust: whether a trusted target may take any values of the source. They may run code when they are read.
        dry_run: only read and report; the target is neither made nor changed.
        progress: a function that is called from time to time with the number of entries so far, and of all entries, or
            None; or True for a bar on the terminal, or in the notebook, if it takes over a second.

    Raises:
        SourceError: the kind of the source is unknown, or the source cannot be read.
        ShelfPermissionError: the target is trusted and has entries, and values of the source are not plain data.
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
    if kind in (None, "diskcache") and is_for_cache(os.fspath(source), os.fspath(target)):
        _refuse_options(
            trust_pickle=trust_pickle,
            values=values != "pickle",
            table=table,
            keys=keys,
            disk=disk,
            drop_expiry=drop_expiry,
            drop_tags=drop_tags,
            replace=replace,
            trust=trust,
        )
        from coshelf.dropin.diskcache.taking_over import take_over  # it needs much that other imports do not need

        return take_over(source, os.path.dirname(expanded(os.fspath(target))), dry_run=dry_run, progress=progress)
    "".encode(keyencoding)  # LookupError, before anything is made
    options = SourceOptions(trust_pickle, keyencoding, values, table, keys, disk, drop_expiry, drop_tags)
    with ExitStack() as stack:
        opened = stack.enter_context(open_source(expanded(os.fspath(source)), kind, options))
        shelf = stack.enter_context(_target(os.fspath(target), dry_run))
        report = TransferReport(opened.kind)
        admission = Admission(shelf.engine_for("import"), os.fspath(source), trusted=trust or opened.is_trusted)
        total = opened.count()
        tell = stack.enter_context(showing(progress, plain(os.fspath(target)), "entries"))
        for batch in _batches(_fitting(opened.entries(), shelf.capabilities, options), report):
            _store(shelf, batch, report, None if dry_run else admission, replace=replace)
            seen = report.done + report.unchanged + len(report.skipped) + len(report.failed)
            if tell is not None:
                tell(seen, total)
        return report


def _refuse_options(**options: object) -> None:
    given = [name for name, value in options.items() if value]
    if given:
        raise ValueError(
            f"{', '.join(given)} cannot be given when the target is a cache of coshelf.diskcache, which gets everything"
        )


def _target(target: str, dry_run: bool) -> Shelf[Any, bytes]:
    if not dry_run:
        return open_with_codec(target, "c", RAW_PICKLES)
    try:
        return open_with_codec(target, "r", RAW_PICKLES)
    except ShelfNotFound:
        return open_with_codec("memory:", "c", RAW_PICKLES)


def _fitting(
    entries: Iterator[SourceEntry | Left], target: Capabilities, options: SourceOptions
) -> Iterator[SourceEntry | Left]:
    """The entries with what the target keeps of them. What it cannot keep, and must not drop, is skipped."""
    for found in entries:
        if isinstance(found, Left) or found.envelope == NOTHING:
            yield found
            continue
        time = None if options.drop_expiry else found.envelope.time
        tags = () if options.drop_tags else found.envelope.tags
        if time is not None and not target.expiry:
            yield Skipped(shown(found.key), "it expires, and the target cannot keep times (--drop-expiry imports it)")
        elif tags and not target.tags:
            yield Skipped(shown(found.key), "it has tags, and the target cannot keep tags (--drop-tags imports it)")
        else:
            yield dataclasses.replace(found, envelope=Envelope(time, tags))


def _batches(entries: Iterator[SourceEntry | Left], report: TransferReport) -> Iterator[dict[Any, SourceEntry]]:
    """The entries, in batches. Everything that is not an entry is put into the report."""
    batch: dict[Any, SourceEntry] = {}
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
            batch[found.key] = found
        except TypeError as error:  # an unpickled key that is not hashable
            report.failed.append(Left(shown(found.key), str(error)))
            continue
        size += len(found.pickle)
        if len(batch) >= _MOST or size >= _LARGEST:
            yield batch
            batch, size = {}, 0
    yield batch


def _store(
    shelf: Shelf[Any, bytes],
    batch: dict[Any, SourceEntry],
    report: TransferReport,
    admission: Admission | None,
    *,
    replace: bool,
) -> None:
    """Store what is new of a batch. Without an admission it is only counted."""
    new: dict[Any, SourceEntry] = {}
    for key, found in batch.items():
        try:
            is_there, is_same = _compared(shelf, key, found)
        except (DamagedRecord, UnreadableValue) as error:
            report.failed.append(Left(shown(key), f"the target's own value cannot be read: {error}"))
            continue
        if not is_there or (not is_same and replace):
            new[key] = found
        elif is_same:
            report.unchanged += 1
        else:
            report.skipped.append(Left(shown(key), "the target has another value (--replace)"))
    if admission is None:
        report.done += sum(1 for key in new if _is_usable(key, report))
        return
    admission.admit(found.pickle for found in new.values())
    try:
        _put(shelf, new)
        report.done += len(new)
    except (InvalidKey, KeyTooLong, ValueTooLarge):
        for key, found in new.items():  # one of them was refused: store the others
            try:
                _put(shelf, {key: found})
                report.done += 1
            except (InvalidKey, KeyTooLong, ValueTooLarge) as error:
                report.failed.append(Left(shown(key), str(error).splitlines()[0]))


def _compared(shelf: Shelf[Any, bytes], key: Any, found: SourceEntry) -> tuple[bool, bool]:
    """Whether the target has the key, and whether with this value, and with the time and tags, if there are any."""
    try:
        record = shelf.record(key)
    except (KeyError, InvalidKey):
        return False, False
    has, wanted = envelope_of(record.raw), found.envelope
    is_same = wanted.time in (None, has.time) and (not wanted.tags or wanted.tags == has.tags)
    return True, is_same and record.decode() == found.pickle


def _put(shelf: Shelf[Any, bytes], new: dict[Any, SourceEntry]) -> None:
    """Store entries. Those without a time get the default of the shelf, as all that are stored."""
    timed: dict[bytes, bytes] = {}
    others: dict[tuple[bytes, ...], dict[Any, bytes]] = {}
    for key, found in new.items():
        if found.envelope.time is None:
            others.setdefault(found.envelope.tags, {})[key] = found.pickle
        else:
            encoded = encode(key)
            timed[encoded] = enclosed(RawPickles().dump(key, encoded, found.pickle), found.envelope)
    for tags, entries in others.items():
        shelf.update(entries, tags=map(text_of, tags))
    if timed:
        shelf.engine_for("import", writing=True).commit(Batch(puts=with_rows(timed)))


def _is_usable(key: Any, report: TransferReport) -> bool:
    try:
        encode(key)
    except (InvalidKey, KeyTooLong) as error:
        report.failed.append(Left(shown(key), str(error).splitlines()[0]))
        return False
    return True
