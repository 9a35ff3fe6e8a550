"""Compression with Zstandard, with a dictionary if one was trained. docs/format.md, "Compressed records"."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from coshelf import records
from coshelf.errors import FormatTooNew, UnreadableValue
from coshelf.keys import shown
from coshelf.system import extras

__all__ = ["DEFAULT_LEVEL", "Compression", "Compressor", "Decompressor", "Zstd"]

DEFAULT_LEVEL = 3
_ZSTD = b"\x01"
_DATA = 1 + 4 + 8  # bytes of the header's data: algorithm, dictionary, size
_COST = 3 + _DATA + 3  # bytes that compressing adds: that header, and a tag and an end if there were no headers
_GREATEST_RATIO = 32_768  # a block of 128 KiB takes at least three bytes; a frame adds some
_LOOK_AGAIN = 1.0  # seconds until the codec uses a dictionary that another process has trained


@dataclass(frozen=True, slots=True)
class Zstd:
    """Zstandard with options, for ``compress=``.

    Attributes:
        level: 1 (fast) to 22 (small).

    >>> import coshelf
    >>> shelf = coshelf.open("memory:", compress=coshelf.Zstd(level=9))
    >>> shelf["a"] = "again and " * 1_000
    >>> shelf.preview("a").size < 100
    True
    """

    level: int = DEFAULT_LEVEL

    def __post_init__(self) -> None:
        if not isinstance(self.level, int):
            raise TypeError(f"the level of Zstandard must be an int, not {type(self.level).__name__}")
        if not 1 <= self.level <= 22:
            raise ValueError(f"the level of Zstandard must be 1 to 22, not {self.level}")


Lookup = Callable[[int, bool], bytes]
"""Returns the bytes of a dictionary. Its arguments are the id, and whether the dictionary must be encrypted."""


class Compressor:
    """Compresses values if that makes them smaller.

    Args:
        level: of Zstandard.
        current: returns the id of the dictionary to use now, 0 for none. It is called again after a second.
        lookup: returns a dictionary.
        encrypted: whether the dictionary must be encrypted, because the compressed values will be.
    """

    def __init__(self, level: int, current: Callable[[], int], lookup: Lookup, *, encrypted: bool) -> None:
        self._zstd = extras.zstd()
        parameter = self._zstd.CompressionParameter
        # The header says which dictionary it is, and the record has a checksum already.
        self._options = {parameter.compression_level: level, parameter.dict_id_flag: 0, parameter.checksum_flag: 0}
        self._current = current
        self._lookup = lookup
        self._encrypted = encrypted
        self._look_again = 0.0
        self._use(0)

    def _use(self, dictionary: int) -> None:
        self.dictionary = dictionary
        self._header = _ZSTD + dictionary.to_bytes(4, "little")
        found = self._zstd.ZstdDict(self._lookup(dictionary, self._encrypted)) if dictionary else None
        self._loaded = found.as_digested_dict if found is not None else None
        # One compressor for each thread: making one costs more than compressing a small value, and a lock could be held
        # at a fork.
        self._of_thread = threading.local()

    def look_again(self) -> None:
        """Use the current dictionary of the shelf."""
        self._look_again = time.monotonic() + _LOOK_AGAIN
        dictionary = self._current()
        if dictionary != self.dictionary:
            self._use(dictionary)

    def pack(self, payload: bytes) -> tuple[bytes, bytes] | None:
        """The header and the compressed payload; None if the record would not be smaller."""
        if len(payload) <= _COST:
            return None
        if time.monotonic() > self._look_again:
            self.look_again()
        header, of_thread = self._header, self._of_thread
        try:
            compressor = of_thread.compressor
        except AttributeError:
            compressor = self._zstd.ZstdCompressor(options=self._options, zstd_dict=self._loaded)
            of_thread.compressor = compressor
        packed: bytes = compressor.compress(payload, compressor.FLUSH_FRAME)
        if len(packed) + _COST >= len(payload):
            return None
        return records.header(records.COMPRESSION, header + len(payload).to_bytes(8, "little")), packed

    def packed_size(self, payload: bytes) -> int:
        """How many bytes a payload takes in a record: compressed with its header, or as it is."""
        packed = self.pack(payload)
        return len(payload) if packed is None else len(packed[0]) + len(packed[1])


class Decompressor:
    """Decompresses values, with any dictionary."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._dictionaries: dict[tuple[int, bool], Any] = {}

    def unpack(self, key: Any, data: bytes, payload: bytes, *, encrypted: bool) -> bytes:
        """The payload, decompressed. ``data`` is that of the header.

        Raises :class:`UnreadableValue`. The size in the header is checked first, and limits what is decompressed.
        """
        if data[:1] != _ZSTD:
            raise FormatTooNew(
                f"the value for key {shown(key)} is compressed with algorithm {data[:1].hex() or 'none'}, which only "
                "a later version knows"
            )
        dictionary, size = int.from_bytes(data[1:5], "little"), int.from_bytes(data[5:], "little")
        if len(data) != _DATA or size > _GREATEST_RATIO * len(payload):
            raise UnreadableValue(
                f"the value for key {shown(key)} cannot be decompressed: its header says {size} bytes, "
                f"which {len(payload)} compressed bytes cannot hold",
                key,
            )
        zstd = extras.zstd()
        try:
            decompressor = zstd.ZstdDecompressor(self._loaded(zstd, dictionary, encrypted) if dictionary else None)
            found: bytes = decompressor.decompress(payload, size + 1)
        except (zstd.ZstdError, MemoryError) as error:
            raise UnreadableValue(f"the value for key {shown(key)} cannot be decompressed: {error!r}", key) from error
        if len(found) != size or not decompressor.eof or decompressor.unused_data:
            raise UnreadableValue(
                f"the value for key {shown(key)} has another size than the {size} bytes in its header",
                key,
            )
        return found

    def _loaded(self, zstd: Any, dictionary: int, encrypted: bool) -> Any:
        found = self._dictionaries.get((dictionary, encrypted))
        if found is None:
            data = self._lookup(dictionary, encrypted)
            try:
                found = zstd.ZstdDict(data).as_digested_dict
            except ValueError as error:
                raise UnreadableValue(
                    f"dictionary {dictionary:08x} is not a dictionary of Zstandard: {error}"
                ) from error
            self._dictionaries[dictionary, encrypted] = found
        return found


class Compression:
    """The layer that compresses values if it has a compressor, and reads compressed values in any case."""

    kind = records.COMPRESSION
    is_required = False

    def __init__(self, decompressor: Decompressor, compressor: Compressor | None = None) -> None:
        self.compressor = compressor
        self.is_applied = compressor is not None
        self._unpack = decompressor.unpack

    def apply(self, key: Any, encoded_key: bytes, headers: bytes, payload: bytes) -> tuple[bytes, bytes]:
        packed = None if self.compressor is None else self.compressor.pack(payload)
        return (headers, payload) if packed is None else (headers + packed[0], packed[1])

    def remove(self, key: Any, encoded_key: bytes, headers: dict[int, bytes], payload: bytes) -> bytes:
        return self._unpack(key, headers[self.kind], payload, encrypted=records.ENCRYPTION in headers)

    def is_current(self, headers: dict[int, bytes]) -> bool:
        return True
