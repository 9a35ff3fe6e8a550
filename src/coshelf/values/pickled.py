"""The pickle codec: anything that pickle takes, in any of its protocols."""

from __future__ import annotations

import pickle
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import Any
from zlib import crc32

from coshelf import records
from coshelf.errors import CoshelfError, DamagedRecord, FormatTooNew, UnreadableValue, UntrustedValue, UnwritableValue
from coshelf.keys import shown
from coshelf.screen import plain
from coshelf.values import buffers
from coshelf.values.blobs import LARGE, Blobs, Body, MissingBlob, unpack
from coshelf.values.headers import undecoded

__all__ = ["OLD", "PROTOCOL", "PickleCodec", "damaged", "unreadable"]

OLD = bytes([records.OLD_PICKLE])
PROTOCOL = 5
"""Of pickles that a shelf writes unless it is asked for another: the first that can pass large buffers on."""

# From this protocol on a pickle names classes and functions by this instruction alone.
_NAMES_BY_ONE_INSTRUCTION, _STACK_GLOBAL = 4, b"\x93"
_VERIFIED, _TRAILER, _RESIDUE = records.VERIFIED_ON_READ, records.TRAILER, records.RESIDUE
_SHOWN = 500  # characters of an error that is not ours
_MISSING = re.compile("'(?P<name>[^']+)' on <module '(?P<module>[^']+)'|module '([^']+)' has no attribute '([^']+)'")


