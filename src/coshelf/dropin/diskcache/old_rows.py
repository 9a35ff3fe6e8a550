"""The rows of all databases of a directory of diskcache, as rows of one new cache."""

from __future__ import annotations

import contextlib
import math
import os
import pickle
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from coshelf.contract import Engine
from coshelf.dropin.diskcache.keys import pickled_key
from coshelf.dropin.diskcache.layout import STORE_TIME
from coshelf.dropin.diskcache.names import DBNAME
from coshelf.dropin.diskcache.new_rows import NewRows, Times
from coshelf.dropin.diskcache.old_database import OldDatabase, OldRow
from coshelf.dropin.diskcache.old_keys import without_memo
from coshelf.dropin.diskcache.old_places import databases
from coshelf.dropin.diskcache.old_settings import OldSettings, old_settings
from coshelf.dropin.diskcache.old_values import MissingFile, NewValue, OldValues, refuse_missing
from coshelf.keys import shown
from coshelf.system.failpoints import ARMED, reach
from coshelf.transfer.report import Left, TransferProgress, TransferReport
from coshelf.values.codec import Codec

__all__ = ["OldRows"]

_OFTEN = 1_000  # entries between two calls that tell the progress
_NO_KEY = "it is not a key that diskcache writes"


class _Key(NamedTuple):
    key: Any
    raw: bool


class _Gone(Exception):
    """Another process has deleted the row since the snapshot."""


class OldRows:
    """The databases of a directory, each as it was at one instant. They are closed at the end of the block.

    Attributes:
        first_path: the path of the first database.
    """

    def __init__(self, directory: str) -> None:
        self._databases: list[OldDatabase] = []
        self._closing = contextlib.ExitStack()
        with contextlib.ExitStack() as opening:
            for name in databases(directory):
                database = OldDatabase(os.path.join(directory, name))
                opening.callback(database.close)
                opening.enter_context(database.snapshot())
                self._databases.append(database)
            self._closing = opening.pop_all()
        self.first_path = os.path.join(self._databases[0].folder, DBNAME)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.close()

    def copy(
        self,
        engine: Engine,
        codec: Codec,
        values: OldValues,
        report: TransferReport,
        progress: TransferProgress | None,
    ) -> None:
        """Write everything into an empty shelf, in the order in which it was inserted, shard after shard."""
        settings = old_settings([database.settings() for database in self._databases])
        rows = NewRows(engine, codec, has_tags=settings.has_tags, column=settings.column)
        copying = _Copying(rows, values, report, _protocol(settings), len(self._databases) > 1)
        self._each(copying, progress)
        rows.finish(settings.settings, settings.hits, settings.misses)

    def examine(self, report: TransferReport, progress: TransferProgress | None) -> None:
        """Read everything, and write nothing."""
        self._each(_Examining(report), progress)

    def _each(self, work: _Work, progress: TransferProgress | None) -> None:
        total = sum(database.count() for database in self._databases) if progress is not None else 0
        number = 0
        for database in self._databases:
            for row in database.rows():
                work.do(database, row)
                if ARMED:
                    reach("taken-over-row")
                number += 1
                if progress is not None and number % _OFTEN == 0:
                    progress(number, total)
        if progress is not None:
            progress(number, total)


class _Work(Protocol):
    """What is done with one row after the other."""

    def do(self, database: OldDatabase, row: OldRow) -> None: ...


class _Examining:
    """Finds out which rows can be copied."""

    def __init__(self, report: TransferReport) -> None:
        self._report = report

    def do(self, database: OldDatabase, row: OldRow) -> None:
        try:
            if row.key is None and not row.raw:
                raise MissingFile(_NO_KEY)
            refuse_missing(database.folder, row)
            self._report.done += 1
        except MissingFile as error:
            self._report.failed.append(Left(shown(row.key), str(error)))


class _Copying:
    """Copies rows into a new cache."""

    def __init__(
        self, rows: NewRows, values: OldValues, report: TransferReport, protocol: int, has_shards: bool
    ) -> None:
        self._rows = rows
        self._values = values
        self._report = report
        self._protocol = protocol
        self._has_shards = has_shards

    def do(self, database: OldDatabase, row: OldRow) -> None:
        found = self._key(row)
        if found is None:
            self._report.failed.append(Left(shown(row.key), _NO_KEY))
            return
        key, raw = found
        # Keys become equal when they lose their memo. And a FanoutCache keeps what it stored with other shards.
        there = self._rows.find(key, raw) if self._has_shards or not raw else None
        try:
            if there is None:
                row, value = self._value(database, row)
                self._rows.insert(key, raw, _times(row), value)
                self._report.done += 1
                return
            self._report.skipped.append(Left(shown(key), "the same key was stored again, and the newest value is kept"))
            if _number(row.store_time) >= there[STORE_TIME]:
                row, value = self._value(database, row)
                dropped = self._rows.replace(key, raw, there, _times(row), value)
                if dropped is not None:
                    self._values.drop(dropped)
        except MissingFile as error:
            self._report.failed.append(Left(shown(key), str(error)))
        except _Gone:
            pass

    def _key(self, row: OldRow) -> _Key | None:
        """The key of a row as ``Disk.put`` returns it. None: it is none."""
        raw = bool(row.raw)
        if row.key is None:
            # SQLite has stored a NaN as NULL. coshelf.diskcache pickles it, so that it is found again.
            return _Key(pickled_key(math.nan, self._protocol), False) if raw else None
        if not raw and isinstance(row.key, bytes):
            return _Key(without_memo(row.key), False)
        return _Key(row.key, raw)

    def _value(self, database: OldDatabase, row: OldRow) -> tuple[OldRow, NewValue]:
        """The value of a row, and the row: a newer one if diskcache has replaced the file since the snapshot."""
        try:
            return row, self._values.take(database.folder, row)
        except MissingFile:
            # diskcache may be in a transaction that has removed the file already.
            with database.now(row) as newer:
                if newer is None or (newer.key, newer.raw) != (row.key, row.raw):
                    raise _Gone from None
                return newer, self._values.take(database.folder, newer)


def _protocol(settings: OldSettings) -> int:
    found = settings.settings.get("disk_pickle_protocol")
    return found if isinstance(found, int) else pickle.HIGHEST_PROTOCOL


def _times(row: OldRow) -> Times:
    expires = row.expire_time if isinstance(row.expire_time, (int, float)) else None
    accesses = row.access_count if isinstance(row.access_count, int) else 0
    return Times(_number(row.store_time), expires, _number(row.access_time), accesses, row.tag)


def _number(found: object) -> float:
    return found if isinstance(found, (int, float)) else 0.0
