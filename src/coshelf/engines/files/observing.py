"""Which keys of a directory may have changed: by inotify, or by looking at all files again and again."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

from coshelf.engines.files.layout import Layout
from coshelf.engines.files.names import is_long
from coshelf.engines.files.paths import Parts
from coshelf.engines.files.stamps import Stamp, stamp_of
from coshelf.engines.files.tree import Tree, is_missing
from coshelf.keys import FIRST, LAST
from coshelf.system.file_systems import directory_changes as bits
from coshelf.system.file_systems.directory_changes import NO_REPORTS, Notifier
from coshelf.system.waiting.bells import Bell
from coshelf.system.waiting.polling import readable

__all__ = ["Observer", "observer_of"]

_STORED = bits.CLOSE_WRITE | bits.MOVED_TO
_REMOVED = bits.MOVED_FROM | bits.DELETE
_NEW = bits.CREATE | bits.MOVED_TO
_SHORTEST_PERIOD = 0.05  # seconds between two looks at all files
_SHARE = 20  # of the time, one part is spent looking


class Observer(ABC):
    """Observes a directory and all directories below it. Used by one thread at a time, except for :meth:`wait`."""

    @abstractmethod
    def look(self, *, now: bool) -> list[bytes] | None:
        """The encoded keys whose files may have changed since the last call, in order; None if some are not known.

        Without ``now``, it may leave out the latest changes if it has looked shortly before.
        """

    @abstractmethod
    def wait(self, bell: Bell, timeout: float | None) -> None:
        """Return when there may be changes, when the bell was rung, or after ``timeout`` seconds."""

    @abstractmethod
    def close(self) -> None:
        """Release what it holds."""


def observer_of(tree: Tree, layout: Layout, *, by_looking: bool) -> Observer:
    """An observer from now on."""
    if not by_looking:
        try:
            return TreeObserver(tree, layout, Notifier())
        except OSError as error:
            if error.errno not in NO_REPORTS:
                raise
    return LookingObserver(tree, layout)


class TreeObserver(Observer):
    """By inotify. A directory is watched before it is listed, so that no file comes to it unnoticed."""

    def __init__(self, tree: Tree, layout: Layout, notifier: Notifier) -> None:
        self._tree = tree
        self._layout = layout
        self._notifier = notifier
        self._directories: dict[int, Parts] = {}
        self._long: dict[Parts, bytes] = {}  # the keys of files whose names do not tell them
        self._found: dict[bytes, None] = {}
        try:
            self._watch_below(())
        except BaseException:
            notifier.close()
            raise
        self._found.clear()

    def look(self, *, now: bool) -> list[bytes] | None:
        self._found = {}
        for number, happened, name in self._notifier.events():
            if happened & bits.OVERFLOW or (happened & bits.MOVED_FROM and happened & bits.IS_DIRECTORY):
                self._begin_again()
                return None
            if happened & bits.IGNORED:
                self._directories.pop(number, None)
            directory = self._directories.get(number)
            if directory is not None:
                self._take(directory, happened, name)
        return list(self._found)

    def _take(self, directory: Parts, happened: int, name: str) -> None:
        if happened & bits.IS_DIRECTORY:
            if happened & _NEW:
                self._watch_below((*directory, name))
        elif happened & (_STORED | _REMOVED):
            self._take_file((*directory, name))

    def _take_file(self, parts: Parts) -> None:
        key = self._layout.key_at(parts)
        if is_long(parts):
            key = self._long.pop(parts, None) if key is None else self._long.setdefault(parts, key)
        if key is not None:
            self._found.pop(key, None)
            self._found[key] = None

    def _watch_below(self, top: Parts) -> None:
        """Watch a directory and those below it, and take the files that they have."""
        to_do = [top]
        while to_do:
            parts = to_do.pop()
            if not self._layout.may_have_files(parts) or not self._watch(parts):
                continue
            for name, is_directory in self._tree.listed(parts):
                if is_directory:
                    to_do.append((*parts, name))
                else:
                    self._take_file((*parts, name))

    def _watch(self, parts: Parts) -> bool:
        try:
            with self._tree.directory(parts) as directory:
                self._directories[self._notifier.watch(directory)] = parts
        except OSError as error:
            if is_missing(error):  # it was removed meanwhile
                return False
            raise
        return True

    def _begin_again(self) -> None:
        """Watch everything anew: events were lost, or a directory was moved away with all that is in it."""
        before = set(self._directories)
        self._directories = {}
        self._watch_below(())
        for number in before - self._directories.keys():
            self._notifier.forget(number)

    def wait(self, bell: Bell, timeout: float | None) -> None:
        _wait(bell, timeout, self._notifier.descriptor)

    def close(self) -> None:
        self._notifier.close()


class LookingObserver(Observer):
    """For network file systems, where the kernel does not report what others do, and kernels without inotify."""

    def __init__(self, tree: Tree, layout: Layout) -> None:
        self._tree = tree
        self._layout = layout
        self._period = _SHORTEST_PERIOD
        self._last = 0.0
        self._stamps = self._look_at_all()

    def _look_at_all(self) -> dict[bytes, Stamp]:
        begin = time.monotonic()
        found = ((key, self._tree.look(parts)) for key, parts in self._layout.walk(FIRST, LAST))
        stamps = {key: stamp_of(status) for key, status in found if status is not None}
        self._last = time.monotonic()
        self._period = max(_SHORTEST_PERIOD, (self._last - begin) * _SHARE)
        return stamps

    def look(self, *, now: bool) -> list[bytes]:
        if not now and time.monotonic() < self._last + self._period:
            return []
        before, self._stamps = self._stamps, self._look_at_all()
        return sorted(key for key in before | self._stamps if before.get(key) != self._stamps.get(key))

    def wait(self, bell: Bell, timeout: float | None) -> None:
        pause = max(self._last + self._period - time.monotonic(), 0)
        _wait(bell, pause if timeout is None else min(timeout, pause))

    def close(self) -> None:
        """Nothing to do."""


def _wait(bell: Bell, timeout: float | None, *descriptors: int) -> None:
    if bell.descriptor in readable((bell.descriptor, *descriptors), timeout):
        bell.silence()
