"""Entries with a time and tags: the methods of transactions that store them. docs/design.md, "Expiry" and "Tags"."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from coshelf import records
from coshelf.contract import Capabilities
from coshelf.errors import Unsupported
from coshelf.keys import FOREIGN
from coshelf.mapping.namespace import Namespace, Range
from coshelf.mapping.tagging import Tags, marked_entries, usable_tag, usable_tags
from coshelf.values.codec import Codec
from coshelf.values.envelope import NOTHING, Envelope, body_of, enclosed, envelope_for, envelope_of, rows_of, tags_of
from coshelf.values.expiry import deadline, is_over, lifetime, row_key, time_of
from coshelf.values.tags import row_key as tag_row

if TYPE_CHECKING:
    from coshelf.mapping.overlay import Overlay

__all__ = ["MISSING", "Expire", "LapsingTransaction", "unsupported", "usable"]

K = TypeVar("K")
V = TypeVar("V")

_HEADERED = bytes((records.HEADERED,))

Expire = float | timedelta | None
"""What ``expire=`` may be: seconds, a timedelta, or None for an entry that does not expire."""


class _Missing:
    def __repr__(self) -> str:
        return "<none>"


MISSING: Final[Any] = _Missing()
"""The default of arguments for which None is a value."""


def usable(expire: Any, codec: Codec, capabilities: Capabilities, engine: str) -> int | None:
    """The lifetime of an ``expire=`` in microseconds; None if the entry does not expire."""
    if expire is MISSING:
        return codec.lifetime
    if expire is None:
        return None
    length = lifetime(expire)
    if not capabilities.expiry:
        raise unsupported(engine)
    return length


def unsupported(engine: str) -> Unsupported:
    return Unsupported(
        f"entries of the {engine} engine cannot expire\n"
        "  hint: use a file of the lmdb engine, or a database; require='expiry' at opening makes sure"
    )


class _State(Protocol):
    """What is needed of the state of a transaction."""

    @property
    def capabilities(self) -> Capabilities: ...
    @property
    def engine(self) -> str: ...
    def overlay(self) -> Overlay: ...
    def now(self) -> int: ...
    def clock(self) -> int: ...


class LapsingTransaction(Generic[K, V]):
    """The methods of a :class:`coshelf.Transaction` about times and tags."""

    _state: _State
    _namespace: Namespace
    _codec: Codec

    def set(self, key: K, value: V, expire: Expire = MISSING, tags: Tags = ()) -> None:
        """Store a value that expires, or has tags. As :meth:`coshelf.Shelf.set`."""
        length, marked = self._lifetime(expire), self._marked(tags)
        encoded = self._namespace.encode(key)
        self._put_for(encoded, self._codec.dump(key, encoded, value), length, marked)

    def add(self, key: K, value: V, expire: Expire = MISSING, tags: Tags = ()) -> bool:
        """Store a value if the key does not exist, and return whether it did not. As :meth:`coshelf.Shelf.add`."""
        return self._add(key, value, expire, self._marked(tags))

    def _add(self, key: K, value: V, expire: Expire, marked: tuple[bytes, ...]) -> bool:
        length = self._lifetime(expire)
        encoded = self._namespace.encode(key)
        if self._living_record(encoded) is not None:
            return False
        self._put_for(encoded, self._codec.dump(key, encoded, value), length, marked)
        return True

    def touch(self, key: K, expire: Expire = MISSING) -> bool:
        """Change when an entry expires, and return whether it exists. As :meth:`coshelf.Shelf.touch`."""
        length = self._lifetime(expire)
        encoded = self._namespace.encode(key)
        record = self._living_record(encoded)
        if record is None:
            return False
        overlay = self._state.overlay()
        before = time_of(record)
        if before is not None:
            overlay.delete(row_key(before, encoded))
        self._put_for(encoded, body_of(record), length, tags_of(record))
        return True

    def delete_tagged(self, tag: str) -> int:
        """Remove the entries that have a tag, and return their number. As :meth:`coshelf.Shelf.delete_tagged`."""
        return self._delete_tagged(self._wanted(tag), self._namespace.ranges, sys.maxsize)[0]

    def _delete_tagged(self, tag: bytes, ranges: Sequence[Range], most: int) -> tuple[int, list[Range]]:
        """Remove the entries with a tag, up to a number of rows. Return their number, and the ranges that are left."""
        overlay, removed, rows = self._state.overlay(), 0, 0
        with overlay.instant() as instant:
            for at, (start, stop) in enumerate(ranges):
                for key, record in marked_entries(instant, tag, start, stop):
                    if rows == most:
                        return removed, [(key, stop), *ranges[at + 1 :]]
                    rows += 1
                    if record is None:  # a row that an entry has left behind
                        overlay.delete(tag_row(tag, key))
                    elif self._namespace.decode(key) is not FOREIGN:
                        removed += not is_over(key, record, self._state.now())
                        self._remove(key, record)
        return removed, []

    def _lifetime(self, expire: Any) -> int | None:
        return usable(expire, self._codec, self._state.capabilities, self._state.engine)

    def _marked(self, tags: Any) -> tuple[bytes, ...]:
        return () if tags == () else usable_tags(tags, self._state.capabilities, self._state.engine)

    def _wanted(self, tag: Any) -> bytes:
        return usable_tag(tag, self._state.capabilities, self._state.engine)

    def _remove(self, encoded: bytes, record: bytes) -> None:
        """Remove an entry that has this record, and its rows of the indexes."""
        overlay = self._state.overlay()
        overlay.delete(encoded)
        if record[:1] == _HEADERED:  # as a rule it is not, and nothing has to be found out
            for row in rows_of(encoded, record):
                overlay.delete(row)

    def _living_record(self, encoded: bytes) -> bytes | None:
        """The record of an entry that exists and has not expired."""
        record = self._state.overlay().record(encoded)
        return None if record is None or is_over(encoded, record, self._state.now()) else record

    def _put_for(self, encoded: bytes, body: bytes, length: int | None, marked: tuple[bytes, ...] = ()) -> None:
        """Write an entry that expires after a lifetime, and has tags. None: it does not expire."""
        if length is None and not marked:
            self._state.overlay().put(encoded, body)
        else:
            self._put_all({encoded: body}, length, marked)

    def _update(self, items: Iterable[tuple[K, V]], length: int | None, marked: tuple[bytes, ...]) -> None:
        for key, value in items:  # an iterator may read what this call has written
            encoded = self._namespace.encode(key)
            self._put_for(encoded, self._codec.dump(key, encoded, value), length, marked)

    def _put_all(self, puts: dict[bytes, bytes], length: int | None, marked: tuple[bytes, ...]) -> None:
        overlay = self._state.overlay()
        if length is None and not marked:
            overlay.put_all(puts)
            return
        envelope = envelope_for(length, marked, self._state.clock())
        if envelope is None:
            for encoded in puts:
                overlay.delete(encoded)
        else:
            overlay.put_enclosed(puts, envelope)

    def _overwrite(self, key: K, value: V) -> None:
        """Store a value in the place of another one, which is not loaded. The entry keeps its time and tags."""
        overlay, encoded = self._state.overlay(), self._namespace.encode(key)
        with overlay.guarding(encoded):
            body = self._codec.dump(key, encoded, value)
            self._put_back(overlay, encoded, body, self._living_record(encoded))

    def _put_back(self, overlay: Overlay, encoded: bytes, body: bytes, record: bytes | None) -> None:
        """Write the entry that the caller guards or has read, with the time and the tags that its record had."""
        if record is not None:
            envelope = envelope_of(record)
        elif self._codec.lifetime is not None:
            envelope = Envelope(deadline(self._codec.lifetime, self._state.clock()))
        else:
            envelope = NOTHING
        if envelope != NOTHING:
            # The rows of the indexes, too: they may be removed with the entry before this is committed.
            overlay.note_rows(envelope, encoded)
            body = enclosed(body, envelope)
        overlay.put_guarded(encoded, body)
