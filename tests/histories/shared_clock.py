"""A clock that several processes share: each of them goes by it, and each can move it."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from coshelf.system import clock

__all__ = ["SharedClock"]

_START = 1_800_000_000_000_000


class SharedClock:
    """Stands still until a process moves it. No call of another process is under way at that instant.

    A time that is stored is counted from an instant within the call. So it would not be known which one it is if the
    clock moved meanwhile.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path + ".clock", os.O_RDWR | os.O_CREAT, 0o600)
        if not os.fstat(self._file).st_size:
            os.write(self._file, struct.pack("=q", _START))
        self._memory = mmap.mmap(self._file, 8)

    def start(self) -> Self:
        """Take the place of the real clock, in this process."""
        clock.now = self.now
        return self

    def now(self) -> int:
        """Microseconds since 1970."""
        found: int = struct.unpack("=q", self._memory)[0]
        return found

    def seconds(self) -> float:
        return self.now() / 1_000_000

    @contextmanager
    def standing(self) -> Iterator[None]:
        """The clock does not move during the block."""
        with self._locked(fcntl.LOCK_SH):
            yield

    def pass_by(self, seconds: int) -> None:
        with self._locked(fcntl.LOCK_EX):
            struct.pack_into("=q", self._memory, 0, self.now() + seconds * 1_000_000)

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        fcntl.flock(self._file, kind)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