class PickleCodec:
    """Values as pickles. ``protocol`` is for writing; every protocol is read.

    Attributes:
        loads: ``pickle.loads``, or what takes its place where pickles are not to be trusted. The message of its
            :class:`UntrustedValue` is followed by ``ways_on``.
        trusts: whether a front door that uses it trusts whatever it opens, as its original does.
        takes_blobs: whether it can be given them.
        blobs: where large buffers go, and come from; None where they stay in the pickle.
        refuses_objects: whether a value is refused that ``loads`` would not give back.
        writes: whether values are written with it at all.
    """

    trusts = True
    writes = True
    takes_blobs = True
    refuses_objects = False
    blobs: Blobs | None = None

    def __init__(self, protocol: int | None = None, ways_on: str = "") -> None:
        if protocol is not None and not isinstance(protocol, int):
            raise TypeError(f"a pickle protocol is an int, not {type(protocol).__name__}")
        if protocol is not None and not -1 <= protocol <= pickle.HIGHEST_PROTOCOL:
            raise ValueError(f"pickle protocol {protocol} is not between 0 and {pickle.HIGHEST_PROTOCOL}")
        self.protocol = pickle.DEFAULT_PROTOCOL if protocol is None else protocol
        self.loads: Callable[..., Any] = pickle.loads
        self._ways_on = ways_on

    def dump(self, key: Any, encoded_key: bytes, value: Any) -> bytes:
        """The body for a value. Raises :class:`UnwritableValue`, whatever went wrong in the value's own methods."""
        if self.blobs is None or self.protocol < buffers.FIRST_PROTOCOL:
            body = self.pickled(key, value)
            return body if body[0] == records.PICKLE else OLD + body
        try:  # what buffers.separate() does first, and all that most values need
            attempt = (
                None if type(value) is bytearray else pickle.dumps(value, self.protocol, buffer_callback=buffers.copied)
            )
        except (buffers.NotPlain, TypeError) as error:
            body, large = self._separated(key, value, error)
        except Exception as error:
            raise _unwritable(key, value, error) from error
        else:
            if attempt is not None and len(attempt) < LARGE and not self.refuses_objects:
                return attempt
            body, large = self._separated(key, value, attempt)
        if not large:
            return body
        blob = self.blobs.write(encoded_key, large)
        return Body.of(records.write_headers([(records.BLOB, blob.reference.pack())]) + body, blob)

    def pickled(self, key: Any, value: Any) -> bytes:
        """The pickle of a value, whole. Raises as :meth:`dump`."""
        try:
            body = buffers.dumps(value, self.protocol)
        except Exception as error:
            raise _unwritable(key, value, error) from error
        if self.refuses_objects:
            self._refuse_object(key, body)
        return body

    def _separated(
        self, key: Any, value: Any, attempt: bytes | Exception | None = None
    ) -> tuple[bytes, list[memoryview]]:
        """The pickle of a value, and its large buffers, given what a first attempt gave. Raises as :meth:`dump`."""
        try:
            body, large = buffers.separate(value, self.protocol, attempt)
        except Exception as error:
            raise _unwritable(key, value, error) from error
        if self.refuses_objects:
            self._refuse_object(key, body, large)
        return body, large

    def _refuse_object(self, key: Any, body: bytes, large: Iterable[Any] = ()) -> None:
        """Raise :class:`UnwritableValue` for a pickle that could not be loaded here again, since it is not trusted."""
        if self.protocol >= _NAMES_BY_ONE_INSTRUCTION and _STACK_GLOBAL not in body:
            return
        try:
            self.loads(body, buffers=large)
        except UntrustedValue as error:
            raise UnwritableValue(
                f"the value for key {shown(key)} is not stored, since it would not be read again: "
                f"{_told(error)}{self._ways_on}",
                (key,),
            ) from None

    def fingerprint(self, key: Any, encoded_key: bytes, value: Any, body: bytes | None = None) -> bytes:
        """What differs when a value has changed; ``body`` is its dump, if that was made. Raises as :meth:`dump`."""
        if type(body) is bytes:
            return body
        if self.blobs is None or self.protocol < buffers.FIRST_PROTOCOL:
            return self.dump(key, encoded_key, value)
        body, large = self._separated(key, value)
        return b"".join((body, *(blake2b(buffer).digest() for buffer in large)))

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

    def load(self, key: Any, encoded_key: bytes, record: bytes, copy: bool = False) -> Any:
        """The value of a record. Its large buffers are views of what all processes share; with ``copy`` its own.

        Raises :class:`DamagedRecord` if the record is not what was written, :class:`UnreadableValue` if it is, but
        cannot be unpickled here, and :class:`FormatTooNew` for what a later version wrote.
        """
        size = len(record)
        small = size <= _VERIFIED
        # records.is_intact(), without a call
        if small and (size <= _TRAILER or crc32(record, crc32(encoded_key)) != _RESIDUE):
            raise damaged(key, record)
        try:
            if record[0] == records.PICKLE:
                return self.loads(record)
            tag = record[0]
            if tag == records.OLD_PICKLE:
                return self.loads(memoryview(record)[1:])
        except UntrustedValue as error:
            raise UntrustedValue(
                f"the value for key {shown(key)}: {_told(error)}{self._ways_on}", error.name, key
            ) from None
        except CoshelfError:
            raise
        except Exception as error:
            if not small and not records.is_intact(encoded_key, record):
                raise damaged(key, record) from error
            raise unreadable(key, error) from error
        if tag == records.HEADERED:
            try:
                return self.load_headered(key, encoded_key, record, copy)
            except (UnreadableValue, UntrustedValue, FormatTooNew) as error:
                if not small and not records.is_intact(encoded_key, record):
                    raise damaged(key, record) from error
                raise
        if not small and not records.is_intact(encoded_key, record):
            raise damaged(key, record)
        raise FormatTooNew(f"the record for key {shown(key)} has tag {tag:#04x}, which only a later version knows")

    def load_headered(self, key: Any, encoded_key: bytes, record: bytes, copy: bool = False) -> Any:
        """The value of a record with headers. Of these, this codec reads those with a blob alone."""
        if record[1] != records.BLOB:
            raise undecoded(key, record)
        payload, views = self._beside(key, record)
        return self.unpickled(key, payload, map(bytearray, views) if copy else views)

    def opened(self, key: Any, encoded_key: bytes, record: bytes) -> tuple[int | None, bytes]:
        """The number of a record's codec, None for pickle, and its payload without compression and encryption.

        Large buffers that lie beside a pickle are not in it.
        """
        if record[0] in (records.PICKLE, records.OLD_PICKLE):
            return None, record[record[0] == records.OLD_PICKLE : -records.TRAILER]
        found = records.read_headers(record) if record[0] == records.HEADERED else None
        if found is None or found[0].keys() != {records.BLOB}:
            raise undecoded(key, record)
        return None, record[found[1] : -records.TRAILER]

    def unpickled(self, key: Any, pickle: bytes | memoryview, buffers: Iterable[Any] | None = None) -> Any:
        """The value of a pickle that was found in a record, and of its buffers. Raises as :meth:`load`."""
        try:
            return self.loads(pickle) if buffers is None else self.loads(pickle, buffers=buffers)
        except UntrustedValue as error:
            raise UntrustedValue(
                f"the value for key {shown(key)}: {_told(error)}{self._ways_on}", error.name, key
            ) from None
        except CoshelfError:
            raise
        except Exception as error:
            raise unreadable(key, error) from error

    def _untrusted(self, key: Any, error: UntrustedValue) -> UntrustedValue:
        return UntrustedValue(f"the value for key {shown(key)}: {_told(error)}{self._ways_on}", error.name, key)

    def _beside(self, key: Any, record: bytes) -> tuple[memoryview, list[memoryview]]:
        """The pickle in a record that names a blob, and the buffers of that."""
        found = records.read_headers(record)
        reference = None if found is None else unpack(found[0][records.BLOB])
        if found is None or reference is None:
            raise UnreadableValue(f"the value for key {shown(key)} has a header that names no blob", key)
        headers, start = found
        unknown = records.needs_later_version(headers, (records.BLOB,))
        if unknown is not None or self.blobs is None:
            raise FormatTooNew(
                f"the record for key {shown(key)} has the header {unknown or records.BLOB:#04x}, unknown here"
            )
        try:
            return memoryview(record)[start : -records.TRAILER], self.blobs.views(reference)
        except MissingBlob as error:
            raise MissingBlob(
                f"the large buffers of the value for key {shown(key)} are missing: {error}\n"
                "  hint: they lie in the folder beside the shelf, which is to be copied and moved with it",
                key,
            ) from None


