"""What is said of an entry in headers around its finished body: when it expires, and its tags.

Codecs and layers see the body without these headers. So an entry can get another time without its value, and without
the secret of an encrypted one. For each header there are rows in an index: docs/format.md, "Expiry" and "Tags".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from coshelf import records
from coshelf.values import expiry, tags
from coshelf.values.blobs import Body
from coshelf.values.expiry import MARK, deadline, stamped, time_of

__all__ = [
    "NOTHING",
    "Envelope",
    "bare",
    "body_of",
    "carries",
    "enclosed",
    "enclosed_with_rows",
    "envelope_for",
    "envelope_of",
    "is_left_behind",
    "rows_of",
    "tags_of",
    "with_rows",
]

_TAG = bytes((records.HEADERED,))
_OLD = bytes((records.OLD_PICKLE,))
_WITH_TAGS = bytes((records.TAGS,))
_TIMED = _TAG + records.header(records.EXPIRY, bytes(records.TIME))[: -records.TIME]
_MARKED = _TAG + _WITH_TAGS
_KIND_AND_SIZE = 3  # bytes of a header before its data
_TIME_ENDS = 1 + _KIND_AND_SIZE + records.TIME


class Envelope(NamedTuple):
    """The headers around a body.

    Attributes:
        time: when the entry expires, in microseconds since 1970; None if it does not.
        tags: its tags as they are stored, in order.
    """

    time: int | None = None
    tags: tuple[bytes, ...] = ()

    def rows(self, key: bytes) -> list[bytes]:
        """The rows of the indexes for the entry of a key."""
        found = [tags.row_key(tag, key) for tag in self.tags] if self.tags else []
        if self.time is not None:
            found.append(expiry.row_key(self.time, key))
        return found


NOTHING: Final = Envelope()
"""The envelope of an entry without a time and tags. Its record has no headers for them."""


def envelope_for(length: int | None, marked: tuple[bytes, ...], now: int) -> Envelope | None:
    """The envelope of an entry with a lifetime and tags; None if it expires at once, so that it need not be stored."""
    if length is None:
        return Envelope(None, marked)
    time = deadline(length, now)
    return None if time is None else Envelope(time, marked)


def enclosed(body: bytes, envelope: Envelope) -> bytes:
    """The body with the headers of an envelope. ``body`` has none of them."""
    made = tags.with_tags(body, envelope.tags) if envelope.tags else body
    if envelope.time is not None:
        made = stamped(made, envelope.time)
    return Body.of(made, body.blob) if type(body) is Body and made is not body else made


def enclosed_with_rows(puts: Mapping[bytes, bytes], envelope: Envelope) -> dict[bytes, bytes]:
    """Entries with the headers of an envelope, and their rows of the indexes."""
    made = {key: enclosed(body, envelope) for key, body in puts.items()}
    for key in puts:
        for row in envelope.rows(key):
            made[row] = MARK
    return made


def _tags_end(record: bytes, at: int) -> int:
    """Where the header of tags ends that may begin here; the same place if there is none."""
    if record[at : at + 1] != _WITH_TAGS:
        return at
    end = at + _KIND_AND_SIZE + int.from_bytes(record[at + 1 : at + _KIND_AND_SIZE], "little")
    return end if end < len(record) else at


def bare(record: bytes) -> bytes:
    """The record, or body, as it was before :func:`enclosed`. Without such headers it is returned as it is."""
    if record.startswith(_TIMED):
        end = _tags_end(record, _TIME_ENDS)
    elif not record.startswith(_MARKED) or (end := _tags_end(record, 1)) == 1:
        return record
    if record[end : end + 1] != b"\0":
        return _TAG + record[end:]
    payload = record[end + 1 :]
    return payload if payload[:1] == b"\x80" else _OLD + payload


def body_of(record: bytes) -> bytes:
    """The body in a record, without trailer and envelope. With it an entry can be stored again, in another envelope."""
    return bare(record[: -records.TRAILER])


def envelope_of(record: bytes) -> Envelope:
    """The envelope of a record, or body."""
    if record.startswith(_TIMED):
        time, begin = time_of(record), _TIME_ENDS
    elif record.startswith(_MARKED):
        time, begin = None, 1
    else:
        return NOTHING
    end = _tags_end(record, begin)
    return Envelope(time, tags.tags_in(record[begin + _KIND_AND_SIZE : end]) if end > begin else ())


def tags_of(record: bytes) -> tuple[bytes, ...]:
    """The tags of a record, or body, as they are stored."""
    return envelope_of(record).tags


def carries(record: bytes, tag: bytes) -> bool:
    """Whether an entry has a tag, which is given as it is stored."""
    return tag in record and tag in tags_of(record)


def is_left_behind(row: bytes, record_of: Callable[[bytes], bytes | None]) -> bool:
    """Whether a row of coshelf's own is in the index of tags, and its entry is missing or has lost the tag."""
    if not tags.INDEX[0] <= row < tags.INDEX[1]:
        return False
    tag, key = tags.row_parts(row)
    record = record_of(key) if expiry.is_of_user(key) else None
    return record is None or not carries(record, tag)


def rows_of(key: bytes, record: bytes) -> list[bytes]:
    """The rows of the indexes for an entry. Where it is removed, they can be removed with it."""
    return envelope_of(record).rows(key)


def with_rows(puts: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    """Bodies, with the rows of the indexes for those that have an envelope."""
    rows = {row: MARK for key, body in puts.items() for row in envelope_of(body).rows(key)}
    return {**puts, **rows} if rows else puts
