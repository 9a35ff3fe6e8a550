"""Tasks that wait for a change. For each bell of a shelf one thread listens, for all tasks of a loop.

For a shelf on a server that is a task, if its calls run in bridges.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

import anyio
from anyio.lowlevel import RunVar

from coshelf.aio.bridged import is_bridged
from coshelf.aio.gate import Gate
from coshelf.aio.running import run_in_thread
from coshelf.aio.threads import current_task, to_the_end, waker
from coshelf.contract import Doorbell, PollingBell, Position
from coshelf.errors import CoshelfError, WaitTimeout
from coshelf.keys import shown
from coshelf.mapping.handle import Handle
from coshelf.mapping.shelf import Shelf
from coshelf.system.threads import bridge
from coshelf.system.threads.cooperation import ServiceThread
from coshelf.system.threads.participants import TaskOwner
from coshelf.system.waiting.timeouts import usable_timeout

__all__ = ["Waiting", "end_listening", "end_of", "name_of", "until", "wait_for", "waiting_at"]

T = TypeVar("T")
V = TypeVar("V")

_LONGEST_SLEEP: Final = 1.0  # as in Shelf.wait: it limits the wait if a ring is lost


class _Listener:
    """A thread that tells a loop of each change, until the loop says that it is over."""

    def __init__(self, bell: Doorbell, tell: Callable[[], object]) -> None:
        self.is_over = False
        self._bell = bell
        self._tell = tell
        self._sequence = bell.sequence()
        self._thread = ServiceThread("coshelf-listener", self._listen)
        self._thread.start()

    def _listen(self) -> None:
        # RuntimeError: the loop has ended, and its tasks are gone.
        with contextlib.suppress(RuntimeError):
            while not self.is_over:
                try:
                    self._bell.wait(self._sequence, _LONGEST_SLEEP)
                    self._sequence = self._bell.sequence()
                except CoshelfError:  # the tasks find that out when they read
                    self.is_over = True
                self._tell()

    def end(self) -> None:
        """Wait for the end of the thread, after the shelf was closed."""
        self.is_over = True
        self._thread.join(2 * _LONGEST_SLEEP)


class _ListeningTask:
    """A task that does the same."""

    def __init__(self, handle: Handle, bell: Doorbell, tell: Callable[[], object]) -> None:
        self.is_over = False
        self._handle = handle
        self._bell = bell
        self._tell = tell
        self._task = asyncio.get_running_loop().create_task(bridge.run(self._listen))

    def _listen(self) -> None:
        try:
            sequence = self._bell.sequence()
            self._tell()  # a change may have come before the sequence number was known
            while not (self.is_over or self._handle.closed):
                self._bell.wait(sequence, _LONGEST_SLEEP)
                sequence = self._bell.sequence()
                self._tell()
        except CoshelfError:  # the tasks find that out when they read
            self.is_over = True
            self._tell()

    def cancel(self) -> None:
        """End, because the shelf was closed."""
        self.is_over = True
        self._task.cancel()


class Waiting:
    """The tasks of one loop that wait for one thing: changes of a shelf, or a bell of it.

    Attributes:
        change: is set at the next change. It is taken before the look at the shelf, so that no change is missed.
        gate: those that have to look one after the other.
    """

    def __init__(self) -> None:
        self.change = anyio.Event()
        self.gate = Gate()
        self._tasks = 0
        self._listener: _Listener | _ListeningTask | None = None

    @contextmanager
    def listening(self, handle: Handle, bell: Doorbell) -> Iterator[None]:
        """For a block, ``change`` is set each time the bell rings, and at least once in a second."""
        self._tasks += 1
        try:
            if self._listener is None or self._listener.is_over:
                if is_bridged(handle.engine):
                    self._listener = _ListeningTask(handle, bell, self._changed)
                else:
                    self._listener = _Listener(bell, waker(self._changed))
            yield
        finally:
            self._tasks -= 1

    def closed(self) -> _Listener | None:
        """The shelf has been closed. Returns the thread that listened to it, if any."""
        listener, self._listener = self._listener, None
        if isinstance(listener, _ListeningTask):
            listener.cancel()
            return None
        return listener

    def _changed(self) -> None:
        change, self.change = self.change, anyio.Event()
        change.set()
        if not self._tasks and self._listener is not None:
            self._listener.is_over = True
            self._listener = None


_WAITING: RunVar[WeakKeyDictionary[Handle, dict[bytes, Waiting]]] = RunVar("coshelf_waiting")


def waiting_at(handle: Handle, name: bytes = b"") -> Waiting:
    """The tasks of this loop that wait for a bell of a shelf. Without a name, it is that of all changes."""
    handles = _WAITING.get(None)
    if handles is None:
        handles = WeakKeyDictionary()
        _WAITING.set(handles)
    return handles.setdefault(handle, {}).setdefault(name, Waiting())


async def end_listening(handle: Handle) -> None:
    """Return when no thread listens for this loop to a shelf that has been closed."""
    handles = _WAITING.get(None)
    for waiting in [] if handles is None else list(handles.get(handle, {}).values()):
        listener = waiting.closed()
        if listener is not None:
            await to_the_end(listener.end, TaskOwner(current_task()))


async def until(
    handle: Handle,
    name: bytes,
    bell: Doorbell,
    look: Callable[[], Awaitable[T]],
    missing: type[Exception],
    end: float | None,
    longest: Callable[[], Awaitable[float]] | None = None,
) -> T:
    """What ``look`` returns, as soon as it does not raise ``missing``.

    Args:
        handle: the handle of the shelf.
        name: of the bell.
        bell: rings when it is worth while to look again.
        look: looks.
        missing: the error that is raised at last, if the time ``end`` of the loop's clock has come.
        end: None: there is no end.
        longest: tells for how many seconds to wait at most until the next look.
    """
    waiting = waiting_at(handle, name)
    with waiting.listening(handle, bell):
        while True:
            change = waiting.change
            try:
                return await look()
            except missing:
                left = _LONGEST_SLEEP if longest is None else await longest()
                if end is not None:
                    left = min(left, end - anyio.current_time())
                    if left <= 0:
                        raise
            with anyio.move_on_after(max(left, 0.001)):
                await change.wait()


def name_of(handle: Handle, bell: Doorbell, key: bytes) -> bytes:
    """The name for :func:`until` of the bell that an engine gives for a key. Many engines have one bell for all."""
    return b"" if handle.engine.reads_at_once or isinstance(bell, PollingBell) else key


def end_of(timeout: float | None) -> float | None:
    """The end of a timeout by the loop's clock."""
    return None if timeout is None else anyio.current_time() + usable_timeout(max(timeout, 0))


async def wait_for(
    shelf: Shelf[Any, V], read: Callable[[Any], Awaitable[V]], key: Any, timeout: float | None, since: Position | None
) -> V:
    """As :meth:`coshelf.Shelf.wait`. ``read`` returns the value of a key, and raises KeyError without one."""
    end = end_of(timeout)
    handle = shelf._handle
    encoded = shelf._namespace.encode(key)
    bell = handle.engine.doorbell(encoded)
    name = name_of(handle, bell, encoded)
    try:
        if since is None:
            return await until(handle, name, bell, lambda: read(key), KeyError, end)
        return await until(
            handle, name, bell, lambda: run_in_thread(handle, shelf.wait, key, 0, since=since), WaitTimeout, end
        )
    except (KeyError, WaitTimeout) as error:
        if since is not None and isinstance(error, KeyError):
            raise
        happened = "appear" if since is None else "change"
        raise WaitTimeout(f"{shown(key)} did not {happened} in {shelf.name} within {timeout or 0:g} s") from None
