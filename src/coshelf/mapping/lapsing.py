"""Entries that expire: the methods of shelves and transactions that store them. docs/design.md, "Expiry"."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from coshelf.contract import Capabilities
from coshelf.errors import Unsupported
from coshelf.mapping.namespace import Namespace
from coshelf.values.codec import Codec
from coshelf.values.expiry import MARK, body_of, deadline, is_over, lifetime, row_key, stamped, time_of

if TYPE_CHECKING:
    from coshelf.mapping.overlay import Overlay

__all__ = ["MISSING", "Expire", "LapsingTransaction", "rows_until", "unsupported", "usable"]

K = TypeVar("K")
V = TypeVar("V")

Expire = float | timedelta | None
"""What ``expire=`` may be: seconds, a timedelta, or None for an entry that does not expire."""


class _Missing:
    def __repr__(self) -> str:
        return "<none>"


MISSING: Final[Any] = _Missing()
"""The default of arguments for which None is a value."""


def rows_until(time: int, puts: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Entries with the header of a time, and their rows of the index."""
    rows = {key: stamped(body, time) for key, body in puts.items()}
    rows.update((row_key(time, key), MARK) for key in puts)
    return rows


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
    """The methods of a :class:`coshelf.Transaction` about times."""

    _state: _State
    _namespace: Namespace
    _codec: Codec

    def set(self, key: K, value: V, expire: Expire = MISSING) -> None:
        """Store a value that expires. As :meth:`coshelf.Shelf.set`."""
        length = self._lifetime(expire)
        encoded = self._namespace.encode(key)
        self._put_for(encoded, self._codec.dump(key, encoded, value), length)

    def add(self, key: K, value: V, expire: Expire = MISSING) -> bool:
        """Store a value if the key does not exist, and return whether it did not. As :meth:`coshelf.Shelf.add`."""
        length = self._lifetime(expire)
        encoded = self._namespace.encode(key)
        if self._living_record(encoded) is not None:
            return False
        self._put_for(encoded, self._codec.dump(key, encoded, value), length)
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
        self._put_for(encoded, body_of(record), length)
        return True

    def _lifetime(self, expire: Any) -> int | None:
        return usable(expire, self._codec, self._state.capabilities, self._state.engine)

    def _living_record(self, encoded: bytes) -> bytes | None:
        """The record of an entry that exists and has not expired."""
        record = self._state.overlay().record(encoded)
        return None if record is None or is_over(encoded, record, self._state.now()) else record

    def _put_for(self, encoded: bytes, body: bytes, length: int | None) -> None:
        """Write an entry that expires after a lifetime; None: it does not."""
        overlay = self._state.overlay()
        if length is None:
            overlay.put(encoded, body)
            return
        time = deadline(length, self._state.clock())
        if time is None:
            overlay.delete(encoded)
        else:
            overlay.put_until(time, {encoded: body})

    def _update(self, items: Iterable[tuple[K, V]], length: int | None) -> None:
        for key, value in items:  # an iterator may read what this call has written
            encoded = self._namespace.encode(key)
            self._put_for(encoded, self._codec.dump(key, encoded, value), length)

    def _put_all(self, puts: dict[bytes, bytes], length: int | None) -> None:
        overlay = self._state.overlay()
        if length is None:
            overlay.put_all(puts)
            return
        time = deadline(length, self._state.clock())
        if time is None:
            for encoded in puts:
                overlay.delete(encoded)
        else:
            overlay.put_until(time, puts)

    def _put_back(self, overlay: Overlay, encoded: bytes, body: bytes, record: bytes | None) -> None:
        """Write the entry that the caller guards or has read, with the time that its record had."""
        time = None if record is None else time_of(record)
        if record is None and self._codec.lifetime is not None:
            time = deadline(self._codec.lifetime, self._state.clock())
        if time is not None:
            # The row of the index, too: it may be removed with the entry before this is committed.
            overlay.note_time(time, encoded)
            body = stamped(body, time)
        overlay.put_guarded(encoded, body)
