"""Copies a shelf on any engine to a shelf on any other: record by record, without unpickling, compared at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from coshelf import records
from coshelf.contract import ABSENT, Absent, Batch, Engine, Entry, Markable, OpenOptions, Reader, Snapshot, distrust
from coshelf.engines import open_engine
from coshelf.errors import (
    Conflict,
    DamagedRecord,
    InvalidKey,
    KeyTooLong,
    NotAShelf,
    ShelfNotFound,
    ShelfPermissionError,
    Unsupported,
    ValueTooLarge,
)
from coshelf.inspection.reports import shown_key
from coshelf.keys import FIRST, LAST
from coshelf.mapping.living import Living
from coshelf.mapping.shelf import Shelf
from coshelf.system.progress import showing
from coshelf.transfer.copying_items import missing_items
from coshelf.transfer.records_apart import Apart, take_apart
from coshelf.transfer.report import Left, TransferProgress, TransferReport
from coshelf.trust import marks
from coshelf.values.envelope import with_rows
from coshelf.values.expiry import is_over
from coshelf.values.settings import remembered

__all__ = ["Copied", "copy_entries", "keep_trust_apart"]

Place = "str | os.PathLike[str] | Shelf[Any, Any]"

_FIRST_CHUNK = 8  # entries
_MOST = 500
_LARGEST = 8 << 20  # bytes that are read, or committed, together
_SETTINGS = (b"\x01", b"\x02")
_ATTEMPTS = 10  # while other processes write to the target


@dataclass(slots=True)
class Copied(TransferReport):
    """The result of a copy. After a dry run, what it would have done.

    Attributes:
        verified: the number of entries that were compared at the end and are equal.
        settings: the names of the settings that were copied, too.
        items: the number of items of queues and deques that were copied.
    """

    verified: int = 0
    settings: list[str] = field(default_factory=list)
    items: int = 0

    def _more_facts(self) -> list[tuple[str, Any]]:
        settings = ", ".join(self.settings) or None
        return [("verified", self.verified), ("settings", settings), ("items of queues and deques", self.items or None)]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return TransferReport.as_dict(self) | {
            "verified": self.verified,
            "settings": self.settings,
            "items": self.items,
        }


def copy_entries(
    source: str | os.PathLike[str] | Shelf[Any, Any],
    target: str | os.PathLike[str] | Shelf[Any, Any],
    *,
    overwrite: bool = False,
    verify: bool = True,
    trust: bool = False,
    dry_run: bool = False,
    timeout: float = 60.0,
    progress: TransferProgress | bool | None = None,
) -> Copied:
    """Copy all entries of a shelf to another shelf, whatever engines they use.

    Entries are copied in batches. An entry that the target has already, with the same value, is skipped. So a copy that
    was stopped continues when it is run again. No value is unpickled. Large buffers are copied into a blob if the
    target has blobs, and into the value elsewhere. The shelf's settings, which say how values are written, are copied,
    too, and so are the items of queues and deques. Trust is not.

    If the source has snapshots, the copy shows one instant. Elsewhere each entry is as it was when it was read.

    Args:
        source: a path or URL, or an open shelf. It is not changed.
        target: the same; made if it is missing. Other processes should not write to it meanwhile: if the target checks
            single entries only (object stores), values that they store under the same keys can be overwritten.
        overwrite: whether another value that the target has under the same key is replaced.
        verify: whether each entry is read from both shelves at the end, and compared.
        trust: whether a trusted target may take the entries of a source that is not trusted. They may run code when
            they are read. Without it a new or empty target is not trusted afterwards.
        dry_run: only read and report; the target is neither made nor changed.
        timeout: seconds that bound every wait for a lock or a server.
        progress: a function that is called from time to time with the number of entries so far, and of all entries, or
            None; or True for a bar on the terminal, or in the notebook, if it takes over a second.

    Returns:
        The result for all entries. Entries that the target cannot hold are in ``failed``, each with its reason.

    Raises:
        ShelfNotFound: the source does not exist.
        ShelfPermissionError: the target is trusted, and the source is not.
        Unsupported: the target writes its values in another way than the source.
        ValueError: source and target are the same shelf.
        CoshelfError: what opening, reading and writing may raise.

    >>> import coshelf
    >>> with coshelf.open("memory:") as old, coshelf.open("memory:") as new:
    ...     old.update(a=1, b=[2])
    ...     report = copy_entries(old, new)
    ...     report.done, report.verified, dict(new)
    (2, 2, {'a': 1, 'b': [2]})
    """
    with ExitStack() as stack:
        from_engine = stack.enter_context(_opened(source, "r", timeout))
        to_engine = stack.enter_context(_target(target, timeout, dry_run=dry_run))
        if from_engine is to_engine or (from_engine.store_id and _is_same_place(from_engine, to_engine)):
            raise ValueError(f"{from_engine.where} is the source and the target")
        if not dry_run and not trust:
            _keep_trust_apart(from_engine, to_engine)
        has_snapshots = from_engine.capabilities.snapshots is True
        reader = stack.enter_context(from_engine.snapshot() if has_snapshots else nullcontext(from_engine))
        unit = "entries copied or compared" if verify and not dry_run else "entries"
        tell = stack.enter_context(showing(progress, to_engine.where, unit))
        return _Copy(from_engine, reader, to_engine, overwrite, verify and not dry_run, dry_run, tell).run()


def _opened(place: Any, flag: Any, timeout: float) -> AbstractContextManager[Engine]:
    if not isinstance(place, Shelf):
        return closing(open_engine(os.fspath(place), OpenOptions(flag=flag, timeout=timeout)))
    return nullcontext(place.engine_for("copy", writing=flag != "r"))


def _target(place: Any, timeout: float, *, dry_run: bool) -> AbstractContextManager[Engine]:
    try:
        return _opened(place, "r" if dry_run else "w", timeout)
    except ShelfNotFound:
        return _opened("memory:" if dry_run else place, "c", timeout)


def _is_same_place(one: Engine, other: Engine) -> bool:
    return one.store_id == other.store_id and one.where == other.where


def _keep_trust_apart(source: Engine, target: Engine) -> None:
    """Keep entries of an untrusted shelf out of a trusted one: an empty target loses its trust, others are refused."""
    reason = distrust(source)
    if reason is not None:
        keep_trust_apart(reason, target)


def keep_trust_apart(reason: str, target: Engine) -> None:
    """Take the trust from an empty target. Raises :class:`ShelfPermissionError` if a trusted target has entries.

    Args:
        reason: why the source is not trusted.
        target: a shelf that is to get entries of the source.
    """
    if distrust(target) is not None:
        return
    if target.count(FIRST, LAST) == 0 and isinstance(target, Markable):
        target.revoke()
    if distrust(target) is None:
        raise ShelfPermissionError(
            f"{target.where} is trusted, and the source is not: {reason}\n"
            "  hint: copy to a new shelf, or say that you trust the source (--trust, trust=True)"
        )


class _Copy:
    """One copy in progress."""

    def __init__(
        self,
        source: Engine,
        reader: Reader,
        target: Engine,
        overwrite: bool,
        verify: bool,
        dry_run: bool,
        progress: TransferProgress | None,
    ) -> None:
        self._source = source
        self._rows = reader
        self._reader = Living(reader, source.now)
        self._target = target
        self._overwrite = overwrite
        self._verify = verify
        self._dry_run = dry_run
        self._progress = progress
        # In a dry run a shelf in memory takes the place of a target that does not exist yet.
        to = "a new shelf" if dry_run and target.name == "memory" else target.name
        self._report = Copied(f"{source.name} to {to}")
        self._left: set[bytes] = set()
        self._seen = 0
        self._carries_settings = False

    def run(self) -> Copied:
        total = self._reader.count(FIRST, LAST) * (1 + self._verify) if self._progress is not None else None
        self._copy_settings()
        for chunk in self._chunks():
            self._copy_chunk(chunk)
            self._tell(len(chunk), total)
        self._copy_items()
        if not self._dry_run:
            self._target.sync()
        if self._verify:
            for chunk in self._chunks():
                self._verify_chunk({key: entry for key, entry in chunk.items() if key not in self._left})
                self._tell(len(chunk), total)
        return self._report

    def _tell(self, count: int, total: int | None) -> None:
        self._seen += count
        if self._progress is not None:
            self._progress(self._seen, total)

    def _fail(self, key: bytes, why: object) -> None:
        if key not in self._left:
            self._left.add(key)
            self._report.failed.append(Left(shown_key(key), str(why).splitlines()[0]))

    # --- reading -----------------------------------------------------------------------------------------------------

    def _chunks(self) -> Iterator[dict[bytes, Apart]]:
        """The entries in order, in chunks of limited size."""
        keys = (key for page in self._reader.key_pages(FIRST, LAST) for key in page)
        size = _FIRST_CHUNK
        while wanted := list(islice(keys, size)):
            chunk: dict[bytes, Apart] = {}
            for key, entry in zip(wanted, self._entries(wanted), strict=True):
                if entry is not None:  # it may have been deleted meanwhile
                    try:
                        chunk[key] = take_apart(key, entry.record, self._source.blobs)
                    except DamagedRecord as error:
                        self._fail(key, error)
            yield chunk
            largest = max((apart.size for apart in chunk.values()), default=0)
            size = max(1, min(_MOST, size * 4, _LARGEST // (largest + 1)))

    def _entries(self, keys: list[bytes]) -> Sequence[Entry | None]:
        try:
            return self._reader.get_many(keys)
        except DamagedRecord:  # one of them: the others are read one by one
            return [self._entry(key) for key in keys]

    def _entry(self, key: bytes) -> Entry | None:
        try:
            return self._reader.get(key)
        except DamagedRecord as error:
            self._fail(key, error)
            return None

    def _there(self, keys: list[bytes]) -> dict[bytes, Entry]:
        """The target's entries for these keys."""
        if not keys:
            return {}
        if self._target.capabilities.ordered is True:  # listing keys is cheaper than asking for missing ones
            pages = self._target.key_pages(keys[0], keys[-1] + b"\0")
            keys = sorted({key for page in pages for key in page}.intersection(keys))
        try:
            found = self._target.get_many(keys) if keys else []
        except DamagedRecord:
            found = [self._there_singly(key) for key in keys]
        return {key: entry for key, entry in zip(keys, found, strict=True) if entry is not None}

    def _there_singly(self, key: bytes) -> Entry | None:
        try:
            return self._target.get(key)
        except DamagedRecord:  # an empty record is not equal to any other
            return Entry(b"", 0)

    # --- copying -----------------------------------------------------------------------------------------------------

    def _copy_settings(self) -> None:
        """Copy the settings of how values are written. Raises :class:`Unsupported` if the target has other ones."""
        is_unable = self._target.keeps_settings and not self._target.capabilities.expiry
        has = remembered(self._source) if is_unable else None
        if has is not None and has.lifetime:
            raise Unsupported(
                f"{self._source.where} has a default time after which entries expire, and entries of the "
                f"{self._target.name} engine cannot expire\n  hint: export and import the entries"
            )
        for key, record in self._settings():
            name, body = key[1:].decode("ascii", "backslashreplace"), record[: -records.TRAILER]
            there = self._target.get(key)
            if there is not None and there.record[: -records.TRAILER] != body:
                raise Unsupported(
                    f"{self._target.where} has another setting {name!r} than {self._source.where}: values of the one "
                    "cannot be read in the other\n  hint: copy to a new shelf, or export and import"
                )
            try:
                if there is None and not self._dry_run:
                    self._target.commit(Batch(puts={key: body}))
            except (InvalidKey, Unsupported) as error:
                self._report.failed.append(Left(f"the setting {name!r}", str(error).splitlines()[0]))
                continue
            self._report.settings.append(name)
            self._carries_settings = True

    def _settings(self) -> list[tuple[bytes, bytes]]:
        """Rows of the source that say how values are written. The mark is not copied: each shelf has its own."""
        if isinstance(self._rows, Snapshot):
            rows = list(self._rows.reserved())
        else:
            rows = [(key, entry.record) for key, entry in self._rows.scan(*_SETTINGS) if entry is not None]
        return [row for row in rows if _SETTINGS[0] <= row[0] < _SETTINGS[1] and row[0] != marks.ROW_KEY]

    def _copy_items(self) -> None:
        """Copy the items of queues and deques that the target does not have."""

        def body_for(name: bytes, record: bytes) -> bytes | None:
            try:
                return self._body(name, take_apart(name, record, self._source.blobs))
            except DamagedRecord as error:
                self._fail(name, error)
                return None

        for count, puts in missing_items(self._rows, self._source, self._target, body_for):
            if not self._dry_run:
                self._target.commit(Batch(puts))
            self._report.items += count

    def _copy_chunk(self, chunk: dict[bytes, Apart]) -> None:
        stored: set[bytes] = set()
        for _ in range(_ATTEMPTS):
            there = self._there(list(chunk))
            wanted = {key: apart for key, apart in chunk.items() if self._is_wanted(key, apart, there.get(key))}
            bodies = {key: body for key, apart in wanted.items() if (body := self._body(key, apart)) is not None}
            try:
                if self._dry_run:
                    stored.update(bodies)
                else:
                    self._store(bodies, {key: entry.version for key, entry in there.items()}, stored)
            except Conflict:  # another process writes to the target: read it again
                continue
            self._report.done += len(stored)
            self._report.unchanged += len(chunk.keys() - stored - self._left)
            return
        raise Conflict(f"other processes write to {self._target.where} all the time: {_ATTEMPTS} attempts failed")

    def _is_wanted(self, key: bytes, apart: Apart, there: Entry | None) -> bool:
        if key in self._left:
            return False
        if there is None or is_over(key, there.record, self._target.cutoff()):
            return True
        if self._is_same(key, apart, there):
            return False
        if not self._overwrite:
            self._left.add(key)
            self._report.skipped.append(Left(shown_key(key), "the target has another value (--overwrite)"))
        return self._overwrite

    def _is_same(self, key: bytes, apart: Apart, there: Entry) -> bool:
        try:
            return apart.is_same(take_apart(key, there.record, self._target.blobs))
        except (DamagedRecord, Unsupported):
            return False

    def _body(self, key: bytes, apart: Apart) -> bytes | None:
        """The body for the target. If the target cannot store it, None, and a line in the report."""
        reason = self._binding(apart)
        capabilities = self._target.capabilities
        if capabilities.largest_key is not None and len(key) > capabilities.largest_key:
            reason = f"a key has at most {capabilities.largest_key} bytes there (as stored), this one has {len(key)}"
        if apart.envelope.time is not None and not capabilities.expiry:
            reason = f"it expires, and entries of the {self._target.name} engine cannot expire"
        if apart.envelope.tags and not capabilities.tags:
            reason = f"it has tags, and entries of the {self._target.name} engine cannot have tags"
        if reason is not None:
            self._fail(key, reason)
            return None
        try:
            body = apart.body(key, None if self._dry_run else self._target.blobs)
        except Unsupported as error:
            self._fail(key, error)
            return None
        if capabilities.largest_value is not None and len(body) > capabilities.largest_value:
            self._fail(key, f"a value has at most {capabilities.largest_value:,} bytes there, this one {len(body):,}")
            return None
        return body

    def _binding(self, apart: Apart) -> str | None:
        """Why a record can be read only in its own shelf; None if it can be read elsewhere."""
        if records.SIGNATURE in apart.headers and self._source.store_id != self._target.store_id:
            return (
                "it is signed for its own shelf, and would be refused in another: use a backup, which keeps the "
                "shelf's id, or store it there again with sign="
            )
        if records.ENCRYPTION in apart.headers and not self._carries_settings:
            return "it is encrypted for its own shelf, whose settings cannot be copied: use a backup, or store it again"
        return None

    def _store(self, bodies: dict[bytes, bytes], versions: dict[bytes, int | str], stored: set[bytes]) -> None:
        """Commit entries if the target still has these versions, and add their keys to ``stored``."""
        for puts in _batches(bodies, min(_LARGEST, self._target.capabilities.largest_batch or _LARGEST)):
            checks: dict[bytes, int | str | Absent] = {key: versions.get(key, ABSENT) for key in puts}
            if self._target.capabilities.checks == "entry":
                checks = {}
            try:
                self._target.commit(Batch(puts=with_rows(puts), checks=checks))
                stored.update(puts)
            except (InvalidKey, KeyTooLong, ValueTooLarge, Unsupported, NotAShelf):
                stored.update(key for key, body in puts.items() if self._store_singly(key, body, checks.get(key)))

    def _store_singly(self, key: bytes, body: bytes, expected: int | str | Absent | None) -> bool:
        """Commit one of a batch that was refused as a whole."""
        checks = {} if expected is None else {key: expected}
        try:
            self._target.commit(Batch(puts=with_rows({key: body}), checks=checks))
            return True
        except (InvalidKey, KeyTooLong, ValueTooLarge, Unsupported, NotAShelf) as error:
            self._fail(key, error)
            return False

    # --- comparing at the end ----------------------------------------------------------------------------------------

    def _verify_chunk(self, chunk: dict[bytes, Apart]) -> None:
        there = self._there(list(chunk))
        for key, apart in chunk.items():
            found = there.get(key)
            if found is None and (time := apart.envelope.time) is not None and time <= self._target.now():
                continue  # it has expired meanwhile, and was removed
            if found is None:
                self._fail(key, "it is missing in the target at the end")
            elif not self._is_same(key, apart, found):
                self._fail(key, "the target has another value at the end: a process may have changed one of the two")
            else:
                self._report.verified += 1


def _batches(bodies: dict[bytes, bytes], largest: int) -> Iterator[dict[bytes, bytes]]:
    batch: dict[bytes, bytes] = {}
    size = 0
    for key, body in bodies.items():
        more = len(key) + len(body)
        if batch and size + more > largest:
            yield batch
            batch, size = {}, 0
        batch[key] = body
        size += more
    if batch:
        yield batch
