"""Commits: one script, which may be sent again, because it recognises a commit that has happened.

Each commit has a random number, which is the version of the entries that it puts. It also has a ticket: a key in which
the script stores that number. If the same commit is sent again, it finds the number there and does nothing. A ticket is
used for one commit at a time. It is not used again after a reply was lost: a commit that was sent on a lost connection
might still arrive.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

from coshelf.contract import QUEUES, TURNS, Absent, Batch
from coshelf.engines.connections import pauses
from coshelf.engines.redis import expiry
from coshelf.engines.redis.client import Client, Command
from coshelf.engines.redis.failures import is_lost, translated
from coshelf.engines.redis.layout import Bucket, Layout, is_of_lines
from coshelf.engines.redis.scripts import COMMIT, REMOVE, RING
from coshelf.errors import Conflict, CrossShard, OutcomeUnknown, ShelfNotFound, Unavailable
from coshelf.keys import FIRST, LAST

__all__ = ["Committer", "bucket_of"]

_REMEMBERED = 1800.0  # seconds; tickets are kept for twice that
_NO_VERSION = b"none such"
_STEP = 1_000  # entries that one script of remove_expired() removes


def bucket_of(batch: Batch, layout: Layout, where: str) -> Bucket | None:
    """The bucket in which a whole batch lies; None if it clears ranges of entries, which lie in all buckets.

    With these ranges it may clear and delete rows of coshelf, and nothing else.

    Raises :class:`CrossShard` if the batch lies in several buckets.
    """
    if len(layout.buckets) == 1:
        return layout.buckets[0]
    spans = any(stop > FIRST for _, stop in batch.clears)
    if spans and not (batch.checks or batch.puts) and all(key < FIRST for key in batch.deletes):
        return None
    indices = {layout.index(key) for keys in (batch.checks, batch.deletes, batch.puts) for key in keys}
    if batch.clears and not spans:
        indices.add(layout.index(batch.clears[0][0]))
    if len(indices) > 1 or (indices and spans):
        raise CrossShard(
            f"{where} has {len(layout.buckets)} buckets, and a commit can change one: this one would change "
            f"{len(layout.buckets) if spans else len(indices)}\n"
            "  hint: keys with the same part in braces are in one bucket ('{ann}/name', '{ann}/age'); a shelf made "
            "with ?buckets=1 has transactions over all keys"
        )
    return layout.buckets[min(indices, default=0)]


class Committer:
    """Sends commits of one shelf.

    Args:
        client: the connection to the servers.
        store_id: the shelf's id; the script changes nothing in a bucket with another id.
        ring: the command that announces a commit.
        repeats: whether servers keep the tickets, by which a repeated commit is recognised.
        after: a command after each commit that waits until it is safe, and the number that it must return.
    """

    def __init__(
        self, client: Client, store_id: bytes, ring: str, *, repeats: bool, after: tuple[Command, int] | None
    ) -> None:
        self._client = client
        self._store_id = store_id
        self._ring = ring
        self._repeats = repeats
        self._after = after
        self._tickets: list[bytes] = []
        self._pid = os.getpid()

    def commit(self, bucket: Bucket, batch: Batch, times: Mapping[bytes, int]) -> int:
        """Commit a batch that lies in one bucket; return the version of its puts. Some of these may have times."""
        number = os.urandom(8)
        arguments = _arguments(batch, times, int.from_bytes(number, "little"))
        ticket = self._take_ticket()
        parts = (bucket.state, bucket.records, bucket.keys, bucket.reserved, bucket.times)
        keys = (*parts, bucket.ticket(ticket), bucket.bell, bucket.history, bucket.reserved_keys, bucket.line_bell)
        fixed = (self._store_id, number, self._ring, expiry.given(), _changed(batch))
        reply = self._deliver(bucket, ticket, COMMIT.call(keys, *fixed, *arguments))
        if isinstance(reply, list):
            raise Conflict(f"{len(reply)} of {len(batch.checks)} entries changed in the meantime", tuple(reply))
        if not reply:
            raise self._gone("nothing was stored")
        return int.from_bytes(number, "little")

    def remove_expired(self, bucket: Bucket, most: int | None) -> int:
        """Remove up to ``most`` expired entries of a bucket, or all, in steps. Return how many these were."""
        total = 0
        while most is None or total < most:
            step = _STEP if most is None else min(_STEP, most - total)
            removed = self._remove(bucket, step)
            total += removed
            if removed < step:
                break
        return total

    def _remove(self, bucket: Bucket, most: int) -> int:
        keys = (bucket.state, bucket.records, bucket.keys, bucket.times, bucket.history)
        arguments = (self._store_id, expiry.given(), most, os.urandom(8))
        removed = int(self._client.read(bucket.slot, *REMOVE.call(keys, *arguments)))
        if removed < 0:
            raise self._gone("nothing was removed")
        return removed

    def ring_lines(self, bucket: Bucket) -> None:
        """Ring the bell of lines and queues without a commit."""
        command = RING.call((bucket.state, bucket.line_bell), self._store_id, self._ring)
        if not self._client.read(bucket.slot, *command):  # ringing twice does no harm
            raise self._gone("no bell was rung")

    def _gone(self, outcome: str) -> ShelfNotFound:
        return ShelfNotFound(
            f"the shelf {self._client.where} is not on its server any more: it was deleted or evicted, or the "
            f"server was restarted without persistence; {outcome}"
        )

    def _take_ticket(self) -> bytes:
        if os.getpid() != self._pid:  # this is a forked child: the parent uses its tickets
            self._tickets, self._pid = [], os.getpid()
        try:
            return self._tickets.pop()
        except IndexError:
            return os.urandom(8).hex().encode()

    def _deliver(self, bucket: Bucket, ticket: bytes, command: Command) -> Any:
        """Send a commit until its outcome is known; return the reply."""
        client = self._client
        began, backoff, sent = time.monotonic(), pauses(), 0
        after = () if self._after is None else (self._after[0],)
        while True:
            try:
                connected = client.connect(bucket.slot)
                sent += 1
                replies = client.run(bucket.slot, command, *after, connected=connected)
                if isinstance(replies[0], Exception):
                    sent -= 1  # it was refused
                    raise replies[0]
                break
            except Exception as error:
                waited = time.monotonic() - began
                if not is_lost(error):
                    mine = self._unknown(error, waited) if sent else translated(error, client.where)
                    raise mine from error
                if sent and not self._repeats:
                    raise self._unknown(error, waited) from error
                if waited + backoff.pause > min(client.timeout, _REMEMBERED):
                    raise (self._unknown(error, waited) if sent else self._unreachable(error, waited)) from error
            backoff.sleep()
            client.learn()
        if sent == 1:
            self._tickets.append(ticket)
        if self._after is not None and replies[0] == 1:
            self._check(replies[1])
        return replies[0]

    def _check(self, reply: Any) -> None:
        """Raise OutcomeUnknown unless the command after the commit says that it is safe."""
        assert self._after is not None
        command, wanted = self._after
        if isinstance(reply, Exception):
            raise OutcomeUnknown(f"stored on {self._client.where}, which then refused {command[0]}: {reply}") from reply
        count = reply[0] if isinstance(reply, list) else reply
        if count < wanted:
            raise OutcomeUnknown(
                f"stored on {self._client.where}, but after {self._client.reply_timeout:g} s {command[0]} says that "
                f"{count} of {wanted} have it safe: a failover or a crash may lose it"
            )

    def _unknown(self, error: Exception, waited: float) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"a write to {self._client.where} was sent and its reply lost ({_named(error)}); after {waited:.1f} s it "
            "is not known whether it has happened\n  hint: read the entry once the server is back"
        )

    def _unreachable(self, error: Exception, waited: float) -> Unavailable:
        return Unavailable(
            f"cannot reach {self._client.where}: {_named(error)}; nothing was written\n"
            f"  tried for {waited:.1f} s (timeout {self._client.timeout:g} s)"
        )


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip() or 'no reason given'}"


def _changed(batch: Batch) -> bytes:
    """Which bells are to ring: that of lines and queues, that of all other rows, or both."""
    keys = [*batch.puts, *batch.deletes]
    if not batch.clears and not any(key < FIRST for key in keys):
        return b"others"
    rows = [is_of_lines(key) for key in keys]
    rows += [flag for start, stop in batch.clears for flag in _cleared(start, stop)]
    return b"both" if len(set(rows)) == 2 else b"lines" if True in rows else b"others"


def _cleared(start: bytes, stop: bytes) -> tuple[bool, ...]:
    """What :func:`is_of_lines` says of the keys of a range."""
    first, end = TURNS[0], QUEUES[1]
    is_within, is_apart = first <= start and stop <= end, stop <= first or end <= start
    return (True,) if is_within else (False,) if is_apart else (True, False)


def _arguments(batch: Batch, times: Mapping[bytes, int], sequence: int) -> list[Any]:
    """A batch as arguments of the script: the counts, then the checks, ranges, deletes, puts and times."""
    sealed = dict(batch.sealed(sequence))
    own = sorted(key for key in sealed if key < FIRST)
    clears = [range_ for start, stop in batch.clears for range_ in _ranges(start, stop)]
    parts: list[Any] = [
        len(batch.checks),
        len(clears),
        len(batch.deletes),
        len(own),
        len(sealed) - len(own),
        len(times),
    ]
    for key, version in batch.checks.items():
        parts += (key, _packed(version))
    for range_ in clears:
        parts += range_
    parts += batch.deletes
    for key in own:
        parts += (key, sealed.pop(key))
    for key, record in sealed.items():
        parts += (key, record)
    for key in times:
        parts += (times[key], key)
    return parts


def _ranges(start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
    """A range to clear as the script takes it: that of coshelf's own rows, and that of entries."""
    if start < min(stop, FIRST):
        yield b"[" + start, b"(" + min(stop, FIRST)
    if start <= FIRST and stop >= LAST:
        yield b"*", b""
    elif max(start, FIRST) < min(stop, LAST):
        yield b"[" + max(start, FIRST), b"(" + stop


def _packed(version: int | str | Absent) -> bytes:
    """A version as in a record; empty for a missing entry."""
    if isinstance(version, Absent):
        return b""
    if isinstance(version, int) and 0 <= version < 1 << 64:
        return version.to_bytes(8, "little")
    return _NO_VERSION
