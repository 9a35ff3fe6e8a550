"""Numbers for the order of items, which agree with real time: no lock and no other row has to be read for a put."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from contextlib import suppress

from coshelf.contract import ABSENT, Batch, Engine, Reader
from coshelf.coordination.ground import Writable
from coshelf.coordination.packed import packed, told_bytes, unpacked
from coshelf.errors import Conflict
from coshelf.system.processes.identity import this_process
from coshelf.system.threads.alone import alone

__all__ = ["NUMBER", "Numbers"]

NUMBER = 8
"""Bytes of a number. What follows it only tells items with the same number apart."""

_TOKEN = 6
_COUNT = 4
_MOST = (1 << 64) - 1


class Numbers:
    """Draws numbers for one queue.

    A number that is drawn after another draw had ended, in whatever process, is not less. It is the time of the
    machine's monotonic clock, or what the engine gives. The monotonic clock begins anew with each boot. So a row of the
    queue has what is to be added since this boot, or since the shelf came to this server.

    Args:
        engine: the engine.
        row: the key of that row.
        greatest: finds the greatest number that an item of the queue has now.
    """

    def __init__(self, engine: Engine, row: bytes, greatest: Callable[[Reader], int]) -> None:
        self._engine = engine
        self._row = row
        self._greatest = greatest
        self._boot = this_process().boot
        self._added: int | None = None
        self._pid = 0
        self._token = b""
        self._count = itertools.count()

    def draw(self, overlay: Writable | None = None) -> bytes:
        """A number, and what makes it different from all others. Calls of one process give ascending bytes.

        Args:
            overlay: the transaction that this task is in.
        """
        if self._pid != os.getpid():
            with alone():
                if self._pid != os.getpid():
                    self._token, self._count = os.urandom(_TOKEN), itertools.count()
                    self._pid = os.getpid()
        number = self._drawn()
        return self.numbered(number + (self._find_added(number, overlay) if self._added is None else self._added))

    def _drawn(self) -> int:
        number = self._engine.number()
        if number is None:
            return time.monotonic_ns() if self._boot else time.time_ns()
        return number

    def numbered(self, number: int) -> bytes:
        """The bytes of a number, with what makes them different from all others."""
        count = next(self._count) & 0xFFFFFFFF
        return b"".join((min(number, _MOST).to_bytes(NUMBER, "big"), self._token, count.to_bytes(_COUNT, "big")))

    def _find_added(self, now: int, overlay: Writable | None) -> int:
        """What is added to the numbers of this boot or server, of which ``now`` is one."""
        source = f"{self._boot or 'clock'} {self._engine.store_id.hex()}"
        reader: Reader = self._engine if overlay is None else overlay
        while True:
            entry = reader.get(self._row)
            told = None if entry is None else _told(entry.record)
            if told is not None and told[0] == source:
                self._added = told[1]
                return told[1]
            added = max(0, self._greatest(reader) + 1 - now)
            body = packed(told_bytes({"source": source, "added": added}))
            if overlay is not None:
                overlay.put(self._row, body)
                return added
            with suppress(Conflict):
                self._engine.commit(
                    Batch({self._row: body}, checks={self._row: ABSENT if entry is None else entry.version})
                )


def _told(record: bytes) -> tuple[str, int] | None:
    """The source and the number in a row; None if it cannot be read."""
    try:
        told, _ = unpacked(record)
        return str(told["source"]), int(told["added"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
