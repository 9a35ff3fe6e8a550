"""The files below the root. Each step down is by descriptor and follows no link, so that no path leaves the root."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO

from coshelf.cooperation import new_reentrant_lock
from coshelf.engines.files.paths import is_part, key_of
from coshelf.engines.files.pickle_files import YOUNG, is_whole
from coshelf.errors import CoshelfError, DamagedRecord, InvalidKey, ShelfPermissionError, StorageError, StorageFull
from coshelf.keys import prefix_end

__all__ = ["Parts", "Tree", "is_missing", "translated"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # not waiting for whoever feeds a FIFO
_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.EISDIR, errno.ESTALE}
_PAUSE = 0.002

Parts = tuple[str, ...]


def is_missing(error: OSError) -> bool:
    """Whether an error says that there is nothing at a path that could be an entry, or lead to one."""
    return error.errno in _MISSING


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Errors of the operating system as errors of this library."""
    try:
        yield
    except OSError as error:
        if isinstance(error, CoshelfError) or error.errno is None:
            raise
        message = f"{where}: {error.strerror}"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise ShelfPermissionError(error.errno, message) from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(message) from error
        raise StorageError(error.errno, message) from error


class Tree:
    """The directory, held open: renaming it away takes nothing from who uses it."""

    def __init__(self, where: str, descriptor: int) -> None:
        self.where = where
        self.descriptor = descriptor
        self._counting = new_reentrant_lock()
        self._users = 1  # the engine, until it is closed

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keeps the descriptor open, whoever closes the engine meanwhile."""
        with self._counting:
            self._users += 1
        try:
            yield
        finally:
            self.close()

    def close(self) -> None:
        """One user less; the last one closes the descriptor."""
        with self._counting:
            self._users -= 1
            if self._users == 0:
                os.close(self.descriptor)

    @contextmanager
    def directory(self, parts: Parts, *, make: bool = False) -> Iterator[int]:
        """A descriptor of the directory below the root."""
        current = os.dup(self.descriptor)
        try:
            for part in parts:
                if make:
                    try:
                        os.mkdir(part, dir_fd=current)
                    except FileExistsError:
                        pass
                inner = os.open(part, _DIRECTORY, dir_fd=current)
                os.close(current)
                current = inner
            yield current
        finally:
            os.close(current)

    def look(self, parts: Parts) -> os.stat_result | None:
        """What lies at a path, or None."""
        try:
            with self.directory(parts[:-1]) as parent:
                return os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)
        except OSError as error:
            if is_missing(error):
                return None
            raise

    def refuse_clash(self, parts: Parts, leaving: set[Parts]) -> None:
        """Raise :class:`InvalidKey` if the path is a directory's, or leads through what is no directory."""
        for length in range(1, len(parts) + 1):
            found = self.look(parts[:length])
            if found is None or parts[:length] in leaving:
                return
            if (length == len(parts)) == stat.S_ISDIR(found.st_mode):
                name, other = "/".join(parts), "/".join(parts[:length])
                reason = "is a directory" if length == len(parts) else f"would lie below {other!r}, which is none"
                raise InvalidKey(f"key {name!r} {reason} in {self.where}")
            if length == len(parts) and not stat.S_ISREG(found.st_mode):
                raise InvalidKey(f"key {'/'.join(parts)!r} is no regular file in {self.where}")

    def read(self, parts: Parts, *, patient: bool = True) -> tuple[bytes, os.stat_result] | None:
        """The content of a file and its status, or None.

        With ``patient``, a file that an old process is writing in place is read again until it is whole;
        raises :class:`DamagedRecord` for one that stays broken.
        """
        while True:
            found = self._read_once(parts)
            if found is None or not patient:
                return found
            data, status = found
            if is_whole(data, status.st_mtime):
                return found
            if not -YOUNG < time.time() - status.st_mtime < YOUNG:
                raise DamagedRecord(
                    f"the file {'/'.join(parts)!r} in {self.where}, of {len(data)} bytes, holds no whole pickle\n"
                    "  hint: other entries can still be read; delete or overwrite this one",
                    key_of(parts),
                )
            time.sleep(_PAUSE)

    @contextmanager
    def _opened(self, parts: Parts) -> Iterator[int | None]:
        """A descriptor of the regular file at a path, or None if there is none."""
        try:
            with self.directory(parts[:-1]) as parent:
                descriptor = os.open(parts[-1], _FILE, dir_fd=parent)
        except OSError as error:
            if not is_missing(error):
                raise
            yield None
            return
        try:
            yield descriptor if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
        finally:
            os.close(descriptor)

    def _read_once(self, parts: Parts) -> tuple[bytes, os.stat_result] | None:
        with self._opened(parts) as descriptor:
            while descriptor is not None:
                before = os.fstat(descriptor)
                os.lseek(descriptor, 0, os.SEEK_SET)
                with FileIO(descriptor, "rb", closefd=False) as file:
                    data = file.readall()
                after = os.fstat(descriptor)
                if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
                    return data, after
        return None

    def first_bytes(self, parts: Parts, count: int) -> bytes | None:
        """The beginning of a file, or None if there is none."""
        with self._opened(parts) as descriptor:
            return None if descriptor is None else os.read(descriptor, count)

    def files_in(self, parts: Parts) -> dict[str, os.stat_result]:
        """The regular files in a directory, by name; without those that go meanwhile."""
        files = {}
        try:
            with self.directory(parts) as directory, os.scandir(directory) as found:
                for entry in found:
                    with suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(status.st_mode) and is_part(entry.name):
                            files[entry.name] = status
        except OSError as error:
            if not is_missing(error):
                raise
        return files

    def sync_file(self, parts: Parts) -> None:
        """Make a file's content durable, if it is still there."""
        with self._opened(parts) as descriptor:
            if descriptor is not None:
                os.fsync(descriptor)

    def walk(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, Parts]]:
        """Encoded keys in ``[start, stop)`` and their paths, in the order of the directory."""
        yield from self._walk((), lambda first, end: first < stop and end > start, start, stop)

    def _walk(
        self, above: Parts, meets: Callable[[bytes, bytes], bool], start: bytes, stop: bytes
    ) -> Iterator[tuple[bytes, Parts]]:
        try:
            with self.directory(above) as directory, os.scandir(directory) as found:
                entries = [
                    (entry.name, entry.is_dir(follow_symlinks=False))
                    for entry in found
                    if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
                ]
        except OSError as error:
            if above and is_missing(error):
                return  # gone meanwhile
            raise
        for name, is_directory in entries:
            if not is_part(name):
                continue
            parts = (*above, name)
            key = key_of(parts)
            if is_directory:
                if meets(key + b"/", prefix_end(key + b"/")):
                    yield from self._walk(parts, meets, start, stop)
            elif start <= key < stop:
                yield key, parts
