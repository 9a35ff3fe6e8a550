"""A log that was left beside a shelf, as the user has it who unpacks a folder of somebody else's, and changes of it."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from random import Random
from typing import NamedTuple

import coshelf
from coshelf.engines.lmdb.delta.flusher import Flusher
from coshelf.engines.lmdb.delta.log_file import INDEXES_END
from coshelf.engines.lmdb.delta.state import LOG, DeltaState
from coshelf.engines.lmdb.files.sidecar_directory import delta_path, sidecar_directory, state_path

__all__ = ["FIELDS", "SEGMENT", "LeftLog", "change_log", "lay_out", "leave_log", "read_back"]

SEGMENT = 256  # where the states of the segments begin in the header
_USED = 192 << 10  # bytes of each segment in which something may lie
FIELDS = {
    "magic": (0, 8), "mutex size": (8, 4), "library": (12, 4), "segment size": (16, 8), "seed": (24, 8),
    "mutex": (64, 40), "number": (128, 8), "direct": (136, 8), "active": (192, 4),
    "epoch": (SEGMENT, 8), "head": (SEGMENT + 8, 8), "last": (SEGMENT + 16, 8), "allocated": (SEGMENT + 24, 8),
    "used": (SEGMENT + 32, 8), "other head": (SEGMENT + 72, 8), "other epoch": (SEGMENT + 64, 8),
}  # fmt: skip
"""Places and sizes of the fields of the header."""


class LeftLog(NamedTuple):
    """The base, the state page, and the log: its header with the indexes, and the beginnings of the segments."""

    base: bytes
    state: bytes
    head: bytes
    segments: tuple[bytes, bytes]
    size: int


def leave_log(path: str) -> LeftLog:
    """Make a shelf in a process that is killed while commits wait in its log. Only with the module in C."""
    child = os.fork()
    if child == 0:
        try:
            _leave(path)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    return read_back(path)


def read_back(path: str) -> LeftLog:
    """What lies in and beside a shelf whose last process was killed."""
    state = Path(state_path(path)).read_bytes()
    assert DeltaState(bytearray(state)).identity().kind == LOG
    with open(delta_path(path, 0), "rb") as log:
        size = os.fstat(log.fileno()).st_size
        start, other = INDEXES_END, INDEXES_END + (size - INDEXES_END) // 2
        segments = os.pread(log.fileno(), _USED, start), os.pread(log.fileno(), _USED, other)
        return LeftLog(Path(path).read_bytes(), state, os.pread(log.fileno(), INDEXES_END, 0), segments, size)


def _leave(path: str) -> None:
    Flusher.notice = lambda self: None  # type: ignore[method-assign]  # nothing is flushed but by sync()
    Flusher.start = lambda self: None  # type: ignore[method-assign]
    shelf = coshelf.open(path, flush_interval=1_000)
    shelf.update({f"user/{number}": "x" * number for number in range(100)})
    shelf.sync()
    shelf.update({("new", number): "n" * number for number in range(150)})
    shelf.update({"k" * 700: 1, "large": bytes(20_000)})
    for number in range(0, 150, 3):
        del shelf["new", number]
    os._exit(0)


def lay_out(left: LeftLog, path: str) -> None:
    """Write it all, as files of this user."""
    Path(path).write_bytes(left.base)
    state = bytearray(left.state)
    struct.pack_into("=QQ", state, 8, os.stat(path).st_dev, os.stat(path).st_ino)
    os.mkdir(sidecar_directory(path), 0o700)
    with open(delta_path(path, 0), "wb") as log:
        log.truncate(left.size)
        os.posix_fallocate(log.fileno(), 0, INDEXES_END)
        for index, segment in enumerate(left.segments):
            start = INDEXES_END + index * ((left.size - INDEXES_END) // 2)
            os.posix_fallocate(log.fileno(), start, 256 << 10)
            os.pwrite(log.fileno(), segment, start)
        os.pwrite(log.fileno(), left.head, 0)
    made = os.stat(delta_path(path, 0))
    known = DeltaState(state)
    known.set_identity(known.identity()._replace(device=made.st_dev, inode=made.st_ino))
    Path(state_path(path)).write_bytes(state)
    for name in (path, state_path(path), delta_path(path, 0)):
        os.chmod(name, 0o600)


def change_log(path: str, chance: Random) -> None:
    """Change some bytes of a log: fields of its header, of its records, of its index, or any."""
    with open(delta_path(path, 0), "r+b") as log:
        descriptor = log.fileno()
        half = (os.fstat(descriptor).st_size - INDEXES_END) // 2
        for _ in range(chance.choice((1, 1, 2, 10))):
            kind = chance.choice(("field", "record", "slot", "byte"))
            number = chance.choice((0, 1, 7, 8, 64, 4096, half, half - 8, 1 << 31, 1 << 62, (1 << 64) - 1))
            if kind == "field":
                at, size = FIELDS[chance.choice(list(FIELDS))]
                content = (number.to_bytes(8, "little") * 5)[:size]
            elif kind == "record":
                at = INDEXES_END + chance.choice((0, half)) + 64 + 4 * chance.randrange(2_000)
                content = (number & 0xFFFFFFFF).to_bytes(4, "little")
            elif kind == "slot":
                at = 4096 + 8 * chance.randrange(1 << 17)
                content = (chance.getrandbits(32) << 32 | (number & 0xFFFFFFFF)).to_bytes(8, "little")
            else:
                at = chance.choice((0, INDEXES_END, INDEXES_END + half)) + chance.randrange(4096)
                content = chance.randbytes(1)
            os.pwrite(descriptor, content, at)
