"""Wakes threads that sleep at LMDB's writer mutex although it is free.

The mutex is a robust one of the C library: a word of shared memory with the number of the holder, and a bit that says
that other threads sleep. glibc handles the death of a holder, but not this sequence:

1. A holder releases the mutex and wakes the first of two sleeping threads.
2. Before that one runs, a third thread takes the free mutex, without the bit.
3. The woken thread would set the bit again before it sleeps again, but it is killed before that.
4. The third thread releases the mutex. Without the bit, it wakes no thread.

Then the second sleeper sleeps until two other threads want the mutex at the same time, which may never happen. musl
counts the sleepers beside the word. It loses a wakeup if the woken thread is killed before it runs, and no other thread
takes the mutex after that.

So in each process that has to wait, a thread wakes one sleeper a second. A sleeper that is woken for nothing looks at
the word, and sleeps again.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from coshelf.system.memory import futex, mutexes
from coshelf.system.memory.c_library import MutexLayout, mutex_layout
from coshelf.system.memory.shared import PAGE_SIZE, shared
from coshelf.system.threads.cooperation import ServiceThread, Wakeup, new_reentrant_lock

__all__ = ["WriterMutex"]

# Where LMDB 0.9 has the mutex in its lock file: after the readers' mutex, in a cache line of its own. If the C library
# has another layout than is known here, the kind found there is not that of a robust shared mutex.
_READERS_MUTEX_AT = 24
_LINE = 64

_FREE = (0,)
_UNKNOWN = (1,)
_PERIOD = 1.0  # seconds
_PATIENCE = 1.0  # seconds to wait for the thread's end; at the interpreter's end it does not run any more


class WriterMutex:
    """The mutex in the lock file with this descriptor. On machines with other mutexes it always looks taken.

    Attributes:
        word: the mutex's word, at index 0. Anything but 0 means a holder, a dead holder, or that it is not known.
        place: where that word is in the lock file; None if that is not known.
    """

    def __init__(self, descriptor: int | None) -> None:
        self.word: Sequence[int] = _UNKNOWN
        self._page: memoryview | None = None
        self.place: int | None = None
        self._waiting: list[None] = []  # one element for each thread; appending is one step, so it needs no lock
        self._guard = new_reentrant_lock()  # guards the two below; reentrant, since a signal handler may interrupt
        self._thread: ServiceThread | None = None
        self._paused = False
        self._end = Wakeup()
        layout = mutex_layout()
        if descriptor is not None and layout is not None and mutexes.kind() is not None:
            self._map(descriptor, layout)

    def _map(self, descriptor: int, layout: MutexLayout) -> None:
        mutex = -(-(_READERS_MUTEX_AT + layout.size) // _LINE) * _LINE
        place = mutex + layout.word_at
        with contextlib.suppress(OSError):  # without the map all works, except after the deaths described above
            page = shared(descriptor, PAGE_SIZE, writable=True)
            (kind,) = struct.unpack_from("I", page, mutex + layout.kind_at)
            if kind != layout.kind:
                page.release()
                return
            self._page, self.place = page, place
            self.word = page[place : place + 4].cast("I")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """For a block that waits for the mutex: have a thread wake sleepers, so that the wait comes to its end."""
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
            # No thread can be started: the interpreter is ending, or there are too many threads.
            if not isinstance(error, RuntimeError):
                raise

    def _run(self, page: memoryview, place: int) -> None:
        while not self._end.wait(_PERIOD):
            futex.wake_one(page, place)
            with self._guard:
                thread, self._thread = self._thread, None
                # _waiting is read after the line above: a thread that waits does the two in reverse order.
                if self._paused or not self._waiting:
                    return
                self._thread = thread

    def pause(self) -> None:
        """End the thread, and start none until :meth:`resume`. Used before a fork."""
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
        """The number of the thread that has the mutex; 0 if no thread has it, or if that is not known."""
        return 0 if self.place is None else self.word[0] & mutexes.HOLDER

    def close(self) -> None:
        """Close the map. Called after LMDB's close, since this may close a descriptor of the lock file."""
        self.pause()
        self.abandon()

    def abandon(self) -> None:
        """Close the map without the guard: in a forked child, a thread of the parent may hold it for ever."""
        word, self.word = self.word, _FREE
        page, self._page = self._page, None
        if page is not None:
            assert isinstance(word, memoryview)
            word.release()
            with contextlib.suppress(BufferError):  # the thread still uses it, or did so in the parent at the fork
                page.release()
