"""Tells changes: reads the histories of all buckets, each by a request that waits on the server. docs/design.md."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from coshelf.contract import Change, Changes, Position
from coshelf.engines.connections import pauses
from coshelf.engines.keeper import KEPT, Keeper
from coshelf.engines.redis.client import Client, Command, Sent
from coshelf.engines.redis.failures import is_lost, redis, translated
from coshelf.engines.redis.histories import History, HoleError, Place
from coshelf.engines.redis.layout import Bucket
from coshelf.engines.redis.scripts import WATCH
from coshelf.engines.wakeable import WakeableWait, read_aside
from coshelf.errors import ShelfClosed, ShelfNotFound, Unavailable
from coshelf.system.threads.bridge import awaited, is_bridged
from coshelf.system.threads.cooperation import new_reentrant_lock

__all__ = ["RedisChanges", "Watching"]

_LONGEST_BLOCK = 5.0  # seconds for which one request waits on the server


class Watching:
    """The histories of a shelf: one for each bucket, kept on the server while somebody watches.

    Attributes:
        keeper: renews them for the readers of this handle.
        is_closed: whether the handle has been closed.
    """

    def __init__(self, client: Client, buckets: Sequence[Bucket], store_id: bytes) -> None:
        self.client = client
        self.buckets = buckets
        self._store_id = store_id
        self.keeper = Keeper(self.places)
        self.is_closed = False

    def close(self) -> None:
        """Let all readers of this handle return, and refuse to read on."""
        self.is_closed = True
        self.keeper.close()

    def places(self, *buckets: Bucket) -> list[Place]:
        """Keep the histories, of some buckets or of all; return their ends. A history that is not kept is begun."""
        commands: list[tuple[int, Command]] = [
            (bucket.slot, WATCH.call((bucket.state, bucket.history), self._store_id, os.urandom(8), KEPT))
            for bucket in buckets or self.buckets
        ]
        return [self._found(reply) for reply in self.client.read_many(commands)]

    def _found(self, reply: Any) -> Place:
        if reply is None:
            raise ShelfNotFound(
                f"the shelf {self.client.where} is not on its server any more: it was deleted or evicted, or the "
                "server was restarted without persistence"
            )
        return Place(int(reply[0]), bytes(reply[1] or b""))

    def parsed(self, since: Position) -> list[Place]:
        """The places that a position is made of. Raises ValueError."""
        texts = since.split(",") if isinstance(since, str) else []
        places = [place for text in texts if (place := Place.of(text)) is not None]
        if not len(places) == len(texts) == len(self.buckets):
            raise ValueError(f"{since!r} is no position of the shelf {self.client.where}")
        return places


class RedisChanges(Changes):
    """A reader of changes. A position is the text of the places in all histories, with commas between them."""

    def __init__(self, watching: Watching, ranges: Sequence[tuple[bytes, bytes]], since: Position) -> None:
        self._watching = watching
        self._client = watching.client
        self._ranges = tuple(ranges)
        self._histories = [
            History(bucket, place) for bucket, place in zip(watching.buckets, watching.parsed(since), strict=True)
        ]
        self._block = int(min(self._client.reply_timeout / 2, _LONGEST_BLOCK) * 1000)
        self._wait = WakeableWait()
        self._lock = new_reentrant_lock()  # a signal handler that interrupts a read may close the reader
        self._is_closed = False
        self._pid = os.getpid()
        watching.keeper.add(self)

    def read(self, timeout: float | None) -> list[Change]:
        if is_bridged():
            return awaited(read_aside(self, timeout))
        end = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            if self._pid != os.getpid():
                self._belong_to_child()
            try:
                return self._read(end)
            except Exception as error:
                mine = translated(error, self._client.where)
                if mine is error:
                    raise
                raise mine from error

    def _refuse_closed(self) -> None:
        if self._is_closed or self._watching.is_closed:
            what = "this reader of the changes of" if self._is_closed else "the shelf"
            raise ShelfClosed(f"{what} {self._client.where} has been closed")

    def _belong_to_child(self) -> None:
        self._pid = os.getpid()
        for history in self._histories:
            history.forget()  # the connections are the parent's
        self._watching.keeper.add(self)

    def _read(self, end: float | None) -> list[Change]:
        """Read, and wait while the servers cannot be reached."""
        began, backoff = time.monotonic(), pauses()
        while True:
            self._refuse_closed()
            places = [history.place for history in self._histories]
            try:
                found = self._ready() or self._awaited(end)
                if found is not None:
                    return found
                continue
            except BaseException as error:  # what has been read of this attempt is read again
                for history, place in zip(self._histories, places, strict=True):
                    history.forget()
                    history.place = place
                if not isinstance(error, Exception) or not (is_lost(error) or str(error).startswith("UNBLOCKED")):
                    raise
                waited = time.monotonic() - began
                if waited + backoff.pause > self._client.timeout:
                    raise Unavailable(
                        f"cannot reach {self._client.where}: {type(error).__name__}: {error}; tried for {waited:.1f} s "
                        f"(timeout {self._client.timeout:g} s)\n  hint: read on, or watch again since the last position"
                    ) from error
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return []
            if self._wait.wait((), backoff.pause if left is None else min(backoff.pause, left)) is None:
                return []
            backoff.lengthen()
            self._client.learn()

    def _ready(self) -> list[Change]:
        """What the servers have already."""
        sent: list[tuple[History, Sent]] = []
        try:
            for history in self._histories:
                commands = history.question(), history.command(None)
                sent.append((history, self._client.send(history.bucket.slot, *commands)))
            replies = []
            while sent:
                history, request = sent.pop(0)
                replies.append((history, request.replies()))
        finally:
            for _, request in sent:
                request.drop()
        for _, (known, _) in replies:
            if isinstance(known, Exception):
                raise known
        lost = [history for history, (known, _) in replies if not history.is_known(known)]
        if lost:
            return self._lost(lost)
        return [change for history, (_, reply) in replies for change in self._taken(history, reply)]

    def _lost(self, histories: list[History]) -> list[Change]:
        """Go to the ends of histories that do not have what comes next."""
        ends = self._watching.places(*(history.bucket for history in histories))
        for history, end in zip(histories, ends, strict=True):
            history.go_to(end)
        return [Change(b"", "gap", self._position())]

    def _awaited(self, end: float | None) -> list[Change] | None:
        """What the servers have next; None if it is time to ask what they have."""
        waiting: dict[int, History] = {}
        for history in self._histories:
            if history.sent is None:
                history.sent = self._client.send(history.bucket.slot, history.command(self._block))
                history.sent_at = time.monotonic()
            waiting[history.sent.fileno()] = history
        now = time.monotonic()
        late = min(history.sent_at for history in self._histories) + self._block / 1000 + self._client.reply_timeout
        ready = self._wait.wait(waiting, late - now if end is None else min(late, end) - now)
        if not ready:
            if ready is not None and time.monotonic() >= late:
                raise redis.TimeoutError("the server was silent")
            return []
        changes: list[Change] = []
        for number in ready:
            history = waiting[number]
            sent, history.sent = history.sent, None
            assert sent is not None
            sent.fileno()  # raises if the connection was closed
            (reply,) = sent.replies()
            changes += self._taken(history, reply)
        return changes or None

    def _taken(self, history: History, reply: Any) -> list[Change]:
        """The selected changes in a reply."""
        if isinstance(reply, Exception):
            raise reply
        changes: list[Change] = []
        try:
            for told in history.take(reply):
                position = self._position()
                changes += [
                    Change(key, kind, position, record) for key, kind, record in told.changes if self._selects(key)
                ]
        except HoleError:
            changes += self._lost([history])
        return changes

    def _position(self) -> str:
        return ",".join(str(history.place) for history in self._histories)

    def _selects(self, key: bytes) -> bool:
        return any(start <= key < stop for start, stop in self._ranges)

    def wake(self) -> None:
        self._wait.wake()

    def close(self) -> None:
        self._is_closed = True
        self._watching.keeper.remove(self)
        self._wait.wake()
        with self._lock:
            for history in self._histories:
                history.forget()
            self._wait.close()
