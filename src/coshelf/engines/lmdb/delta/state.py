"""The part of the state page about the delta: which file it is, to what it belongs, and facts that save work.

A delta belongs to one boot of the machine, one shelf, one state of it (the nonce of its last flush) and to itself
(device and inode). All of that is kept here, outside the LMDB file, so that it is known before LMDB opens anything.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

__all__ = [
    "DIRECT",
    "DIRTY",
    "GENERATION",
    "LAST_FLUSH",
    "LOG",
    "MAPPED",
    "NOT_MADE",
    "PLAIN",
    "DeltaIdentity",
    "DeltaState",
]

DIRECT = 0  # there is no delta: each commit goes straight to the base
PLAIN = 1  # a table that is written with system calls
MAPPED = 2  # a table that is written through its map; its space is reserved first
NOT_MADE = 3  # the first commit makes it
LOG = 4  # a log

# kind, generation, offset, map size, device, inode, boot id, store id; from byte 256 of the page
_IDENTITY = struct.Struct("=IIqQQQ16s16s")
_AT = 256
_KIND_AND_GENERATION = 8
_NO_GENERATION = 0xFFFFFFFF
_CURRENT_NONCE = 336  # the base's nonce, as last seen
_PENDING_NONCE = 352  # the nonce that a flush is about to give the base
_ALLOCATED = 376
LAST_FLUSH = 384
_END = 512

# Indexes of words of the page. Reading and writing one entry looks at these words, which needs no call.
_KIND = _AT // 4
GENERATION = _KIND + 1
DIRTY = 368 // 4

_NUMBER = struct.Struct("=Q")
_TIME = struct.Struct("=d")


class DeltaIdentity(NamedTuple):
    """Which file the delta is and to what it belongs.

    Attributes:
        kind: DIRECT, NOT_MADE, PLAIN, MAPPED or LOG. Its creator decides on one of the last three, for all processes.
        generation: 0 for the first delta. If a delta is replaced while in use, the next one has the next number.
        offset: of a table: the number of an LMDB transaction plus this is the number of the commit. Of a log: the
            number before that of its first commit.
        map_size: the size of its map. All processes use the same: LMDB gives the file of a writable map that length.
    """

    kind: int
    generation: int
    offset: int
    map_size: int
    device: int
    inode: int
    boot: bytes
    store_id: bytes


class DeltaState:
    """The delta's part of a mapped state page.

    Attributes:
        page: the whole page.
        words: the page by words: see :data:`DIRTY` and :data:`GENERATION`.
    """

    def __init__(self, page: memoryview | bytearray) -> None:
        self.page = page
        self.words = memoryview(page).cast("I")  # reading a word takes half the time of other ways

    def release(self) -> None:
        """Give up the view of the page."""
        self.words.release()

    def identity(self) -> DeltaIdentity:
        return DeltaIdentity(*_IDENTITY.unpack_from(self.page, _AT))

    def set_identity(self, identity: DeltaIdentity) -> None:
        """Write the identity. Only for the process that is alone with the shelf, or holds the base's write lock.

        Kind and generation come last: a process that sees a new generation sees the rest of it.
        """
        packed = _IDENTITY.pack(*identity)
        self.page[_AT + _KIND_AND_GENERATION : _AT + _IDENTITY.size] = packed[_KIND_AND_GENERATION:]
        self.page[_AT : _AT + _KIND_AND_GENERATION] = packed[:_KIND_AND_GENERATION]

    def expect(self) -> None:
        """Note that the first commit makes a delta. Only for the process that is alone with the shelf."""
        self.words[GENERATION] = _NO_GENERATION
        self.words[_KIND] = NOT_MADE

    @property
    def is_made(self) -> bool:
        """Whether a delta has been made. From then on there is always one."""
        return self.words[_KIND] in (PLAIN, MAPPED, LOG)

    @property
    def is_expected(self) -> bool:
        """Whether there is a delta, or the first commit makes one."""
        return self.words[_KIND] != DIRECT

    def is_of(self, identity: DeltaIdentity) -> bool:
        """Whether this is still the delta: another generation may have taken its place."""
        return self.words[GENERATION] == identity.generation

    # --- the nonce of the base ---------------------------------------------------------------------------------------

    def knows(self, nonce: bytes) -> bool:
        """Whether only processes that use this page have written the base."""
        page = self.page
        return nonce in (bytes(page[at : at + 16]) for at in (_CURRENT_NONCE, _PENDING_NONCE))

    def announce(self, current: bytes, pending: bytes) -> None:
        """Before a commit to the base: note the nonce that it has, and the one that it will have.

        The caller holds both write locks. The order of the two steps matters, and the new nonce never overwrites the
        one that the base has. So if a process dies here, one of the two nonces is right.
        """
        self.page[_CURRENT_NONCE : _CURRENT_NONCE + 16] = current
        self.page[_PENDING_NONCE : _PENDING_NONCE + 16] = pending

    def confirm(self, nonce: bytes) -> None:
        """Before emptying the delta: note that only a base with this nonce fits.

        The caller holds the delta's write lock. An older copy of the base that is put back would lack the commits that
        are removed from the delta.
        """
        if bytes(self.page[_PENDING_NONCE : _PENDING_NONCE + 16]) == nonce:
            self.page[_CURRENT_NONCE : _CURRENT_NONCE + 16] = nonce

    def is_confirmed(self, nonce: bytes) -> bool:
        """Whether the commit that gave the base this nonce is known to have returned."""
        return bytes(self.page[_CURRENT_NONCE : _CURRENT_NONCE + 16]) == nonce

    # --- what saves work ---------------------------------------------------------------------------------------------

    def is_clean(self) -> bool:
        """Whether the delta has nothing that is not in the base."""
        return not self.words[DIRTY]

    def mark_dirty(self) -> None:
        """Called before a commit, under the delta's write lock."""
        self.words[DIRTY] = 1

    def clean(self) -> None:
        """Called inside the transaction that empties the delta."""
        self.words[DIRTY] = 0

    @property
    def allocated(self) -> int:
        """The size in bytes up to which the delta's space is reserved."""
        return int(_NUMBER.unpack_from(self.page, _ALLOCATED)[0])

    @allocated.setter
    def allocated(self, size: int) -> None:
        _NUMBER.pack_into(self.page, _ALLOCATED, size)

    @property
    def last_flush(self) -> float:
        """When the last flush began, in seconds of the machine's monotonic clock."""
        return float(_TIME.unpack_from(self.page, LAST_FLUSH)[0])

    @last_flush.setter
    def last_flush(self, when: float) -> None:
        _TIME.pack_into(self.page, LAST_FLUSH, when)

    def clear(self) -> None:
        """Say that there is no delta."""
        self.page[_AT:_END] = bytes(_END - _AT)
