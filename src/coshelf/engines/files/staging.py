"""Where files are written before they are renamed into the root: a directory beside it.

Inside the root, pickleshare would take them for keys.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO  # the name open is gone when modules are torn down, and somebody may still write

from coshelf.errors import Unsupported

__all__ = ["LOCK", "Staging"]

LOCK = ".lock"
"""How the names of files end that stay in the directory."""

Parts = tuple[str, ...]


class Staging:
    """The directory beside the root. Its files are made and renamed with other writers kept out."""

    def __init__(self, root: str, descriptor: int, mode: int) -> None:
        self.path = os.path.join(os.path.dirname(root), f".{os.path.basename(root)}.coshelf-staging")
        self._root = descriptor
        self._mode = mode

    def make(self) -> None:
        """Make the directory, if it is not there, for those who may write the root."""
        try:
            os.mkdir(self.path)
            os.chmod(self.path, os.fstat(self._root).st_mode & 0o7777)
        except FileExistsError:
            pass

    @contextmanager
    def open(self) -> Iterator[StagedFiles]:
        """The files of one batch. What is left of them, and of a writer that was killed, is removed."""
        root = os.fstat(self._root)
        self.make()
        directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(directory).st_dev != root.st_dev:
                raise Unsupported(
                    f"{self.path} is on another file system than the root it stands beside, so that files cannot be "
                    "renamed into it\n  hint: use a directory below the mount point"
                )
            _empty(directory)
            try:
                yield StagedFiles(directory)
            finally:
                _empty(directory)
        finally:
            os.close(directory)


class StagedFiles:
    """Files that are written, each under a number, and wait for their place."""

    def __init__(self, directory: int) -> None:
        self._directory = directory
        self._names: dict[Parts, str] = {}

    def write(self, parts: Parts, data: bytes, stamp: int, mode: int, durable: bool) -> None:
        """Write a whole file, with the modification time ``stamp`` in nanoseconds."""
        name = self._names[parts] = str(len(self._names))
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode, dir_fd=self._directory)
        with FileIO(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
            os.utime(descriptor, ns=(stamp, stamp))
            if durable:
                os.fsync(descriptor)

    def place(self, parts: Parts, parent: int) -> None:
        """Rename a file into its directory, over the one that is there."""
        os.rename(self._names[parts], parts[-1], src_dir_fd=self._directory, dst_dir_fd=parent)


def _empty(directory: int) -> None:
    with os.scandir(directory) as found:
        names = [entry.name for entry in found]
    for name in names:
        if not name.endswith(LOCK):
            os.unlink(name, dir_fd=directory)
