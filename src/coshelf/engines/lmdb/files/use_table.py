"""The table of uses: which entries of a bounded shelf were read, in shared memory. docs/format.md, "The table of uses".

A read writes one word, at a place that the hash of its key names. No lock is taken, and entries with one place share
their uses. The table ends with the last process that has the shelf open.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from coshelf.engines.lmdb.files.sidecar_directory import uses_path
from coshelf.engines.lmdb.files.sidecar_files import make_file
from coshelf.errors import StorageError
from coshelf.system.files.flags import ASIDE
from coshelf.system.files.positions import read_at
from coshelf.system.memory.shared import shared

if TYPE_CHECKING:
    from coshelf.values.limits import Limits

__all__ = ["UseTable", "UsesOfShelf", "make_table", "open_table"]

HEADER = 4096
_MAGIC = b"coshuse\1"
_HEAD = struct.Struct("=8sI")  # magic, binary logarithm of the number of places
_SHARDS = 56
_FIRST_SHARD = 512  # bytes
_SHARD = 64  # bytes, so that processes do not write to one line of the cache
_FEWEST, _MOST = 16, 24  # binary logarithms of the number of places
_PLACES_EACH = 8  # for each entry, so that few entries share one
_BYTES_EACH = 1_024  # of an entry, where only bytes are limited
_MULTIPLIER = 0x9E3779B1
_WORD = 0xFFFFFFFF
_EACH = 2  # bytes of a place
_TICK_AT = 4  # bits: the lower ones count the reads
_MOST_COUNTED = 0xF
_TICKS = 1 << 12  # so many are told apart
_COARSE = 13  # with so many places, as a binary logarithm, each commit is a tick; with twice as many, two are


class UsesOfShelf(NamedTuple):
    """How many reads found an entry, and how many did not, since the first process opened the shelf."""

    hits: int
    misses: int


class UseTable:
    """One process's view of the table.

    Each place has the tick in which an entry was read last (12 bits), and how often it was read (4 bits). Ticks follow
    from the numbers of commits.
    """

    def __init__(self, descriptor: int) -> None:
        head = read_at(descriptor, _HEAD.size, 0)
        size = os.fstat(descriptor).st_size
        magic, bits = _HEAD.unpack(head) if len(head) == _HEAD.size else (b"", 0)
        if magic != _MAGIC or not _FEWEST <= bits <= _MOST or size != HEADER + (_EACH << bits):
            raise StorageError("the table of uses has a form that no version writes")
        self.bits: int = bits
        self.memory = shared(descriptor, size, writable=True)
        self.shard = _FIRST_SHARD + os.getpid() % _SHARDS * _SHARD
        self._coarse = bits - _COARSE
        self._places = self.memory[HEADER:].cast("H")
        self._counts = self.memory[:HEADER].cast("Q")

    def _place(self, key: bytes) -> int:
        return (zlib.crc32(key) * _MULTIPLIER & _WORD) >> 32 - self.bits

    def note(self, key: bytes, number: int) -> None:
        """Note a read of an entry. ``number``: of the last commit."""
        place = self._place(key)
        count = min((self._places[place] & _MOST_COUNTED) + 1, _MOST_COUNTED)
        self._places[place] = (number >> self._coarse) % _TICKS << _TICK_AT | count
        self._counts[self.shard // 8] += 1

    def note_miss(self) -> None:
        """Note a read that found no entry."""
        self._counts[self.shard // 8 + 1] += 1

    def count(self, key: bytes) -> int:
        count: int = self._places[self._place(key)] & _MOST_COUNTED
        return count

    def set_count(self, key: bytes, count: int) -> None:
        place = self._place(key)
        self._places[place] = self._places[place] & ~_MOST_COUNTED | count

    def last(self, key: bytes, number: int) -> int:
        found: int = self._places[self._place(key)]
        if not found & _MOST_COUNTED:
            return -1
        tick = number >> self._coarse
        last = max(tick - (tick - (found >> _TICK_AT)) % _TICKS, 0)
        end: int = (last + 1 << self._coarse) - 1
        return min(end, number)

    def figures(self) -> UsesOfShelf:
        """The counts. They are sloppy: two threads that count at once may count one."""
        places = [(_FIRST_SHARD + shard * _SHARD) // 8 for shard in range(_SHARDS)]
        return UsesOfShelf(sum(self._counts[at] for at in places), sum(self._counts[at + 1] for at in places))


def make_table(shelf: str, like: os.stat_result, limits: Limits) -> None:
    """Make the table of a shelf. The caller is alone with the shelf, or holds the base's write lock. Raises OSError."""
    entries = limits.max_entries or limits.max_bytes // _BYTES_EACH
    bits = min(max((entries * _PLACES_EACH - 1).bit_length(), _FEWEST), _MOST)
    content = _HEAD.pack(_MAGIC, bits).ljust(HEADER + (_EACH << bits), b"\0")
    os.close(make_file(uses_path(shelf), like, content))


def open_table(shelf: str, refuse_exposed: Callable[[str, int], None]) -> UseTable | None:
    """The table, if there is one that can be used. ``refuse_exposed`` raises if it is not safe."""
    path = uses_path(shelf)
    try:
        descriptor = os.open(path, os.O_RDWR | ASIDE)
    except OSError:  # gone, or this user may not write it: then reads are not noted
        return None
    try:
        refuse_exposed(path, descriptor)
        return UseTable(descriptor)
    except (OSError, StorageError):
        return None
    finally:
        os.close(descriptor)