def _unwritable(key: Any, value: Any, error: Exception) -> UnwritableValue:
    return UnwritableValue(
        f"the value for key {shown(key)}, of type {type(value).__name__}, cannot be pickled: {_reason(error)}", (key,)
    )


def unreadable(key: Any, error: Exception) -> UnreadableValue:
    return UnreadableValue(
        f"the value for key {shown(key)} is intact but cannot be unpickled here: {_reason(error)}\n"
        f"  hint: {_way_on(error)}",
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
    return f"{type(error).__name__}: {_told(error)}"


def _told(error: Exception) -> str:
    """What an error says, which can be text of whoever wrote the pickle."""
    text = plain(str(error))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _missing_in_script(error: Exception) -> str | None:
    """The name that is looked for in this program's script, since another script defined it; None if it is not so."""
    if isinstance(error, ModuleNotFoundError):
        # What a process of multiprocessing calls the script that started it.
        return "CLASS" if error.name == "__mp_main__" else None
    found = _MISSING.search(_told(error)) if isinstance(error, AttributeError) else None
    if found is None:
        return None
    specification = getattr(sys.modules.get("__main__"), "__spec__", None)  # of python -m
    is_of_script = (found["module"] or found[3]) in ("__main__", getattr(specification, "name", None))
    return (found["name"] or found[4]) if is_of_script else None


def _way_on(error: Exception) -> str:
    name = _missing_in_script(error)
    if name is None:
        return "the class or module may have been renamed or removed since it was stored"
    return (
        f"the class was defined in a script or notebook, and other programs do not find it there. Move it to a module, "
        "import it from there, and store the value again\n"
        f"  to read what is stored: import __main__, MODULE; __main__.{name} = MODULE.{name}"
    )
