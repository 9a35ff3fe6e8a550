"""The files below the root. Each step down is by descriptor and follows no link, so that no path leaves the root."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from coshelf.engines.closed import closed_shelf
from coshelf.engines.files.names import TRAILER, is_long, key_in_trailer
from coshelf.engines.files.paths import OWN, Parts, is_part
from coshelf.engines.files.pickle_files import YOUNG, begins_as_pickle, could_be_pickle, is_whole
from coshelf.engines.files.twins import NO_NAME, Twins
from coshelf.errors import DamagedRecord, InvalidKey
from coshelf.system.file_systems.durable import sync
from coshelf.system.files.directories import (
    exists,
    listing,
    make_directory,
    open_directory,
    open_file,
    status_of,
)
from coshelf.system.files.positions import read_at
from coshelf.system.rights.owners import set_mode
from coshelf.system.threads.cooperation import new_reentrant_lock

__all__ = [
    "Inspect",
    "Standing",
    "Tree",
    "is_missing",
    "mode_of_directories",
]

_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EISDIR, errno.ESTALE}
_MISSING = _NO_FILE | NO_NAME
_PAUSE = 0.002
# Seconds in which an empty file may have an old time: the kernel empties a file before it sets its time.
_TRUNCATING = 0.25


def is_missing(error: OSError) -> bool:
    """Whether an error says that there is nothing at a path that could be an entry, or lead to one."""
    return error.errno in _MISSING


def mode_of_directories(mode: int) -> int:
    """The mode of directories for files with this mode: all users that may read the files may search, too."""
    return mode | (mode & 0o444) >> 2


_Read = tuple[bytes, os.stat_result]
Inspect = Callable[[int, os.stat_result], object]


class Standing(NamedTuple):
    """What is at the path of a file that is to be written: its status, or in words what is in the way."""

    status: os.stat_result | None = None
    obstacle: str | None = None


class Tree:
    """The directory, held open. ``twins``: which names its file system takes for the same."""

    def __init__(self, where: str, descriptor: int) -> None:
        self.where = where
        self.descriptor = descriptor
        self.twins = Twins()
        self._counting = new_reentrant_lock()
        self._users = 1  # the engine, until it is closed

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keeps the descriptor open, even if another thread closes the engine meanwhile."""
        with self._counting:
            if not self._users:  # the number of the descriptor may be that of another file by now
                raise closed_shelf(self.where)
            self._users += 1
        try:
            yield
        finally:
            self.close()

    def close(self) -> None:
        """End one use. The last one closes the descriptor."""
        with self._counting:
            self._users -= 1
            if self._users == 0:
                os.close(self.descriptor)

    @contextmanager
    def directory(self, parts: Parts, *, make: int | None = None) -> Iterator[int]:
        """A descriptor of a directory below the root. If a mode is given, missing directories are made."""
        if not parts:
            yield self.descriptor
            return
        current = self._step(self.descriptor, parts[0], make)
        try:
            for part in parts[1:]:
                inner = self._step(current, part, make)
                os.close(current)
                current = inner
            yield current
        finally:
            os.close(current)

    def _step(self, above: int, part: str, make: int | None) -> int:
        made = False
        if make is not None:
            with suppress(FileExistsError):
                make_directory(part, above, make)
                made = True
        descriptor = open_directory(part, above)
        try:
            if made and make is not None:  # the umask removed some bits; the directory above may set the group bit
                set_mode(descriptor, make | os.fstat(descriptor).st_mode & stat.S_ISGID)
            self._refuse_twin(above, part)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _refuse_twin(self, directory: int, name: str) -> None:
        """Raise FileNotFoundError for a name that was found, but is spelled in another way in the directory."""
        if self.twins.hide(name, directory):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)

    def look(self, parts: Parts) -> os.stat_result | None:
        """What lies at a path, or None."""
        try:
            with self.directory(parts[:-1]) as parent:
                found = status_of(parts[-1], parent)
                self._refuse_twin(parent, parts[-1])
                return found
        except OSError as error:
            if is_missing(error):
                return None
            raise

    def exists(self, path: str) -> bool:
        """Whether there could be something at a path. Nothing is read from there, so links do not matter."""
        return exists(path, self.descriptor)

    def standing(self, parts: Parts, leaving: set[Parts]) -> Standing:
        """What is at a path, as if the files in ``leaving`` were removed.

        Raises :class:`InvalidKey` for a link, a FIFO and the like, at the path or on the way to it.
        """
        current, held = self.descriptor, []
        try:
            for depth, part in enumerate(parts, 1):
                try:
                    found = status_of(part, current)
                except FileNotFoundError:
                    return Standing()
                except OSError as error:
                    if error.errno in NO_NAME:
                        return Standing(obstacle=f"has a part that cannot be a name here ({error.strerror})")
                    raise
                if self.twins.hide(part, current):
                    return Standing(obstacle="has a part that the file system takes for another name")
                if depth == len(parts) or not stat.S_ISDIR(found.st_mode):
                    return self._stands(parts, depth, found, leaving)
                current = open_directory(part, current)
                held.append(current)
            return Standing()
        finally:
            for descriptor in held:
                os.close(descriptor)

    def _stands(self, parts: Parts, depth: int, found: os.stat_result, leaving: set[Parts]) -> Standing:
        name, here = "/".join(parts), "/".join(parts[:depth])
        if stat.S_ISREG(found.st_mode):
            if depth == len(parts):
                return Standing(status=found)
            return Standing(obstacle=None if parts[:depth] in leaving else f"would lie below {here!r}, which is a file")
        if stat.S_ISDIR(found.st_mode):
            return Standing(obstacle="is a directory")
        where = "is" if depth == len(parts) else f"would lie below {here!r}, which is"
        raise InvalidKey(f"key {name!r} {where} not a regular file in {self.where}; it has not been changed")

    def read(self, parts: Parts, *, patient: bool = True, inspect: Inspect | None = None) -> _Read | None:
        """The value in a file and the file's status, or None. ``inspect`` is called with the file's descriptor, too.

        With ``patient``, a file that an old process is writing in place is read again until it is whole. If it stays
        broken, this raises :class:`DamagedRecord`.
        """
        begun = None
        while True:
            found = self._read_once(parts, inspect)
            if found is None or not patient:
                return found
            data, status = found
            if is_whole(data, status.st_mtime):
                return found
            begun = time.monotonic() if begun is None else begun
            is_young = -YOUNG < time.time() - status.st_mtime < YOUNG
            if not is_young and (data or time.monotonic() - begun > _TRUNCATING):
                raise DamagedRecord(
                    f"the file {'/'.join(parts)!r} in {self.where}, of {len(data)} bytes, holds no whole pickle\n"
                    "  hint: other entries can still be read; delete or overwrite this one"
                )
            time.sleep(_PAUSE)

    @contextmanager
    def _opened(self, parts: Parts) -> Iterator[int | None]:
        """A descriptor of the regular file at a path, or None if there is none."""
        try:
            with self.directory(parts[:-1]) as parent:
                descriptor = open_file(parts[-1], parent)
                try:
                    self._refuse_twin(parent, parts[-1])
                except BaseException:
                    os.close(descriptor)
                    raise
        except OSError as error:
            if not is_missing(error):
                raise
            yield None
            return
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _read_once(self, parts: Parts, inspect: Inspect | None) -> _Read | None:
        with self._opened(parts) as descriptor:
            while descriptor is not None:
                before = os.fstat(descriptor)
                if not stat.S_ISREG(before.st_mode):
                    return None
                data = _content(descriptor, before.st_size)
                after = os.fstat(descriptor)
                if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
                    if inspect is not None:
                        inspect(descriptor, after)
                    return _value(parts, data), after
        return None

    def first_bytes(self, parts: Parts, count: int) -> bytes | None:
        """The beginning of a file, or None if there is none."""
        with self._opened(parts) as descriptor:
            if descriptor is None or not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            return os.read(descriptor, count)

    def holds_pickle(self, parts: Parts) -> bool | None:
        """Whether a file may be the engine's: it has a pickle, whole or broken, or is empty. None if it is missing."""
        start = self.first_bytes(parts, 2)
        if start is None:
            return None
        if begins_as_pickle(start):
            return True
        found = self.read(parts, patient=False)  # pickles of protocols 0 and 1 are recognised only by their end
        return None if found is None else could_be_pickle(found[0])

    def key_behind(self, parts: Parts) -> bytes | None:
        """The key after the value in a file of a long key; None if there is none."""
        with self._opened(parts) as descriptor:
            if descriptor is None or not stat.S_ISREG((status := os.fstat(descriptor)).st_mode):
                return None
            end = read_at(descriptor, TRAILER, max(0, status.st_size - TRAILER))
            length = key_in_trailer(end, status.st_size)
            return None if length is None else read_at(descriptor, length, status.st_size - TRAILER - length)

    def files_in(self, parts: Parts) -> dict[str, os.stat_result]:
        """The regular files in a directory, by name, without those that are removed meanwhile."""
        files = {}
        try:
            with self._listing(parts) as directory, os.scandir(directory) as found:
                for entry in found:
                    with suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(status.st_mode) and is_part(entry.name):
                            files[entry.name] = status
        except OSError as error:
            if not is_missing(error):
                raise
        return files

    def listed(self, parts: Parts) -> list[tuple[str, bool]]:
        """The names of files and directories in a directory, and which are directories; empty if it was removed."""
        try:
            with self._listing(parts) as directory, os.scandir(directory) as found:
                return [
                    (entry.name, is_directory)
                    for entry in found
                    if (is_directory := entry.is_dir(follow_symlinks=False)) or entry.is_file(follow_symlinks=False)
                ]
        except OSError as error:
            if is_missing(error):
                return []
            raise

    @contextmanager
    def _listing(self, parts: Parts) -> Iterator[int]:
        """A new descriptor to list a directory."""
        with self.directory(parts) if parts else listing(self.descriptor) as directory:
            yield directory

    def sync_file(self, parts: Parts) -> None:
        """Make a file's content durable, if it is still there."""
        with self._opened(parts) as descriptor:
            if descriptor is not None:
                sync(descriptor)


def _content(descriptor: int, size: int) -> bytes:
    """The content of a file, which is ``size`` bytes if no process is writing it."""
    data = read_at(descriptor, size + 1, 0)
    if len(data) == size:
        return data
    pieces = [data]
    offset = len(data)
    while piece := read_at(descriptor, max(size, 1 << 20), offset):
        pieces.append(piece)
        offset += len(piece)
    return b"".join(pieces)


def _value(parts: Parts, data: bytes) -> bytes:
    """The value in a file's content: all of it, except a long key that follows the value."""
    if parts[0] != OWN or not is_long(parts):
        return data
    length = key_in_trailer(data[-TRAILER:], len(data))
    return data if length is None else data[: len(data) - TRAILER - length]
