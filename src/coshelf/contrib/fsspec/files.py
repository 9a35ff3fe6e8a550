"""Open files: one that is read in place, and one that is stored when it is closed."""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any, Final

from coshelf.contrib.fsspec.tree import Step, write
from coshelf.system.memory.shared import shared

__all__ = ["ReadingFile", "WritingFile"]

_IN_MEMORY: Final = 64 << 20  # bytes: what is written beyond that waits in a temporary file
_PEEK: Final = 8 << 10


class ReadingFile(io.BufferedIOBase):
    """A file that is read. Its bytes are those of the moment when it was opened."""

    mode = "rb"

    def __init__(self, fs: Any, path: str, view: memoryview) -> None:
        self.fs = fs
        self.path = path
        self.size = view.nbytes
        self._view = view
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        self._refuse_closed()
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._refuse_closed()
        if whence not in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END):
            raise ValueError(f"whence is 0, 1 or 2, and not {whence!r}")
        at = offset + (0, self._at, self.size)[whence]
        if at < 0:
            raise ValueError(f"a position cannot be negative: {at}")
        self._at = at
        return at

    def read(self, size: int | None = -1, /) -> bytes:
        self._refuse_closed()
        part = self._view[self._at :] if size is None or size < 0 else self._view[self._at : self._at + size]
        self._at += part.nbytes
        return bytes(part)

    read1 = read

    def readinto(self, buffer: Any, /) -> int:
        self._refuse_closed()
        target = memoryview(buffer).cast("B")
        part = self._view[self._at : self._at + target.nbytes]
        target[: part.nbytes] = part
        self._at += part.nbytes
        return part.nbytes

    readinto1 = readinto

    def peek(self, size: int = 0, /) -> bytes:
        """The next bytes, without a change of the position."""
        self._refuse_closed()
        return bytes(self._view[self._at : self._at + max(size, _PEEK)])

    def _refuse_closed(self) -> None:
        if self.closed:
            raise ValueError(f"the file {self.path!r} is closed")

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.fs, self.path, self.tell())


class WritingFile(io.BufferedIOBase):
    """A file that is written. :meth:`close` stores it as a whole, or hands it to the transaction that it is part of.

    Args:
        fs: the file system.
        path: of the file.
        mode: "wb", "xb" (it must not exist) or "ab" (behind the bytes that it has when it is closed).
        size: the bytes that it has, for "ab".
        store: what stores it. None: a transaction asks for its :meth:`step`.
    """

    def __init__(self, fs: Any, path: str, mode: str, size: int, store: Callable[[Step], None] | None) -> None:
        self.fs = fs
        self.path = path
        self.mode = mode
        self._before = size if mode == "ab" else 0
        self._store = store
        self._step: Step | None = None
        self._written = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (closed by close)

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self.mode != "ab"

    def tell(self) -> int:
        return self._before + self._written.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if not self.seekable():
            raise io.UnsupportedOperation("a file that is appended to has no other position than its end")
        return self._written.seek(offset, whence)

    def write(self, data: Any, /) -> int:
        return self._written.write(data)

    def close(self) -> None:
        """Store the file. Closing again does nothing."""
        if self.closed:
            return
        try:
            step = self.step()
            if self._store is not None:
                self._store(step)
        finally:
            self._written.close()
            super().close()

    def step(self) -> Step:
        """What stores the file, with the bytes that have been written so far."""
        if self._step is None or not self.closed:
            path, data = self.path, self._bytes()
            exclusive, append = self.mode == "xb", self.mode == "ab"
            self._step = lambda rows: write(rows, path, data, time.time(), exclusive=exclusive, append=append)
        return self._step

    def commit(self) -> None:
        """Store the file now. As fsspec's own files."""
        self.fs.do(self.step())

    def discard(self) -> None:
        """Forget what was written."""
        self._store = None
        self.close()

    def _bytes(self) -> bytes | memoryview:
        size = self._written.seek(0, os.SEEK_END)
        if size > _IN_MEMORY:
            self._written.flush()
            return shared(self._written.fileno(), size, writable=False)
        self._written.seek(0)
        return self._written.read()


def _reopened(fs: Any, path: str, at: int) -> ReadingFile:
    file: ReadingFile = fs.open(path, "rb")
    file.seek(at)
    return file
