"""Notices changes on the way to some files: the doorbell."""

from __future__ import annotations

import weakref
from collections.abc import Iterable

from coshelf.contract import Doorbell, PollingBell
from coshelf.engines.files.paths import Parts
from coshelf.engines.files.tree import Tree, is_missing
from coshelf.system.file_systems.directory_changes import NO_REPORTS, Notifier
from coshelf.system.waiting.polling import readable

__all__ = ["Bells"]


class Bells:
    """The bells of a directory. Notifiers are used again: the kernel needs some 15 ms to close one (measured)."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._idle: list[Notifier] = []
        self._closed = False

    def new(self, places: Iterable[Parts]) -> Doorbell:
        """A bell that rings when a file at one of the paths changes. It polls if the kernel reports nothing."""
        try:
            notifier = self._idle_one() or Notifier()
            bell = DirectoryBell(notifier, self._tree, [parts[:-1] for parts in places])
            weakref.finalize(bell, self._take_back, notifier).atexit = False
            bell.watch()
        except OSError as error:
            if error.errno in NO_REPORTS:  # a user has 128 notifiers by default
                return PollingBell()
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
            readable((self._notifier.descriptor,), timeout)
