"""The tasks of one event loop that write to one shelf: they wait here in order, and need no thread for it.

A transaction has the gate alone, from its beginning to its end. Other writes that may wait share it. So of a thousand
tasks that want a transaction, one waits for other processes in a worker thread, and the others wait for that task.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

__all__ = ["Gate"]


class Gate:
    """Used by one event loop."""

    def __init__(self) -> None:
        self._sharing = 0
        self._is_held = False
        self._waiting: deque[tuple[anyio.Event, bool]] = deque()

    async def enter(self, *, alone: bool) -> None:
        """Wait for one's turn. ``alone``: until :meth:`leave`, nobody else gets in."""
        if not self._waiting and self._admits(alone):
            self._admit(alone)
            return
        place = (anyio.Event(), alone)
        self._waiting.append(place)
        try:
            await place[0].wait()
        except BaseException:
            if place[0].is_set():  # its turn and the cancellation came together
                self.leave(alone=alone)
            else:
                self._waiting.remove(place)
                self._call()
            raise

    def leave(self, *, alone: bool) -> None:
        """Let others in."""
        if alone:
            self._is_held = False
        else:
            self._sharing -= 1
        self._call()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Enter for a block that is not a transaction."""
        await self.enter(alone=False)
        try:
            yield
        finally:
            self.leave(alone=False)

    def _admits(self, alone: bool) -> bool:
        return not self._is_held and not (alone and self._sharing)

    def _admit(self, alone: bool) -> None:
        if alone:
            self._is_held = True
        else:
            self._sharing += 1

    def _call(self) -> None:
        """Admit those that wait, in their order."""
        while self._waiting and self._admits(self._waiting[0][1]):
            event, alone = self._waiting.popleft()
            self._admit(alone)
            event.set()
