"""What commits did, in rows of the same SQLite transactions: docs/format.md, "Changes in SQLite files".

Nothing but SQLite connects the processes. So a watcher leaves a row that says until when commits are to be noted, and
renews it from time to time. A commit looks that row up in the statement that gives it its number.
"""

from __future__ import annotations

import sqlite3
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from coshelf import records
from coshelf.contract import Batch, Change, Kind
from coshelf.errors import DamagedRecord
from coshelf.keys import FIRST
from coshelf.system import clock
from coshelf.values.expiry import time_of

__all__ = ["NEXT", "WATCHED", "Watched", "latest", "note", "read", "renew"]

WATCHED: Final = b"\x05\x00"
"""The row that says that somebody watches."""

NEXT: Final = (
    "UPDATE shelf SET number = number + 1 "
    f"RETURNING number, (SELECT record FROM entries WHERE key = x'{WATCHED.hex()}')"
)
"""Begins a commit: its number, and the record of :data:`WATCHED` or None."""

_PUT = "INSERT INTO entries VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET record = excluded.record"
_LATEST = f"SELECT number, (SELECT record FROM entries WHERE key = x'{WATCHED.hex()}') FROM shelf"
_CHANGES = b"\x05\x01"
_END = b"\x05\x02"
_NUMBER = struct.Struct(">Q")
_AT_KEY = len(_CHANGES) + _NUMBER.size
_HEAD = b"\x02\x00"  # of a record without headers
_WATCHED = struct.Struct("<dQQ")
_KINDS: dict[bytes, Kind] = {b"S": "set", b"D": "deleted", b"E": "expired"}
_LETTERS = {kind: letter for letter, kind in _KINDS.items()}

_MOST = 32 << 20  # bytes of rows that are kept
_KEPT_FOR = 3_600.0  # seconds after the last renewal
_RENEWED_BEFORE = 2_700.0  # seconds before the end at which it is renewed
_AT_ONCE = 1_000  # changes that one read returns, if the commits are small
_STEP = 10_000  # rows that one commit removes after the end


class Watched(NamedTuple):
    """The row :data:`WATCHED`.

    Attributes:
        until: Unix time after which commits need not be noted.
        since: the changes after the commit with this number are kept.
        size: bytes of the rows.
    """

    until: float
    since: int
    size: int

    @classmethod
    def of(cls, record: bytes | None) -> Watched | None:
        """Read it from its record. None if nobody watches, or if it is damaged: then readers get a gap."""
        if record is None or len(record) != len(_HEAD) + _WATCHED.size + records.TRAILER:
            return None
        return cls(*_WATCHED.unpack_from(record, len(_HEAD))) if records.is_intact(WATCHED, record) else None

    def is_over(self) -> bool:
        """Whether commits need not be noted any more."""
        return time.time() > self.until

    def is_due(self) -> bool:
        """Whether a watcher has to renew it."""
        return self.until - time.time() < _RENEWED_BEFORE

    def store(self, connection: sqlite3.Connection) -> None:
        """Write the row."""
        _put(connection, {WATCHED: _HEAD + _WATCHED.pack(*self)}, self.since)


# --- writing: in the transaction of a commit -------------------------------------------------------------------------


def note(connection: sqlite3.Connection, batch: Batch, number: int, record: bytes) -> None:
    """Note a commit, before its clears and deletes are done. ``record`` is that of :data:`WATCHED`."""
    watched = Watched.of(record)
    if watched is None or watched.is_over():
        _remove_some(connection)
        return
    rows = {_row(number, key): _HEAD + _LETTERS[kind] for key, kind in _gone(connection, batch).items()}
    rows |= {_row(number, key): _HEAD + b"S" + body for key, body in batch.puts.items() if key >= FIRST}
    size = sum(len(row) + len(body) for row, body in rows.items())
    if size > _MOST:  # not a second time as much
        connection.execute("DELETE FROM entries WHERE key >= ? AND key < ?", (_CHANGES, _END))
        Watched(watched.until, number, 0).store(connection)
        return
    _put(connection, rows, number)
    _trimmed(connection, Watched(watched.until, watched.since, watched.size + size)).store(connection)


def _gone(connection: sqlite3.Connection, batch: Batch) -> dict[bytes, Kind]:
    """The entries that a batch removes."""
    now = clock.now()
    found: dict[bytes, Kind] = {}
    ranges = [*batch.clears, *((key, key + b"\0") for key in batch.deletes)]
    for start, stop in ranges:
        query = "SELECT key, substr(record, 1, 12) FROM entries WHERE key >= ? AND key < ?"
        for key, head in connection.execute(query, (max(start, FIRST), stop)):
            if key not in batch.puts:
                end = time_of(head)
                found[key] = "deleted" if end is None or end > now else "expired"
    return found


