"""Reads the history of a bucket: a stream that has one commit after the other, while somebody watches.

The id of an entry is ``COUNT-PART``. The count grows by one with each commit, so that a missing commit is noticed. The
first entry of a commit has its random number, and that of the commit before. After a failover or restart that has lost
the last commits, their counts are given out again, and the numbers tell that these are other commits. docs/format.md
has the fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from coshelf.engines.redis.client import Command, Sent
from coshelf.engines.redis.layout import Bucket

__all__ = ["History", "HoleError", "Place", "Told"]

_TOGETHER = 200  # entries of one reply
_LATEST_PART = (1 << 64) - 1
_KINDS: Final[dict[bytes, Literal["set", "deleted", "expired"]]] = {
    b"s": "set",
    b"S": "set",  # the record was too large for the history
    b"d": "deleted",
    b"x": "expired",
}
_WRITTEN = re.compile(r"([0-9]{1,19})-([0-9a-f]{16}|)")


@dataclass(frozen=True, slots=True)
class Place:
    """A point in the history of a bucket: right after a commit.

    Attributes:
        count: how many commits the history had had by then.
        number: the random number of that commit; empty if it is not known.
    """

    count: int
    number: bytes

    def __str__(self) -> str:
        return f"{self.count}-{self.number.hex()}"

    @classmethod
    def of(cls, text: str) -> Place | None:
        """The place that a text shows; None if it shows none."""
        found = _WRITTEN.fullmatch(text)
        return None if found is None else cls(int(found[1]), bytes.fromhex(found[2]))


@dataclass(frozen=True, slots=True)
class Told:
    """A commit.

    Attributes:
        place: the point right after it.
        changes: key, kind and record of each change.
    """

    place: Place
    changes: tuple[tuple[bytes, Literal["set", "deleted", "expired"], bytes | None], ...]


class HoleError(Exception):
    """The history does not have what comes next any more."""


class History:
    """Reads one bucket's history.

    Attributes:
        bucket: the bucket.
        place: right after the last commit that was read.
        sent: the request that waits for the next commits.
        sent_at: when it was sent, on the monotonic clock.
    """

    def __init__(self, bucket: Bucket, place: Place) -> None:
        self.bucket = bucket
        self.place = place
        self.sent: Sent | None = None
        self.sent_at = 0.0
        self._parts: list[tuple[int, list[bytes]]] = []

    def command(self, wait: int | None) -> Command:
        """The command that reads on, and waits for the next commit for so many milliseconds."""
        last = _LATEST_PART
        count = self.place.count
        if self._parts:
            count, last = self.place.count + 1, self._parts[-1][0]
        blocks = () if wait is None else (b"BLOCK", wait)
        return (b"XREAD", b"COUNT", _TOGETHER, *blocks, b"STREAMS", self.bucket.history, f"{count}-{last}")

    def question(self) -> Command:
        """The command for the entry of the last commit that was read."""
        entry = b"%d-0" % self.place.count
        return (b"XRANGE", self.bucket.history, entry, entry)

    def is_known(self, reply: Any) -> bool:
        """Whether the history has that commit, by the reply to :meth:`question`."""
        return bool(reply) and reply[0][1][1] == self.place.number

    def take(self, reply: Any) -> Iterator[Told]:
        """The commits in a reply. What was read before is left out. Raises :class:`HoleError`."""
        for entry, fields in _entries(reply):
            count, part = map(int, entry.split(b"-"))
            expected = self._parts[-1][0] + 1 if self._parts else 0
            if count <= self.place.count or (count == self.place.count + 1 and part < expected):
                continue
            if count != self.place.count + 1 or part != expected:
                raise HoleError
            if part == 0 and fields[3] != self.place.number:
                raise HoleError
            self._parts.append((part, fields))
            if fields[-2] != b"m":
                yield self._whole()

    def _whole(self) -> Told:
        fields = [field for _, fields in self._parts for field in fields]
        self._parts.clear()
        changes = []
        for name, record in zip(fields[4::2], fields[5::2], strict=True):
            kind = name[:1]
            if kind == b"g":
                raise HoleError
            if kind != b"m":
                changes.append((name[1:], _KINDS[kind], record if kind == b"s" else None))
        self.place = Place(self.place.count + 1, fields[1])
        return Told(self.place, tuple(changes))

    def go_to(self, place: Place) -> None:
        """Read on from a place."""
        self.place = place
        self._parts.clear()

    def forget(self) -> None:
        """Forget what was not read to the end, and the request under way."""
        self._parts.clear()
        sent, self.sent = self.sent, None
        if sent is not None:
            sent.drop()


def _entries(reply: Any) -> Iterator[tuple[bytes, list[bytes]]]:
    """The entries in a reply about one stream, in either version of the protocol."""
    if not reply:
        return
    (entries,) = reply.values() if isinstance(reply, dict) else (entries for _, entries in reply)
    yield from entries
