"""Bells for processes that share no memory: numbers in a file, which those who wait read again and again."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from coshelf.contract import Doorbell
from coshelf.system.files.links import open_itself
from coshelf.system.files.os_errors import translated
from coshelf.system.files.positions import read_at, write_at
from coshelf.system.waiting.backoff import Backoff

__all__ = ["BellFile"]

_BELLS = 256
_NUMBER = 8  # bytes
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.01
_WHAT = "the file of bells"


class BellFile:
    """The bells of a shelf. No descriptor is kept, so a handle may be closed while a thread waits.

    Args:
        path: of the file. It is made by the first process that waits at a bell.
        is_closed: whether the handle of the shelf has been closed. Then nobody waits any longer.
    """

    def __init__(self, path: str, is_closed: Callable[[], bool]) -> None:
        self._path = path
        self.is_closed = is_closed

    def bell(self, name: bytes) -> Doorbell:
        """The bell of a name. Several names may have one."""
        with self._opened():
            return _FileBell(self, _place(name))

    def ring(self, name: bytes) -> None:
        """Ring the bell of a name. Without a file nobody has waited yet."""
        if os.path.lexists(self._path):
            with self._opened() as descriptor:
                write_at(descriptor, os.urandom(_NUMBER), _place(name))  # no two rings give one number

    def number(self, place: int) -> int:
        """What the file has at a place."""
        with self._opened() as descriptor:
            return int.from_bytes(read_at(descriptor, _NUMBER, place), "little")

    @contextmanager
    def _opened(self) -> Iterator[int]:
        with translated("use", _WHAT, self._path):
            descriptor = open_itself(self._path, os.O_RDWR | os.O_CREAT)
            try:
                yield descriptor
            finally:
                os.close(descriptor)


def _place(name: bytes) -> int:
    return zlib.crc32(name) % _BELLS * _NUMBER


class _FileBell(Doorbell):
    """One bell."""

    def __init__(self, bells: BellFile, place: int) -> None:
        self._bells = bells
        self._place = place

    def sequence(self) -> int:
        return self._bells.number(self._place)

    def wait(self, sequence: int, timeout: float | None) -> None:
        end = None if timeout is None else time.monotonic() + timeout
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, 1.5)
        while not self._bells.is_closed() and self.sequence() == sequence:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return
            backoff.sleep(left)
