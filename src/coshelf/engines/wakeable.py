"""Waits for sockets, until another thread wakes the waiting one. Inside a bridge, a worker thread waits."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from contextlib import suppress

from coshelf.contract import Change, Changes
from coshelf.system.waiting.polling import readable

__all__ = ["WakeableWait", "read_aside"]


class WakeableWait:
    """A pair of sockets that is waited for together with others. A forked child makes its own pair."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._read, self._write = self._pair()

    @staticmethod
    def _pair() -> tuple[socket.socket, socket.socket]:
        pair = socket.socketpair()
        for each in pair:
            each.setblocking(False)
        return pair

    def __del__(self) -> None:
        """Close the pair of a reader that was not closed."""
        self.close()

    def wait(self, sockets: Iterable[int], timeout: float | None) -> set[int] | None:
        """Wait until sockets have data, for up to ``timeout`` seconds. Return these, or None if it was woken."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._read, self._write = self._pair()
        mine = self._read.fileno()
        ready = readable((mine, *sockets), timeout)
        if mine not in ready:
            return ready
        with suppress(BlockingIOError):
            self._read.recv(4096)
        return None

    def wake(self) -> None:
        """Let a wait return, or the next one if none waits now."""
        with suppress(OSError):  # it is full, so the wait returns anyway; or it is closed
            self._write.send(b"\0")

    def close(self) -> None:
        """Close the pair."""
        self._read.close()
        self._write.close()


async def read_aside(reader: Changes, longest: float | None) -> list[Change]:
    """What a reader reads in a worker thread, with connections of its own, while the event loop runs.

    If the task is cancelled, the thread returns soon. What it has read by then is lost: the reader is of no more use.
    """
    import asyncio  # here: programs without an event loop do without it

    try:
        return await asyncio.to_thread(reader.read, longest)
    except asyncio.CancelledError:
        reader.wake()
        raise
