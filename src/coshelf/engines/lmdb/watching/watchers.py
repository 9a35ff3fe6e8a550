"""The readers of changes in one process, and the place of the process in the state page."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from coshelf.engines.lmdb.files.sidecar_directory import state_path
from coshelf.engines.lmdb.watching.watch_state import PLACES
from coshelf.errors import ShelfClosed, StorageError
from coshelf.system.files.flags import ASIDE
from coshelf.system.locks import whole_file
from coshelf.system.processes.identity import this_process
from coshelf.system.threads.cooperation import new_reentrant_lock
from coshelf.system.threads.living import Living

if TYPE_CHECKING:
    from coshelf.engines.lmdb.open_files import OpenFiles

__all__ = ["Watchers"]

_NOTED_EVERY = 0.1  # seconds: more is kept than is needed until then
_FLAGS = os.O_RDWR | ASIDE


class Reader(Protocol):
    """A reader of changes. ``number`` is that of the last commit that it has read."""

    @property
    def number(self) -> int: ...


class Watchers:
    """All readers of a shelf in this process. They share one place in the state page.

    The place has the number up to which all of them have read. Flushes keep the changes after it.
    """

    def __init__(self, files: OpenFiles) -> None:
        self._files = files
        self.abandon()

    def abandon(self) -> None:
        """In a forked child: the readers and the place are the parent's. A reader that is used here joins again."""
        self._readers: Living[Reader] = Living()
        self._lock = new_reentrant_lock()
        self._place: int | None = None
        self._noted = 0.0

    def join(self, reader: Reader) -> None:
        """Keep from now on what a reader has not read. The caller is inside. Raises StorageError: no place is free."""
        if reader in self._readers and self._place is not None:
            return
        with self._lock:
            if reader not in self._readers:
                self._readers.add(reader)
                weakref.finalize(reader, self._collected).atexit = False
            try:
                if self._place is None:
                    self._place = self._taken(reader.number)
                self._files.page.watch.renew()
                self._note()
            except BaseException:
                self._readers.discard(reader)
                raise

    def note(self) -> None:
        """After a reader has read: note it in the page, unless that was done just before. The caller is inside."""
        if time.monotonic() - self._noted > _NOTED_EVERY:
            with self._lock:
                self._note()

    def _note(self) -> None:
        self._noted = time.monotonic()
        numbers = [reader.number for reader in list(self._readers)]
        if self._place is not None and numbers:
            self._files.page.watch.note(self._place, min(numbers))

    def _collected(self) -> None:
        """A reader has gone without being closed."""
        if self._place is not None and not self._readers:
            with suppress(ShelfClosed), self._files.inside():
                self.leave()

    def part(self, reader: Reader) -> None:
        """Keep nothing for a reader any more. The caller is inside."""
        with self._lock:
            self._readers.discard(reader)
            if self._readers:
                self._note()
            else:
                self.leave()

    def leave(self) -> None:
        """Give up the place, before the page is closed or when the last reader is."""
        with self._lock:
            place, self._place = self._place, None
            page = self._files.files.page
            if place is not None and page is not None:
                page.watch.leave(place)

    def forget_place(self) -> None:
        """Before another page is used: its place is that of the page so far."""
        self._place = None

    def _taken(self, number: int) -> int:
        with self._alone():
            place = self._files.page.watch.take_place(this_process(), number)
        if place is None:
            raise StorageError(
                f"{PLACES} processes watch {self._files.path} already, and there is no place for more\n"
                "  hint: let one process watch, and tell the others"
            )
        return place

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from taking a place, by a lock of the file of the state page."""
        name = state_path(self._files.path)
        try:
            descriptor = os.open(name, _FLAGS)
        except OSError as error:
            raise StorageError(error.errno, f"cannot open the state page: {error.strerror}", name) from error
        try:
            whole_file.take(descriptor, whole_file.EXCLUSIVE)
            yield
        finally:
            whole_file.release(descriptor)
            os.close(descriptor)
