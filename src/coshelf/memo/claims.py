"""Claims: which process computes the result of a key now. A claim is a row of coshelf's own key space.

A row is put under the check that no row exists, so one process or thread gets it. It names its process. Other processes
of the same machine see at once that this process has ended, and take the row over. Processes of other machines cannot
see that. They take over a row that has not been renewed for some seconds. docs/format.md has the bytes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from hashlib import blake2b

from coshelf.contract import ABSENT, CLAIMS, Batch, Engine, Entry
from coshelf.contract.batches import Absent
from coshelf.engines.renewing import Renewer
from coshelf.errors import Conflict, OutcomeUnknown, Unavailable
from coshelf.records import TRAILER
from coshelf.system.processes.identity import Process, this_process
from coshelf.system.threads.participants import current_party, current_task

__all__ = ["Claim", "Claims", "Patience", "process_in"]

LEASE = 10.0
"""Seconds after which a claim of another machine counts as left if it was not renewed."""
LONG_LEASE = 60.0
"""The same for a process of this machine that runs: it may be stopped, or in a long call that lets no thread run."""
_LOOK = 0.02  # seconds for which a process that was alive counts as alive: on some engines each commit wakes waiters
_FORGOTTEN = 3600.0  # seconds by the clocks of two machines, which may differ
_HEAD = b"\x80\x03B"  # the row is a pickle of bytes, because the files engine keeps pickles alone
_LENGTH = 4
_DIGEST = 16


def _is_row(key: bytes) -> bool:
    return key.startswith(CLAIMS[0]) and len(key) == len(CLAIMS[0]) + _DIGEST


def _this_task() -> object:
    return current_party(), current_task()


class _Content:
    """What a row says.

    Attributes:
        process: the process that computes; None if the row cannot be read.
        token: the random name of the claim.
        waits: the rows for which the computation waits.
        renewed: the Unix time of the last renewal.
    """

    def __init__(self, record: bytes) -> None:
        self.process: Process | None = None
        self.token = ""
        self.waits: frozenset[bytes] = frozenset()
        self.renewed = 0.0
        start = len(_HEAD) + _LENGTH
        try:
            found = json.loads(record[start : -TRAILER - 1])
            boot, namespace, pid, began = found["process"]
            process = Process(str(boot), int(namespace), int(pid), int(began))
            self.token, self.renewed = str(found["token"]), float(found["renewed"])
            self.waits = frozenset(filter(_is_row, map(bytes.fromhex, found["waits"])))
            self.process = process
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return  # damaged, or of a later version: it is left when it is not renewed

    def is_alive(self) -> bool | None:
        """Whether the process runs; None if that cannot be told."""
        return None if self.process is None else self.process.is_alive()

    def is_forgotten(self) -> bool:
        """Whether nobody can be computing any more."""
        if self.process is None:
            return False
        alive = self.is_alive()
        return alive is False or (alive is None and abs(time.time() - self.renewed) > _FORGOTTEN)


def process_in(record: bytes) -> Process | None:
    """The process that the record of a row names; None if it cannot be read."""
    return _Content(record).process


class Patience:
    """What one waiting call has seen of the claim that it waits for."""

    def __init__(self) -> None:
        self._version: object = None
        self._since = self._looked = 0.0

    def is_over(self, entry: Entry) -> bool:
        """Whether the claim counts as left: its process has ended, or it was not renewed for too long."""
        now = time.monotonic()
        if entry.version == self._version and now - self._looked < _LOOK:
            return False
        self._looked = now
        alive = _Content(entry.record).is_alive()
        if alive is False:
            return True
        if entry.version != self._version:
            self._version, self._since = entry.version, now
            return False
        return now - self._since > (LONG_LEASE if alive else LEASE)


class Claim:
    """A claim of this process.

    Attributes:
        row: the key of the row.
        pid: the process that took it. A forked child has a copy, and must not drop it.
        is_lost: whether another process has taken it over.
        is_dropped: whether the row was removed together with the storing of the result.
        taker: the thread and task that took it.
    """

    def __init__(self, claims: Claims, row: bytes) -> None:
        self.claims = claims
        self.row = row
        self.pid = os.getpid()
        self.is_lost = self.is_dropped = False
        self.taker = _this_task()
        self._process = claims.process()
        self._token = os.urandom(8).hex()
        self._waits: list[bytes] = []
        self._version: int | str | Absent = ABSENT

    def put(self, expected: int | str | Absent) -> bool:
        """Store the row in the place of a row of the version ``expected``. Return whether it was stored."""
        batch = Batch(puts={self.row: self._body()}, checks={self.row: expected})
        try:
            self._version = self.claims.engine.commit(batch)
        except Conflict:
            return False
        return True

    def _body(self) -> bytes:
        content = {
            "process": self._process,
            "token": self._token,
            "renewed": time.time(),
            "waits": sorted(row.hex() for row in self._waits),
        }
        text = json.dumps(content).encode("ascii")
        return _HEAD + len(text).to_bytes(_LENGTH, "little") + text + b"."

    def renew(self) -> None:
        """Store the row again, so that other machines see that the computation goes on."""
        while not (self._is_over() or self.put(self._version)):
            self._look()

    def wait_for(self, row: bytes) -> None:
        """Tell other processes that this computation waits for another one."""
        self._waits.append(row)
        self.renew()

    def wait_no_more(self, row: bytes) -> None:
        """Take :meth:`wait_for` back."""
        self._waits.remove(row)
        self.renew()

    def drop(self) -> None:
        """Remove the row, unless another process has taken it over."""
        if self._is_over():
            return
        try:
            while not self.is_lost:
                try:
                    self.claims.engine.commit(Batch(deletes=frozenset((self.row,)), checks={self.row: self._version}))
                    return
                except Conflict:
                    self._look()
        except (Unavailable, OutcomeUnknown):
            return  # it is not renewed any more, and the result is not to be lost for that

    def drop_with(self, batch: Batch) -> bool:
        """Commit a batch, which is to be stored by the claim's computation, and remove the row in the same commit.

        Returns False if another process has taken the claim over. Then nothing is committed.
        """
        while not self._is_over():
            checks = {self.row: self._version}
            try:
                self.claims.engine.commit(Batch(batch.puts, batch.deletes.union(checks), checks))
            except Conflict:
                self._look()
            else:
                self.is_dropped = True
        return self.is_dropped

    def _is_over(self) -> bool:
        return self.is_lost or self.is_dropped or self.pid != os.getpid()

    def _look(self) -> None:
        """Read the version of the row, which another thread may have renewed."""
        entry = self.claims.engine.get(self.row)
        if entry is None or _Content(entry.record).token != self._token:
            self.is_lost = True
        else:
            self._version = entry.version


class Claims:
    """The claims of a shelf, as one handle takes them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._renewer = Renewer()
        self._has_swept = False
        self._process: Process | None = None
        self._takers: set[tuple[bytes, object]] = set()

    def process(self) -> Process:
        """The process that takes claims now. It is asked of the system once in each process."""
        if self._process is None or self._process.pid != os.getpid():
            self._process = this_process()
        return self._process

    def row(self, key: bytes) -> bytes:
        """The key of the row for an encoded key."""
        return CLAIMS[0] + blake2b(key, digest_size=_DIGEST).digest()

    def take(self, row: bytes, patience: Patience) -> Claim | None:
        """Claim a row; None if another thread or process has it."""
        if not self._has_swept:
            self._has_swept = True
            self._sweep()
        entry = self.engine.get(row)
        if entry is not None and not patience.is_over(entry):
            return None
        claim = Claim(self, row)
        self._takers.add((row, claim.taker))
        try:
            is_mine = claim.put(ABSENT if entry is None else entry.version)
        except BaseException:
            self._takers.discard((row, claim.taker))
            raise
        if not is_mine:
            self._takers.discard((row, claim.taker))
            return None
        self._renewer.add(claim)
        return claim

    def drop(self, claim: Claim) -> None:
        """Give a claim back."""
        self._renewer.remove(claim)
        try:
            claim.drop()
        finally:
            self._takers.discard((claim.row, claim.taker))

    def is_from_here(self, row: bytes) -> bool:
        """Whether this task has the claim of a row. A signal handler may have interrupted it anywhere."""
        return (row, _this_task()) in self._takers

    def waits_for(self, row: bytes, own: Iterable[bytes]) -> bool:
        """Whether the computation of a row waits, through others, for one of one's own rows."""
        wanted, seen, to_do = set(own), set[bytes](), [row]
        while to_do:
            at = to_do.pop()
            if at in wanted:
                return True
            seen.add(at)
            entry = self.engine.get(at)
            if entry is not None:
                to_do += _Content(entry.record).waits - seen
        return False

    def _sweep(self) -> None:
        """Remove what processes left that were killed, so that such rows do not gather."""
        left = [(row, entry) for row, entry in self.engine.scan(*CLAIMS) if entry is not None]
        for row, entry in left:
            if _Content(entry.record).is_forgotten():
                try:
                    self.engine.commit(Batch(deletes=frozenset((row,)), checks={row: entry.version}))
                except Conflict:
                    continue  # another process has taken it over
