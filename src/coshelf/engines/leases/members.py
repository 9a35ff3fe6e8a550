"""A member: this process, as one handle of a shelf. It shows that it lives by renewing its row.

All places of a member depend on that one row. Another process takes them over by removing the row, under the check that
it was not renewed meanwhile. So a member whose renewal succeeds has lost nothing.
"""

from __future__ import annotations

import os
import time
from typing import Any

from coshelf.contract import ABSENT, Batch, Engine, Entry
from coshelf.engines.leases.rows import MEMBERS, packed, unpacked
from coshelf.errors import Conflict, CoshelfError, OutcomeUnknown
from coshelf.system.clock import steady as now
from coshelf.system.processes.identity import Process, this_process

__all__ = ["LOOK", "Member", "Patience", "now"]

LOOK = 0.02
"""Seconds for which a process that was alive counts as alive."""
_MARGIN = 0.1  # of the lease, by which clocks may go at different speeds


class Member:
    """This process, as a member.

    Attributes:
        id: its random name.
        places: the places that it has, and the names of their lines.
        is_lost: whether its lease has ended.
    """

    def __init__(self, engine: Engine, lease: float) -> None:
        self.id = os.urandom(8).hex()
        self.places: dict[str, bytes] = {}
        self._engine = engine
        self._key = MEMBERS[0] + self.id.encode("ascii")
        self._lease = lease
        self._version: Any = ABSENT
        self._was_lost = False
        self._good_until = now()
        self.renew()

    @property
    def is_lost(self) -> bool:
        # Others count from when they saw the row, which is later than when it was sent.
        if not self._was_lost and now() > self._good_until:
            self._was_lost = True
        return self._was_lost

    def lose(self) -> None:
        """Count all its places as lost."""
        self._was_lost = True

    def renew(self) -> None:
        """Store the row again. Raises OutcomeUnknown or Unavailable; :attr:`is_lost` tells whether it came too late."""
        while self._version is ABSENT or not self.is_lost:
            began = now()
            body = packed({"process": this_process(), "renewed": time.time()})
            try:
                self._version = self._engine.commit(Batch(puts={self._key: body}, checks={self._key: self._version}))
            except Conflict:
                # Only this member writes the row. Either a write without a reply has happened, or the row was removed.
                entry = self._engine.get(self._key)
                if entry is None:
                    self.lose()
                    return
                self._version = entry.version
            else:
                self._good_until = began + self._lease * (1 - _MARGIN)
                return

    def end(self) -> None:
        """Remove the row."""
        self.lose()
        try:
            entry = self._engine.get(self._key)
            if entry is not None:
                self._engine.commit(Batch(deletes=frozenset((self._key,)), checks={self._key: entry.version}))
        except (CoshelfError, OutcomeUnknown):
            return  # it is not renewed any more, so others remove it


class _Seen:
    """What was seen of the row of another member."""

    __slots__ = ("looked", "since", "version")

    def __init__(self, version: object, at: float) -> None:
        self.version = version
        self.since = self.looked = at


class Patience:
    """What this process has seen of other members, for as long as it waits."""

    def __init__(self, engine: Engine, lease: float) -> None:
        self._engine = engine
        self._lease = lease
        self._seen: dict[str, _Seen] = {}

    def living(self, ids: set[str]) -> set[str]:
        """Those of some members that live. The rows of others are removed."""
        keys = {MEMBERS[0] + id.encode("ascii", "replace"): id for id in ids}
        entries = self._engine.get_many(list(keys))
        found = dict(zip(keys.values(), entries, strict=True))
        self._seen = {id: seen for id, seen in self._seen.items() if id in ids}
        return {id for id, entry in found.items() if entry is not None and not self._is_over(id, entry)}

    def _is_over(self, id: str, entry: Entry) -> bool:
        return self._is_due(id, entry) and _remove(self._engine, id, entry)

    def _is_due(self, id: str, entry: Entry) -> bool:
        """Whether a member has ended, or has not renewed its row for a lease."""
        at, version = now(), entry.version
        seen = self._seen.get(id)
        if seen is None or seen.version != version:
            seen = self._seen[id] = _Seen(version, at)
        elif at - seen.looked < LOOK:
            return False
        seen.looked = at
        return _is_alive(entry.record) is False or at - seen.since > self._lease


def _remove(engine: Engine, id: str, entry: Entry) -> bool:
    """Remove the row of a member, unless it was renewed. Return whether it was removed."""
    key = MEMBERS[0] + id.encode("ascii")
    try:
        engine.commit(Batch(deletes=frozenset((key,)), checks={key: entry.version}))
    except Conflict:
        return False
    return True


def _is_alive(record: bytes) -> bool | None:
    try:
        boot, namespace, pid, start = unpacked(record)["process"]
        return Process(str(boot), int(namespace), int(pid), int(start)).is_alive()
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