def _trimmed(connection: sqlite3.Connection, watched: Watched) -> Watched:
    """Remove the oldest commits if the rows take too many bytes."""
    if watched.size <= _MOST:
        return watched
    size, last = watched.size, watched.since
    rows = connection.execute(
        "SELECT key, length(key) + length(record) FROM entries WHERE key >= ? AND key < ? ORDER BY key",
        (_CHANGES, _END),
    )
    for row, length in rows:
        number = _number_of(row)
        if size <= _MOST * 3 // 4 and number != last:
            break
        size, last = size - (length - records.TRAILER), number
    rows.close()
    connection.execute("DELETE FROM entries WHERE key >= ? AND key < ?", (_CHANGES, _row(last + 1, b"")))
    return Watched(watched.until, last, max(size, 0))


def _remove_some(connection: sqlite3.Connection) -> None:
    """Remove the rows after the end, and last of all the row that says that somebody watches."""
    removed = connection.execute(
        "DELETE FROM entries WHERE key IN (SELECT key FROM entries WHERE key >= ? AND key < ? ORDER BY key LIMIT ?)",
        (_CHANGES, _END, _STEP),
    ).rowcount
    if removed < _STEP:
        connection.execute("DELETE FROM entries WHERE key = ?", (WATCHED,))


def _put(connection: sqlite3.Connection, rows: Mapping[bytes, bytes], number: int) -> None:
    connection.executemany(_PUT, records.sealed(list(rows.items()), number))


def _row(number: int, key: bytes) -> bytes:
    return b"".join((_CHANGES, _NUMBER.pack(number), key))


def _number_of(row: bytes) -> int:
    number: int = _NUMBER.unpack_from(row, len(_CHANGES))[0]
    return number


# --- watching --------------------------------------------------------------------------------------------------------


def latest(connection: sqlite3.Connection) -> tuple[int, Watched | None]:
    """The number of the last commit, and the row."""
    ((number, record),) = connection.execute(_LATEST).fetchall()
    return number, Watched.of(record)


def renew(connection: sqlite3.Connection) -> tuple[int, Watched]:
    """Have commits noted from now on, if they are not. Return the number of the last commit, and the row.

    It is called in a write transaction.
    """
    number, watched = latest(connection)
    if watched is None or watched.is_over():
        connection.execute("DELETE FROM entries WHERE key >= ? AND key < ?", (_CHANGES, _END))
        watched = Watched(0.0, number, 0)
    watched = Watched(time.time() + _KEPT_FOR, watched.since, watched.size)
    watched.store(connection)
    return number, watched


def read(
    connection: sqlite3.Connection, ranges: Sequence[tuple[bytes, bytes]], since: int
) -> tuple[list[Change], int, Watched | None]:
    """The changes of the next commits; up to which number they go; and the row. It is called in a read transaction."""
    number, watched = latest(connection)
    oldest = number if watched is None or watched.is_over() else watched.since
    found = []
    if since < oldest:
        found.append(Change(b"", "gap", oldest))
        since = oldest
    wanted = " OR ".join(["(substr(key, ?) >= ? AND substr(key, ?) < ?)"] * len(ranges)) or "FALSE"
    bounds = [each for start, stop in ranges for each in (_AT_KEY + 1, start, _AT_KEY + 1, stop)]
    rows = connection.execute(
        f"SELECT key, record FROM entries WHERE key >= ? AND key < ? AND ({wanted}) ORDER BY key",
        (_row(since + 1, b""), _row(number + 1, b""), *bounds),
    )
    changes, last = _commits(rows)
    rows.close()
    return found + changes, number if last is None else last, watched


def _commits(rows: Iterable[tuple[bytes, bytes]]) -> tuple[list[Change], int | None]:
    """The changes in rows, and the number of their last commit if there are more rows, so that it is whole."""
    found: list[Change] = []
    for row, record in rows:
        number = _number_of(row)
        if len(found) >= _AT_ONCE and found[-1].position != number:
            last = found[-1].position
            assert isinstance(last, int)
            return found, last
        found.append(_change(row, number, record))
    return found, None


def _change(row: bytes, number: int, record: bytes) -> Change:
    at, key = len(_HEAD), row[_AT_KEY:]
    kind = _KINDS.get(record[at : at + 1])
    if kind is None or not records.is_intact(row, record):
        raise DamagedRecord(f"what commit {number} did to an entry is damaged", key)
    if kind != "set":
        return Change(key, kind, number)
    body = record[at + 1 : -records.TRAILER]
    return Change(key, kind, number, records.seal(body, records.checksum(key, body), number))
