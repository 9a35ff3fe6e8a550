"""A disk that keeps a log of each write and flush: one file that FUSE serves, to be put below a loop device.

The program serves the file ``disk`` in a directory, until its standard input ends. :func:`served` is the other side.
What LMDB, the kernel's write-back or a file system's journal write, by whatever way, ends up as a write of this file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from events import Event, File, Synced, Wrote
from mounts import enter_namespace

NAME = "disk"
_ENTRY = struct.Struct("=dqq")  # when it came, offset, length; an offset of -1 is a flush


def serve(image: str, log: str, directory: str) -> None:
    import mfusepy

    class Disk(mfusepy.Operations):  # type: ignore[misc]
        """Its calls come one after another, so the log has them in the order in which they happened."""

        use_ns = True

        def __init__(self) -> None:
            self._image = os.open(image, os.O_RDWR)
            self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._size = os.fstat(self._image).st_size

        def init(self, path: str) -> None:
            # Leave the namespace in which the file will be mounted: were this the last process there, its end would
            # unmount that before it closes FUSE, and wait for ever for answers that only this process can give.
            enter_namespace()
            threading.Thread(target=end_with_input, daemon=True).start()
            print("ready", flush=True)

        def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
            if path == "/":
                return {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2}
            if path == f"/{NAME}":
                return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": self._size}
            raise OSError(errno.ENOENT, path)

        def open(self, path: str, flags: int) -> int:
            return 0

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            return os.pread(self._image, size, offset)

        def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
            os.writev(self._log, [_ENTRY.pack(time.time(), offset, len(data)), data])
            return os.pwrite(self._image, data, offset)

        def fsync(self, path: str, datasync: int, fh: int) -> int:
            os.write(self._log, _ENTRY.pack(time.time(), -1, 0))
            return 0

    def end_with_input() -> None:
        sys.stdin.read()
        os._exit(0)  # the kernel takes the mount away with the connection, and fails what is still asked of it

    mfusepy.FUSE(Disk(), directory, foreground=True, nothreads=True)


@contextlib.contextmanager
def served(image: str, log: str, directory: str) -> Iterator[str]:
    """The path of a file with this image's contents, whose writes and flushes are logged. Unmount it after use."""
    server = subprocess.Popen(
        [sys.executable, os.path.abspath(__file__), image, log, directory],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True,  # Ctrl-C goes to the process that uses the file, and unmounts it
    )  # fmt: skip
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n", "FUSE does not serve here"
        yield os.path.join(directory, NAME)
    finally:
        server.communicate()  # it ends when its input ends


def read_log(path: str, device: File) -> list[Event]:
    """The log as events of one file."""
    events: list[Event] = []
    with open(path, "rb") as file:
        while entry := file.read(_ENTRY.size):
            seconds, offset, length = _ENTRY.unpack(entry)
            place: dict[str, Any] = {"seconds": seconds, "covers": len(events)}
            if offset < 0:
                events.append(Synced(node=device, **place))
            else:
                events.append(Wrote(file=device, offset=offset, data=file.read(length), **place))
    return events


if __name__ == "__main__":
    serve(*sys.argv[1:])
