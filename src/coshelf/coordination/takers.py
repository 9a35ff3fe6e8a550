"""Which process has taken items, so that others see when it has ended.

While a process has items, a row of the shelf says so, of the kind that memoized functions use: the row names the
process, and is renewed. Each item names this row. A row that is gone, or is not renewed, belongs to no process.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol
from weakref import WeakValueDictionary

from coshelf.contract import ABSENT, CLAIMS, Batch, Engine
from coshelf.engines.renewing import Renewer
from coshelf.errors import Conflict
from coshelf.memo.claims import Claim, Claims, Patience, process_in
from coshelf.system.processes.deaths import Deaths, Watch
from coshelf.system.threads.alone import alone

__all__ = ["Takers"]

_ROW = 16  # bytes after the beginning


class Held(Protocol):
    """An item that this process has.

    Attributes:
        head: what the rows of its queue begin with.
    """

    @property
    def head(self) -> bytes: ...

    def is_mine(self) -> bool:
        """Whether this task has it."""
        ...

    def done(self) -> None:
        """Remove it for good."""
        ...


class _Presence:
    """The row of this process, as what renews it sees it."""

    def __init__(self, takers: Takers, claim: Claim) -> None:
        self.takers = takers
        self.claim = claim

    def renew(self) -> None:
        """Renew the row; or remove it, if nothing was taken since the last time."""
        if self.takers.is_idle(self):
            self.claim.drop()
        else:
            self.claim.renew()


class Takers:
    """The items that this process has, through one handle, and the rows of other processes.

    Attributes:
        held: the items that this process has, by their deliveries, the last one at the end.
        deaths: how many ends of other processes were noticed.
    """

    def __init__(self, engine: Engine) -> None:
        self._claims = Claims(engine)
        self._engine = engine
        self._renewer = Renewer()
        self._lock = threading.Lock()
        self._begin()
        self._patience: dict[bytes, Patience] = {}
        self._noticing = Deaths("coshelf-takers")
        self._watches: dict[bytes, Watch] = {}
        self._deaths = itertools.count(1)
        self.deaths = 0

    def _begin(self) -> None:
        self._presence: _Presence | None = None
        self._was_used = False
        self.held: WeakValueDictionary[int, Held] = WeakValueDictionary()
        self._deliveries = itertools.count(1)
        self._waiting: list[None] = []  # one element for each call that waits: appending is one step
        self._pid = os.getpid()  # last

    def begin(self) -> None:
        """Called first. A forked child begins without items: those of its parent stay with the parent."""
        if self._pid != os.getpid():
            with alone():
                if self._pid != os.getpid():
                    self._lock = threading.Lock()
                    self._begin()

    def row(self) -> bytes:
        """The row of this process. It is there when this returns, and as long as :attr:`held` has items."""
        self._was_used = True
        presence = self._presence
        if presence is not None and not (presence.claim.is_lost or presence.claim.is_dropped):
            return presence.claim.row
        with self._lock:
            presence = self._presence
            if presence is not None and not (presence.claim.is_lost or presence.claim.is_dropped):
                return presence.claim.row
            claim = Claim(self._claims, CLAIMS[0] + os.urandom(_ROW))
            claim.put(ABSENT)
            self._presence = presence = _Presence(self, claim)
            self._renewer.add(presence)
        return claim.row

    def delivery(self) -> int:
        """A number that no other delivery to this process has."""
        return next(self._deliveries)

    def is_idle(self, presence: _Presence) -> bool:
        """Whether a row is not needed any more. Then it is not used again."""
        with self._lock:
            was_used, self._was_used = self._was_used, False
            if was_used or self.held or presence is not self._presence:
                return False
            self._presence = None
            self._renewer.remove(presence)
            return True

    def has_ended(self, row: bytes) -> bool:
        """Whether the process of a row has ended, or is not heard of any more."""
        if len(row) != len(CLAIMS[0]) + _ROW or not row.startswith(CLAIMS[0]):
            return True  # it was taken inside a transaction, or is damaged
        presence = self._presence
        if presence is not None and presence.claim.row == row and self._pid == os.getpid():
            return presence.claim.is_lost
        entry = self._engine.get(row)
        if entry is None:
            self._patience.pop(row, None)
            return True
        return self._patience.setdefault(row, Patience()).is_over(entry)

    def forget(self, row: bytes) -> None:
        """Remove the row of a process that has ended."""
        entry = self._engine.get(row)
        process = None if entry is None else process_in(entry.record)
        if entry is not None and process is not None and process.is_alive() is False:
            with suppress(Conflict):
                self._engine.commit(Batch(deletes=frozenset((row,)), checks={row: entry.version}))

    @contextmanager
    def noticing(self) -> Iterator[None]:
        """For a block, the ends of processes are noticed."""
        self._waiting.append(None)
        try:
            yield
        finally:
            self._waiting.pop()

    def notice(self, row: bytes, call: Callable[[], object]) -> None:
        """Call a function when the process of a row ends, if this machine can see that, and somebody waits for it."""
        watch = self._watches.get(row)
        if not self._waiting or (watch is not None and not watch.is_over):
            return
        entry = self._engine.get(row)
        process = None if entry is None else process_in(entry.record)
        if process is None or process.is_alive() is None or process.pid == os.getpid():
            return

        def ended() -> None:
            self.deaths = next(self._deaths)  # differs from before, whatever thread assigns last
            call()

        self._watches[row] = self._noticing.watch(process, ended, is_needed=lambda: bool(self._waiting))
        for over in [each for each, watch in list(self._watches.items()) if watch.is_over]:
            self._watches.pop(over, None)

    def close(self) -> None:
        """Remove the row, if this process has no items any more."""
        self._noticing.close()
        presence = self._presence
        if presence is not None and self._pid == os.getpid() and not self.held:
            self._presence = None
            self._renewer.remove(presence)
            presence.claim.drop()
