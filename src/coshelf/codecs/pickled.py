"""The pickle codec: anything that pickle takes, in any of its protocols."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from coshelf import records
from coshelf.codecs.described import undecoded
from coshelf.errors import CoshelfError, DamagedRecord, FormatTooNew, UnreadableValue, UntrustedValue, UnwritableValue
from coshelf.keys import shown

__all__ = ["OLD", "PickleCodec", "damaged", "unreadable"]

OLD = bytes([records.OLD_PICKLE])


class PickleCodec:
    """Values as pickles. ``protocol`` is for writing; every protocol is read.

    Attributes:
        loads: ``pickle.loads``, or what takes its place where pickles are not to be trusted. The message of its
            :class:`UntrustedValue` is followed by ``ways_on``.
        trusts: whether a front door that uses it trusts whatever it opens, as its original does.
        writes: whether values are written with it at all.
    """

    trusts = True
    writes = True

    def __init__(self, protocol: int | None = None, ways_on: str = "") -> None:
        if protocol is not None and not isinstance(protocol, int):
            raise TypeError(f"a pickle protocol is an int, not {type(protocol).__name__}")
        if protocol is not None and not -1 <= protocol <= pickle.HIGHEST_PROTOCOL:
            raise ValueError(f"pickle protocol {protocol} is not between 0 and {pickle.HIGHEST_PROTOCOL}")
        self.protocol = pickle.DEFAULT_PROTOCOL if protocol is None else protocol
        self.loads: Callable[[Any], Any] = pickle.loads
        self._ways_on = ways_on

    def dump(self, key: Any, encoded_key: bytes, value: Any) -> bytes:
        """The body for a value. Raises :class:`UnwritableValue`, whatever went wrong in the value's own methods."""
        body = self.pickled(key, value)
        return body if body[0] == records.PICKLE else OLD + body

    def pickled(self, key: Any, value: Any) -> bytes:
        """The pickle of a value. Raises as :meth:`dump`."""
        try:
            return pickle.dumps(value, self.protocol)
        except Exception as error:
            raise UnwritableValue(
                f"the value for key {shown(key)}, of type {type(value).__name__}, cannot be pickled: {_reason(error)}",
                (key,),
            ) from error

    def load_pages(
        self, decode: Callable[[bytes], Any], pages: Iterable[list[tuple[bytes, bytes]]]
    ) -> Iterator[tuple[Any, Any]]:
        """Keys and values of pages of records: what :meth:`load` does, without a call for each."""
        loads, verified = self.loads, records.VERIFIED_ON_READ
        for page in pages:
            for encoded, record in page:
                key = decode(encoded)
                if len(record) <= verified and records.is_intact(encoded, record) and record[0] == records.PICKLE:
                    try:
                        value = loads(record)
                    except Exception:
                        value = self.load(key, encoded, record)  # says what is wrong
                    yield key, value
                else:
                    yield key, self.load(key, encoded, record)

    def load(self, key: Any, encoded_key: bytes, record: bytes) -> Any:
        """The value of a record.

        Raises :class:`DamagedRecord` if the record is not what was written, :class:`UnreadableValue` if it is, but
        cannot be unpickled here, and :class:`FormatTooNew` for what a later version wrote.
        """
        small = len(record) <= records.VERIFIED_ON_READ
        if small and not records.is_intact(encoded_key, record):
            raise damaged(key, record)
        try:
            if record[0] == records.PICKLE:
                return self.loads(record)
            tag = record[0]
            if tag == records.OLD_PICKLE:
                return self.loads(memoryview(record)[1:])
        except UntrustedValue as error:
            raise UntrustedValue(f"the value for key {shown(key)}: {error}{self._ways_on}", error.name, key) from None
        except CoshelfError:
            raise
        except Exception as error:
            if not small and not records.is_intact(encoded_key, record):
                raise damaged(key, record) from error
            raise unreadable(key, error) from error
        if not small and not records.is_intact(encoded_key, record):
            raise damaged(key, record)
        if tag == records.HEADERED:
            return self.load_headered(key, encoded_key, record)
        raise FormatTooNew(f"the record for key {shown(key)} has tag {tag:#04x}, which only a later version knows")

    def load_headered(self, key: Any, encoded_key: bytes, record: bytes) -> Any:
        """The value of a record with headers. This codec reads none: the error says what it is and who does."""
        raise undecoded(key, record)

    def unpickled(self, key: Any, pickle: bytes) -> Any:
        """The value of a pickle that was found in a record. Raises as :meth:`load`."""
        try:
            return self.loads(pickle)
        except UntrustedValue as error:
            raise UntrustedValue(f"the value for key {shown(key)}: {error}{self._ways_on}", error.name, key) from None
        except CoshelfError:
            raise
        except Exception as error:
            raise unreadable(key, error) from error

    def fingerprint(self, key: Any, encoded_key: bytes, value: Any) -> bytes:
        """Bytes that stay the same for as long as a value is not changed, which what is stored need not."""
        return self.dump(key, encoded_key, value)


def unreadable(key: Any, error: Exception) -> UnreadableValue:
    return UnreadableValue(
        f"the value for key {shown(key)} is intact but cannot be unpickled here: {_reason(error)}\n"
        "  hint: the class or module may have been renamed or removed since it was stored",
        key,
    )


def damaged(key: Any, record: bytes) -> DamagedRecord:
    """The error for a record that is not what was written."""
    return DamagedRecord(
        f"the record for key {shown(key)} is damaged: its {len(record)} bytes do not match their checksum\n"
        "  hint: other entries can still be read; delete or overwrite this one",
        key,
    )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
