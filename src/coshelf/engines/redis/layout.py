"""The keys of the server that hold a shelf. docs/engines.md lists them."""

from __future__ import annotations

from dataclasses import dataclass

from coshelf.contract import QUEUES, TURNS
from coshelf.engines.redis.client import slot_of
from coshelf.keys import FIRST

__all__ = ["Bucket", "Layout", "is_of_lines"]

_PREFIX = b"coshelf:"


def is_of_lines(key: bytes) -> bool:
    """Whether a key is that of a row of lines of turns, or of queues. Those that wait for them have their own bell."""
    return TURNS[0] <= key < QUEUES[1]


class Bucket:
    """A part of a shelf that lies in one hash slot: all of its keys have the same part in braces.

    Attributes:
        state: hash: the store's id, the number of changes.
        records: hash: key to record.
        keys: sorted set of the keys, all with score 0, so in the order of their bytes.
        reserved: hash of coshelf's own rows, which are not entries of the shelf.
        reserved_keys: sorted set of their keys, as ``keys``.
        times: sorted set of the keys of the entries that expire. The score is the time.
        bell: channel on which commits are announced.
        line_bell: the channel for commits to rows of lines and queues. Other commits are not announced there.
        history: stream of what the last commits did, while somebody watches.
        slot: the hash slot of all these.
    """

    def __init__(self, tag: bytes) -> None:
        self._base = _PREFIX + b"{" + tag + b"}:"
        self.state = self._base + b"state"
        self.records = self._base + b"records"
        self.keys = self._base + b"keys"
        self.reserved = self._base + b"reserved"
        self.reserved_keys = self._base + b"reserved-keys"
        self.times = self._base + b"times"
        self.bell = self._base + b"bell"
        self.line_bell = self._base + b"line-bell"
        self.history = self._base + b"history"
        self.slot = slot_of(self.state)

    def ticket(self, name: bytes) -> bytes:
        """The key that holds the number of the last commit made with a ticket."""
        return self._base + b"ticket:" + name

    def hash_of(self, key: bytes) -> bytes:
        """The hash in which the record of a key lies."""
        return self.records if key >= FIRST else self.reserved


@dataclass(frozen=True)
class Layout:
    """The keys of a shelf.

    Attributes:
        meta: hash with format, id, number of buckets and time of creation; in the slot of a shelf's only bucket.
        buckets: its parts.
    """

    meta: bytes
    buckets: tuple[Bucket, ...]

    @classmethod
    def of(cls, name: str, buckets: int) -> Layout:
        tag = name.encode()
        tags = [tag] if buckets == 1 else [tag + b"/" + str(at).encode() for at in range(buckets)]
        return cls(cls.meta_of(name), tuple(Bucket(tag) for tag in tags))

    @staticmethod
    def meta_of(name: str) -> bytes:
        """The key of a shelf's meta, by which it is found."""
        return _PREFIX + b"{" + name.encode() + b"}:meta"

    def index(self, key: bytes) -> int:
        """The index of an entry's bucket. The part of the key in braces decides, or the whole key if there is none.

        Reserved rows are in the first bucket.
        """
        if len(self.buckets) == 1 or key < FIRST:
            return 0
        return slot_of(key, len(self.buckets))
