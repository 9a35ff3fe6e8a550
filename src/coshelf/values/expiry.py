"""When entries expire: the header in a record, and the index by time. docs/format.md, "Expiry".

Times are microseconds since 1970.
"""

from __future__ import annotations

import datetime as dt
import math
import operator
from collections.abc import Iterator
from typing import Any, Final

from coshelf import records
from coshelf.errors import InvalidExpiry
from coshelf.keys import FIRST, LAST

__all__ = [
    "EXPIRING",
    "INDEX",
    "MARK",
    "deadline",
    "first_time",
    "is_of_user",
    "is_over",
    "lifetime",
    "row_key",
    "row_of",
    "stamped",
    "time_of",
    "until",
]

INDEX: Final = (b"\x04", b"\x05")
"""The range of the rows of the index. Each is the prefix, a time (8 bytes, big-endian) and the key of an entry."""

MARK: Final = b"\x02\x00"
"""The body of a row of the index: a record with no headers and no payload."""

_TIME = records.TIME
_AT_KEY = 1 + _TIME
EXPIRING: Final = bytes((records.HEADERED, records.EXPIRY))
"""What a record with a time begins with."""

_BEGIN = EXPIRING + _TIME.to_bytes(2, "little")
_END = len(_BEGIN) + _TIME
_SECOND = 1_000_000
_LATEST = (1 << 63) - 1


# --- the header ------------------------------------------------------------------------------------------------------


def stamped(body: bytes, time: int) -> bytes:
    """The body with the header of a time. ``body`` has none."""
    if body[0] == records.HEADERED:
        rest = body[1:]
    else:
        rest = b"\0" + (body if body[0] == records.PICKLE else body[1:])
    return b"".join((_BEGIN, time.to_bytes(_TIME, "little"), rest))


def time_of(record: bytes) -> int | None:
    """When the entry of a record, or of a body, expires; None if it does not."""
    if not record.startswith(_BEGIN) or len(record) < _END:
        return None
    return int.from_bytes(record[len(_BEGIN) : _END], "little")


def is_over(key: bytes, record: bytes, now: int) -> bool:
    """Whether the entry has expired. A damaged record has not, so that reading it raises the error."""
    time = time_of(record)
    if time is None or time > now:
        return False
    return len(record) > records.VERIFIED_ON_READ or records.is_intact(key, record)


# --- the index -------------------------------------------------------------------------------------------------------


def row_key(time: int, key: bytes) -> bytes:
    """The row of the index for the entry of a key."""
    return b"".join((INDEX[0], time.to_bytes(_TIME, "big"), key))


def row_of(row: bytes) -> tuple[int, bytes]:
    """The time and the key of a row of the index."""
    return int.from_bytes(row[1:_AT_KEY], "big"), row[_AT_KEY:]


def is_of_user(key: bytes) -> bool:
    """Whether the key in a row can be that of an entry. A crafted file may have any rows."""
    return FIRST <= key < LAST


def first_time(rows: Iterator[tuple[bytes, object]]) -> int | None:
    """The first time in a scan of the index; None if it is empty."""
    for row, _ in rows:
        return row_of(row)[0]
    return None


def until(now: int) -> tuple[bytes, bytes]:
    """The part of the index with the times up to now."""
    return INDEX[0], row_key(min(max(now, 0), _LATEST) + 1, b"")


# --- what users give -------------------------------------------------------------------------------------------------


def lifetime(expire: Any) -> int:
    """The microseconds of an ``expire=``, in seconds or as a timedelta. Raises :class:`InvalidExpiry`."""
    if isinstance(expire, dt.timedelta):
        return expire // dt.timedelta(microseconds=1)
    if isinstance(expire, bool) or not (isinstance(expire, float) or hasattr(type(expire), "__index__")):
        raise InvalidExpiry(
            f"expire= is a number of seconds, a timedelta or None, not {type(expire).__name__} ({expire!r:.60})\n"
            "  hint: None stores an entry that does not expire"
        )
    if isinstance(expire, float) and not math.isfinite(expire):
        raise InvalidExpiry(f"expire= cannot be {expire}\n  hint: None stores an entry that does not expire")
    if isinstance(expire, float):
        return round(expire * _SECOND) if abs(expire) < _LATEST / _SECOND else int(expire) * _SECOND
    return operator.index(expire) * _SECOND


def deadline(length: int, now: int) -> int | None:
    """The time that is a lifetime from now on; None if the entry expires at once, so that it need not be stored."""
    if length <= 0:
        return None
    time = now + length
    if time > _LATEST:
        raise InvalidExpiry(
            "expire= is later than times can be written (some 290,000 years from now)\n"
            "  hint: None stores an entry that does not expire"
        )
    return time
