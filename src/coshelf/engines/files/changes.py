"""Notices changes in directories: the doorbell. It uses inotify, with which the kernel reports changes in a directory.

The standard library has no call for it, so libc is called through ctypes, which is imported when a reader waits.
"""

from __future__ import annotations

import errno
import functools
import os
import select
import struct
import sys
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

from coshelf.contract import Doorbell
from coshelf.engines.files.paths import Parts
from coshelf.engines.files.tree import Tree, is_missing

__all__ = [
    "CLOSE_WRITE",
    "CREATE",
    "DELETE",
    "IGNORED",
    "IS_DIRECTORY",
    "MOVED_FROM",
    "MOVED_TO",
    "OVERFLOW",
    "USED_UP",
    "Bells",
    "Notifier",
    "inotify",
]

CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x8, 0x40, 0x80, 0x100, 0x200
OVERFLOW, IGNORED, IS_DIRECTORY = 0x4000, 0x8000, 0x4000_0000
_ONLY_DIRECTORIES = 0x0100_0000
_MASK = CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | _ONLY_DIRECTORIES
_EVENT = struct.Struct("iIII")
_SOME_EVENTS = 4096
_MANY_EVENTS = 65536
_MOST_WATCHES = 64
USED_UP = {errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.ENOMEM, errno.ENOSYS}


@functools.cache
def inotify() -> Any:
    """The C library, or None if it has no inotify."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        import ctypes
    except ImportError:  # a Python that was built without it
        return None
    library = ctypes.CDLL(None, use_errno=True)
    return library if hasattr(library, "inotify_init1") and hasattr(library, "inotify_add_watch") else None


class Notifier:
    """An inotify descriptor. A forked child may not read it: each event is read by one process only."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self.descriptor = _checked(library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._pid = os.getpid()
        self._watched: set[int] = set()

    def is_usable(self) -> bool:
        """Whether it is this process's own, and does not watch too many directories of earlier bells."""
        return self._pid == os.getpid() and len(self._watched) <= _MOST_WATCHES

    def watch(self, directory: int) -> int:
        """Watch an open directory. It is named by its descriptor, because another one may be at its path now.

        Returns a number that its events have. It is the same one if the directory is watched already.
        """
        path = os.fsencode(f"/proc/self/fd/{directory}")
        number = _checked(self._library.inotify_add_watch(self.descriptor, path, _MASK))
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
        os.close(self.descriptor)


class Bells:
    """The bells of a directory. Notifiers are used again: the kernel needs some 15 ms to close one (measured)."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._idle: list[Notifier] = []
        self._closed = False

    def new(self, places: Iterable[Parts]) -> Doorbell | None:
        """A bell that rings when a file at one of the paths changes, or None if the system cannot provide one."""
        library = inotify()
        if library is None:
            return None
        try:
            notifier = self._idle_one() or Notifier(library)
            bell = DirectoryBell(notifier, self._tree, [parts[:-1] for parts in places])
            weakref.finalize(bell, self._take_back, notifier).atexit = False
            bell.watch()
        except OSError as error:
            if error.errno in USED_UP:  # a user has 128 of them by default
                return None
            raise
        return bell

    def _idle_one(self) -> Notifier | None:
        while True:
            try:
                notifier = self._idle.pop()
            except IndexError:
                return None
            if notifier.is_usable():
                return notifier
            notifier.close()

    def _take_back(self, notifier: Notifier) -> None:
        if self._closed:
            notifier.close()
        else:
            self._idle.append(notifier)

    def close(self) -> None:
        """Close the idle notifiers now, and the others when their bells end."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()


class DirectoryBell(Doorbell):
    """Rings at each change in the directories on the way to files, as far as these directories exist."""

    def __init__(self, notifier: Notifier, tree: Tree, directories: list[Parts]) -> None:
        self._notifier = notifier
        self._tree = tree
        self._directories = directories
        self._sequence = 0

    def watch(self) -> None:
        """Watch each directory on the way, from the root on. If one is made later, the one above it reports that."""
        for directory in self._directories:
            self._watch(directory)

    def _watch(self, parts: Parts) -> None:
        for length in range(len(parts) + 1):
            try:
                with self._tree.directory(parts[:length]) as directory:
                    self._notifier.watch(directory)
            except OSError as error:
                if is_missing(error):
                    return
                raise

    def sequence(self) -> int:
        if self._notifier.something_happened():
            self._sequence += 1
            with self._tree.in_use():
                self.watch()
        return self._sequence

    def wait(self, sequence: int, timeout: float | None) -> None:
        if self._sequence == sequence:
            poll = select.poll()
            poll.register(self._notifier.descriptor, select.POLLIN)
            poll.poll(None if timeout is None else timeout * 1000)


def _checked(result: int) -> int:
    """What a libc function returned. Raises OSError if that was an error."""
    if result < 0:
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
