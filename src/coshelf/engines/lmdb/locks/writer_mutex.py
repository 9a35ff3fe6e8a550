"""Waking who sleeps at LMDB's writer mutex although it is free.

The mutex is a robust one of glibc: a word of shared memory with its holder's number, and a bit that says that others
sleep. A killed holder is seen to, but one death is not. The holder lets go and wakes the first who sleeps; somebody
else takes the free mutex before that one runs, without the bit, which the woken one would set again before it sleeps
again; and the woken one is killed before it does. Who has the mutex now lets go of it and wakes nobody, and the second
sleeper sleeps until two others want the mutex at the same time, which may be never.

So in each process that has to wait a thread wakes one sleeper a second. A sleeper who is woken for nothing looks at the
word, and sleeps again.
"""

from __future__ import annotations

import contextlib
import mmap
import platform
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from coshelf.engines.lmdb.files.shared_memory import shared
from coshelf.engines.lmdb.locks import futex
from coshelf.system.cooperation import ServiceThread, Wakeup, new_reentrant_lock

__all__ = ["WriterMutex"]

# Where LMDB 0.9 has the mutex in its lock file: behind the mutex of the readers, in a cache line of its own. glibc's
# mutexes are of another size on other machines, so what is there is compared with what a robust shared one looks like.
_PLACES = {"x86_64": 64, "aarch64": 128}
_KIND_AT = 16
_KIND = 0x90  # robust, shared by processes

_FREE = (0,)
_UNKNOWN = (1,)
_HOLDER = 0x3FFFFFFF  # the bits of the word that are its holder's number
_PERIOD = 1.0  # seconds
_PATIENCE = 1.0  # with a thread that only has to notice that it should end; at the interpreter's end it never does


class WriterMutex:
    """The mutex in the lock file with this descriptor. On machines whose mutexes are others it always looks taken.

    Attributes:
        word: the word at index 0; anything but 0 is a holder, or a dead one, or unknown.
        place: where it is in the lock file, None if it is not known.
    """

    def __init__(self, descriptor: int | None) -> None:
        self.word: Sequence[int] = _UNKNOWN
        self._page: memoryview | None = None
        self.place: int | None = None
        self._waiting: list[None] = []  # an element for each thread; appending is one step, so it needs no lock
        self._guard = new_reentrant_lock()  # of the two below; a signal handler may come in between
        self._thread: ServiceThread | None = None
        self._paused = False
        self._end = Wakeup()
        place = _PLACES.get(platform.machine()) if sys.platform == "linux" else None
        if descriptor is not None and place is not None:
            self._map(descriptor, place)

    def _map(self, descriptor: int, place: int) -> None:
        with contextlib.suppress(OSError):  # without it everything works but for that one death
            page = shared(descriptor, mmap.PAGESIZE, writable=True)
            (kind,) = struct.unpack_from("I", page, place + _KIND_AT)
            if kind != _KIND:
                page.release()
                return
            self._page, self.place = page, place
            self.word = page[place : place + 4].cast("I")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """For a block in which the mutex is waited for: see to it that the wait comes to its end."""
        self._waiting.append(None)
        try:
            if self._thread is None:
                self._start()
            yield
        finally:
            self._waiting.pop()

    def _start(self) -> None:
        with self._guard:
            if self._thread is not None or self._paused or self._page is None or self.place is None:
                return
            thread = self._thread = ServiceThread("coshelf-waker", partial(self._run, self._page, self.place))
        try:
            thread.start()
        except BaseException as error:
            self._thread = None
            # Without it: the interpreter is ending, or there are too many threads.
            if not isinstance(error, RuntimeError):
                raise

    def _run(self, page: memoryview, place: int) -> None:
        while not self._end.wait(_PERIOD):
            futex.wake_one(page, place)
            with self._guard:
                thread, self._thread = self._thread, None
                # The second is looked at after the line above, as who waits does the reverse.
                if self._paused or not self._waiting:
                    return
                self._thread = thread

    def pause(self) -> None:
        """End the thread and let none be started until :meth:`resume`: before a fork."""
        with self._guard:
            self._paused = True
            thread, self._thread = self._thread, None
        self._end.ring()
        if thread is not None:
            thread.join(_PATIENCE)

    def resume(self) -> None:
        self._end.clear()
        self._paused = False
        if self._waiting:
            self._start()

    def holder(self) -> int:
        """The number of the thread that has it, if that is known; 0 if nobody has."""
        return 0 if self.place is None else self.word[0] & _HOLDER

    def close(self) -> None:
        """After LMDB's close, since this may close a descriptor of the lock file."""
        self.pause()
        self.abandon()

    def abandon(self) -> None:
        """Close the map and nothing else. In a forked child, where another thread of the parent may have the guard."""
        word, self.word = self.word, _FREE
        page, self._page = self._page, None
        if page is not None:
            assert isinstance(word, memoryview)
            word.release()
            with contextlib.suppress(BufferError):  # a thread that did not end; or inherited while one was at it
                page.release()
