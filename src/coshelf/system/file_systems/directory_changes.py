"""Reports of the kernel about changes in directories: inotify (Linux).

The standard library has no call for it, so the C library is called through ctypes, which is imported at the first use.
Elsewhere the caller looks at the files again and again. kqueue (macOS, BSD) does not take the place of inotify: it
tells that names in a directory have changed, but not that a program has written into a file.
"""

from __future__ import annotations

import errno
import functools
import os
import struct
import sys
from collections.abc import Iterator
from typing import Any

from coshelf.system.files.descriptors import exact_name
from coshelf.system.files.flags import CLOSE_ON_EXEC, DIRECTORY

__all__ = [
    "CLOSE_WRITE",
    "CREATE",
    "DELETE",
    "IGNORED",
    "IS_DIRECTORY",
    "MOVED_FROM",
    "MOVED_TO",
    "NO_REPORTS",
    "OVERFLOW",
    "Notifier",
    "are_reported",
]

CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x8, 0x40, 0x80, 0x100, 0x200
OVERFLOW, IGNORED, IS_DIRECTORY = 0x4000, 0x8000, 0x4000_0000
_ONLY_DIRECTORIES = 0x0100_0000
_MASK = CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | _ONLY_DIRECTORIES
_EVENT = struct.Struct("iIII")
_SOME_EVENTS = 4096
_MANY_EVENTS = 65536
_MOST_WATCHES = 64

NO_REPORTS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.ENOMEM, errno.ENOSYS, errno.EPERM))
"""The kernel has no reports, a sandbox refuses them, or this user has used up its descriptors or watches."""

_NEVER = frozenset((errno.ENOSYS, errno.EPERM))


@functools.cache
def _inotify() -> Any:
    """The C library; None if it has no inotify."""
    try:
        import ctypes
    except ImportError:  # a Python that was built without it
        return None
    library = ctypes.CDLL(None, use_errno=True) if sys.platform in ("linux", "android") else None
    return library if hasattr(library, "inotify_init1") and hasattr(library, "inotify_add_watch") else None


class Notifier:
    """An inotify descriptor. A forked child may not read it: each event is read by one process only.

    Raises OSError with an error of :data:`NO_REPORTS`, also from :meth:`watch`.
    """

    def __init__(self) -> None:
        self._library = _inotify()
        if self._library is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        self.descriptor = _checked(self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._pid = os.getpid()
        self._watched: set[int] = set()

    def is_usable(self) -> bool:
        """Whether it is this process's own, and does not watch too many directories of earlier bells."""
        return self._pid == os.getpid() and len(self._watched) <= _MOST_WATCHES

    def watch(self, directory: int) -> int:
        """Watch an open directory. It is named by its descriptor, because another one may be at its path now.

        Returns a number that its events have. It is the same one if the directory is watched already.
        """
        name = exact_name(directory)
        if name is None:  # without /proc
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        number = _checked(self._library.inotify_add_watch(self.descriptor, os.fsencode(name), _MASK))
        self._watched.add(number)
        return number

    def forget(self, number: int) -> None:
        """Watch a directory no longer."""
        self._watched.discard(number)
        self._library.inotify_rm_watch(self.descriptor, number)

    def events(self) -> Iterator[tuple[int, int, str]]:
        """The events that wait: the number of the directory, bits, and the name in it."""
        while True:
            try:
                data = os.read(self.descriptor, _MANY_EVENTS)
            except BlockingIOError:
                return
            at = 0
            while at < len(data):
                number, bits, _, length = _EVENT.unpack_from(data, at)
                at += _EVENT.size + length
                yield number, bits, os.fsdecode(data[at - length : at].rstrip(b"\0"))

    def something_happened(self) -> bool:
        """Whether there were events since the last call. What they were does not matter: the caller looks again."""
        happened = False
        while True:
            try:
                os.read(self.descriptor, _SOME_EVENTS)
            except BlockingIOError:
                return happened
            happened = True

    def close(self) -> None:
        """Watch nothing any more."""
        os.close(self.descriptor)


@functools.cache
def are_reported() -> bool:
    """Whether the kernel reports changes to this process. They may still be refused later: see :data:`NO_REPORTS`."""
    try:
        notifier = Notifier()
    except OSError as error:
        return error.errno not in _NEVER
    try:
        directory = os.open(os.sep, os.O_RDONLY | DIRECTORY | CLOSE_ON_EXEC)
        try:
            notifier.watch(directory)
        finally:
            os.close(directory)
    except OSError as error:
        return error.errno not in _NEVER
    finally:
        notifier.close()
    return True


def _checked(result: int) -> int:
    """What a function of the C library returned. Raises OSError if that was an error."""
    if result < 0:
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
