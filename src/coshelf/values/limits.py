"""The limits of a bounded shelf, what an entry counts, and the index of order. docs/format.md, "Limits".

An entry is named in the index by the number of the commit that stored it, so the index is in the order of storing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

from coshelf import records
from coshelf.errors import DamagedRecord, FormatTooNew, InvalidLimit
from coshelf.values.blobs import reference_in

__all__ = [
    "LIMITS_ROW",
    "MARK",
    "ORDER",
    "Eviction",
    "Limits",
    "bytes_of",
    "count_of",
    "order_key",
    "order_keys",
    "order_of",
    "policy",
    "size_of_entries",
    "size_of_entry",
]

Eviction = Literal["sieve", "fifo", "lru", "lfu", "expired"]

LIMITS_ROW: Final = b"\x01limits"
"""The row with the limits. A shelf without limits need not have it."""

ORDER: Final = (b"\x07", b"\x08")
"""The range of the rows of the index. Each is the prefix, a number (8 bytes, big-endian) and the key of an entry."""

MARK: Final = b"\x02\x00"
"""The body of a row of the index: a record with no headers. The number of the entry's commit follows if it differs."""

_FORMAT = 1
_HEADERED = bytes((records.HEADERED,))
_NUMBER = 8
_AT_KEY = 1 + _NUMBER
_BEFORE_NUMBER = records.TRAILER  # bytes of a record from its number on
_SEQUENCE = 5  # and from the last byte of the number on; its bytes are in the reverse order of the index
_LARGEST = 1 << 62
_ROWS = (
    64  # bytes that an entry takes beside its key, twice, and its record: the heads of two rows, and the index's own
)
_PAGE = 4096
_IN_PAGES = 2_000  # a longer record has pages of its own
_PAGE_HEAD = 16
_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_BINARY = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a shelf may hold, and what goes if it holds more. 0: no limit."""

    max_bytes: int = 0
    max_entries: int = 0
    evict: Eviction = "sieve"

    def __bool__(self) -> bool:
        return bool(self.max_bytes or self.max_entries)

    def __str__(self) -> str:
        words = [f"{self.max_entries:,} entries"] if self.max_entries else []
        if self.max_bytes:
            words.append(f"{self.max_bytes:,} bytes")
        return " and ".join(words) or "none"

    def exceeded_by(self, entries: int, size: int) -> bool:
        """Whether so many entries, which count so many bytes, are more than the limits allow."""
        return bool((self.max_entries and entries > self.max_entries) or (self.max_bytes and size > self.max_bytes))

    def body(self) -> bytes:
        """The row, without its trailer."""
        told: dict[str, Any] = {"format": _FORMAT, "evict": self.evict}
        if self.max_bytes:
            told["bytes"] = self.max_bytes
        if self.max_entries:
            told["entries"] = self.max_entries
        return MARK + json.dumps(told).encode()

    @classmethod
    def of(cls, record: bytes | None, where: str) -> Limits:
        """The limits in a row. Raises :class:`DamagedRecord` and :class:`FormatTooNew`."""
        if record is None:
            return cls()
        if not records.is_intact(LIMITS_ROW, record):
            raise DamagedRecord(f"the limits of {where} are damaged\n  hint: coshelf.salvage() copies what can be read")
        try:
            told = json.loads(record[len(MARK) : -records.TRAILER])
            evict = told["evict"]
            if told["format"] > _FORMAT or evict not in get_args(Eviction):
                raise FormatTooNew(f"{where} has limits of a kind that only a later version knows")
            return cls(_whole(told.get("bytes", 0)), _whole(told.get("entries", 0)), cast("Eviction", evict))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DamagedRecord(f"{where} has no readable limits: {error!r}") from error


def _whole(number: Any) -> int:
    if type(number) is not int or not 0 <= number < _LARGEST:
        raise ValueError(f"a limit of {number!r}")
    return number


# --- what users give -------------------------------------------------------------------------------------------------


def bytes_of(size: Any) -> int:
    """The bytes of a ``max_bytes=``: a number, or text such as "2 GiB". Raises :class:`InvalidLimit`."""
    if isinstance(size, str):
        found = _SIZE.fullmatch(size)
        if found is None or (found[3] and not found[2]):
            raise InvalidLimit(
                f"max_bytes={size!r:.60} is no size\n"
                "  hint: give a number of bytes, or text such as '500 MB' or '2 GiB'"
            )
        unit = (_BINARY if found[3] else _UNITS)[found[2].lower()]
        size = round(float(found[1]) * unit)
    return count_of(size, "max_bytes")


def count_of(number: Any, name: str) -> int:
    """The number of a limit. Raises :class:`InvalidLimit` unless it is an int of 1 or more."""
    if isinstance(number, bool) or not isinstance(number, int):
        raise InvalidLimit(
            f"{name}= is a number, False or None, not {type(number).__name__} ({number!r:.60})\n"
            "  hint: False removes the limit, None leaves it as it is"
        )
    if not 1 <= number < _LARGEST:
        raise InvalidLimit(f"{name}={number} cannot be a limit\n  hint: give 1 or more, or False for no limit")
    return number


def policy(name: Any) -> Eviction:
    """The policy of this name. Raises :class:`InvalidLimit`."""
    if name not in get_args(Eviction):
        raise InvalidLimit(f"evict must be one of {', '.join(map(repr, get_args(Eviction)))}, not {name!r:.60}")
    return cast("Eviction", name)


# --- what an entry counts --------------------------------------------------------------------------------------------


def size_of_entry(key: bytes, record: bytes) -> int:
    """The bytes that an entry counts: its two rows, its pages if it is long, and its large buffers."""
    length = len(record)
    if length > _IN_PAGES:
        length = -(-(length + _PAGE_HEAD) // _PAGE) * _PAGE
    if record[:1] == _HEADERED and (reference := reference_in(record)) is not None:
        length += sum(reference.sizes)
    return 2 * len(key) + length + _ROWS


def size_of_entries(rows: list[tuple[bytes, bytes]]) -> int:
    """The sum of :func:`size_of_entry` for keys with their records."""
    lengths = [len(record) for _, record in rows]
    is_whole = all(lengths)  # a damaged record may have no bytes
    if is_whole and max(lengths, default=0) <= _IN_PAGES and records.HEADERED not in [record[0] for _, record in rows]:
        return 2 * sum([len(key) for key, _ in rows]) + sum(lengths) + len(rows) * _ROWS
    return sum([size_of_entry(key, record) for key, record in rows])


# --- the index -------------------------------------------------------------------------------------------------------


def order_key(number: int, key: bytes) -> bytes:
    """The row of the index for the entry of a key."""
    return b"".join((ORDER[0], number.to_bytes(_NUMBER, "big"), key))


def order_keys(rows: list[tuple[bytes, bytes]]) -> list[bytes]:
    """The rows of the index for entries as they were stored."""
    first, end = ORDER[0], -_BEFORE_NUMBER - 1
    return [first + record[-_SEQUENCE:end:-1] + key for key, record in rows]


def order_of(row: bytes, record: bytes) -> tuple[int, bytes, int]:
    """Of a row of the index: its number, the key of its entry, and the number of the commit that stored the entry."""
    number = int.from_bytes(row[1:_AT_KEY], "big")
    told = record[len(MARK) : -records.TRAILER]
    return number, row[_AT_KEY:], int.from_bytes(told, "little") if told else number
