"""The engine: opens a shelf on the servers, and implements the contract."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from typing import Any

from coshelf.contract import Batch, Changes, Doorbell, Engine, Entry, OpenOptions, Position, Snapshot
from coshelf.engines.leases.lines import HasLines, Lines
from coshelf.engines.redis import expiry
from coshelf.engines.redis.address import Address, parse
from coshelf.engines.redis.bell import CountingBell, SubscribedBell
from coshelf.engines.redis.changes import RedisChanges, Watching
from coshelf.engines.redis.client import Client, Command
from coshelf.engines.redis.commits import Committer, bucket_of
from coshelf.engines.redis.expiry import separated, server_clock
from coshelf.engines.redis.layout import Bucket, Layout, is_of_lines
from coshelf.engines.redis.lines import RedisLines
from coshelf.engines.redis.probing import Found, capabilities, probe, refuse_unfit
from coshelf.engines.redis.scanning import PAGE_SIZE, Row, pages_of, whole_record
from coshelf.engines.redis.scripts import COUNT, CREATE, GET
from coshelf.errors import (
    FormatTooNew,
    NotAShelf,
    ShelfNotFound,
    Unsupported,
)
from coshelf.keys import FIRST, LAST
from coshelf.values.expiry import EXPIRING

__all__ = ["RedisEngine", "open_engine"]

_FORMAT = 1
_FIELDS = (b"format", b"id", b"buckets", b"created")


def open_engine(target: Any, options: OpenOptions) -> Engine:
    """The engine at a URL: ``redis://host:port/db/name``, ``redis+cluster://...``, ``redis+sentinel://...``."""
    address = parse(target)
    client = Client(address, options.timeout)
    try:
        try:
            found = probe(client)
        except TypeError as error:  # an option that the client does not know
            raise ValueError(f"{address.where}: {error}") from None
        refuse_unfit(found, client, writes=options.flag != "r")
        meta = _meta(client, address, make=options.flag in ("c", "n"))
        return RedisEngine(target, client, found, meta, options)
    except BaseException:
        client.close()
        raise


def _meta(client: Client, address: Address, *, make: bool) -> dict[bytes, bytes]:
    """The shelf's meta hash on the server. With ``make``, a missing shelf is made first."""
    key = Layout.meta_of(address.name)
    slot = Layout.of(address.name, 1).buckets[0].slot
    kind = client.read(slot, "TYPE", key)
    if kind not in (b"none", "none", b"hash", "hash"):
        raise NotAShelf(f"{key.decode()} in {address.where} does not belong to a shelf; it has not been changed")
    meta = _pairs(client.read(slot, "HGETALL", key))
    if not meta:
        if not make:
            raise ShelfNotFound(f"there is no shelf {address.name!r} in {address.where}")
        meta = _make(client, address, key, slot)
    if not all(field in meta for field in _FIELDS):
        raise NotAShelf(f"{key.decode()} in {address.where} does not belong to a shelf; it has not been changed")
    if int(meta[b"format"]) > _FORMAT:
        raise FormatTooNew(f"the shelf {address.where} was made by a later version of coshelf")
    buckets = int(meta[b"buckets"])
    if address.buckets not in (None, buckets):
        raise Unsupported(
            f"the shelf {address.where} was made with buckets={buckets}, which cannot be changed to "
            f"buckets={address.buckets}"
        )
    if b"ready" not in meta and make:
        _make_ready(client, address, key, slot, meta)
    return meta


def _make(client: Client, address: Address, key: bytes, slot: int) -> dict[bytes, bytes]:
    """Make the shelf, unless another process makes it at the same time."""
    buckets = address.buckets or 1
    for bucket in Layout.of(address.name, buckets).buckets:
        for name in (bucket.state, bucket.records, bucket.keys, bucket.reserved, bucket.reserved_keys, bucket.times):
            if client.read(bucket.slot, "EXISTS", name):
                # Another process may have made the shelf, and this key with it, since it was looked for.
                meta = _pairs(client.read(slot, "HGETALL", key))
                if meta:
                    return meta
                raise NotAShelf(
                    f"{name.decode()} in {address.where} does not belong to a shelf; it has not been changed"
                )
    fields = (b"format", _FORMAT, b"id", os.urandom(16), b"buckets", buckets, b"created", int(time.time()))
    return _pairs(client.read(slot, *CREATE.call((key,), *fields)))


def _make_ready(client: Client, address: Address, key: bytes, slot: int, meta: dict[bytes, bytes]) -> None:
    """Store the shelf's id in each bucket. If this process dies before the end, the next one that opens it goes on."""
    for bucket in Layout.of(address.name, int(meta[b"buckets"])).buckets:
        client.read(bucket.slot, "HSETNX", bucket.state, b"id", meta[b"id"])
    client.read(slot, "HSET", key, b"ready", 1)


def _pairs(answer: Any) -> dict[bytes, bytes]:
    return dict(answer) if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))


def _living(bucket: Bucket, keys: list[bytes]) -> Command:
    """The command for the records of a bucket's entries that have not expired."""
    return GET.call((bucket.records, bucket.times), expiry.given(), *keys)


def _expires(record: bytes | None) -> bool:
    """Whether a record has a time."""
    return record is not None and record[:2] == EXPIRING


class RedisEngine(HasLines):
    """Entries on servers of Redis or Valkey."""

    name = "redis"
    can_be_awaited = True
    hides_expired = True
    removes_expired = True
    finds_first = True
    _has_times = False  # whether an entry that expires was read or written; until then, gets need no script

    def __init__(
        self, target: str, client: Client, found: Found, meta: dict[bytes, bytes], options: OpenOptions
    ) -> None:
        self._target = target
        self._client = client
        self._options = options
        self._found = found
        self._layout = Layout.of(client.address.name, int(meta[b"buckets"]))
        self._only = self._layout.buckets[0] if len(self._layout.buckets) == 1 else None
        self.where = client.where
        self.store_id = meta[b"id"]
        self._clock = server_clock(client, self._layout.buckets[0].slot)
        self.capabilities = capabilities(found, client, len(self._layout.buckets), options.durability)
        self._commits = Committer(
            client,
            self.store_id,
            "SPUBLISH" if found.clustered and found.rings else "PUBLISH",
            repeats=found.remembers,
            after=self._waiting(),
        )
        self._watching = Watching(client, self._layout.buckets, self.store_id)

    def _waiting(self) -> tuple[Command, int] | None:
        """The command after each commit that waits until it is safe."""
        # Less than the timeout of a reply, or the connection would count as lost.
        milliseconds = int(self._client.reply_timeout * 800)
        wait = self._client.address.wait
        if self._options.durability == "commit" and self._found.syncs and self._found.fsync != "always":
            return ("WAITAOF", 1, wait, milliseconds), 1
        return (("WAIT", wait, milliseconds), wait) if wait else None

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Entry | None:
        bucket = self._only or self._layout.buckets[self._layout.index(key)]
        if not self._has_times or key < FIRST:
            record = self._client.read(bucket.slot, b"HGET", bucket.hash_of(key), key)
            if not _expires(record):
                return None if record is None else Entry(whole_record(record, key, self.where))
            self._has_times = True
        (record,) = self._client.read(bucket.slot, *_living(bucket, [key]))
        return None if record is None else Entry(whole_record(record, key, self.where))

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        """The entries of several keys. Those of one bucket are read in one request, and are of one instant."""
        groups: dict[tuple[Bucket, bytes], list[int]] = {}
        for at, key in enumerate(keys):
            bucket = self._only or self._layout.buckets[self._layout.index(key)]
            groups.setdefault((bucket, bucket.hash_of(key)), []).append(at)
        if not groups:
            return []
        asks = self._has_times
        commands: list[tuple[int, Command]] = []
        for (bucket, name), places in groups.items():
            some = [keys[at] for at in places]
            is_script = asks and name == bucket.records
            commands.append((bucket.slot, _living(bucket, some) if is_script else (b"HMGET", name, *some)))
        answers = self._client.read_many(commands)
        if not asks and any(map(_expires, chain.from_iterable(answers))):
            self._has_times = True
            return self.get_many(keys)
        entries: list[Entry | None] = [None] * len(keys)
        for found, places in zip(answers, groups.values(), strict=True):
            for at, record in zip(places, found, strict=True):
                if record is not None:
                    entries[at] = Entry(whole_record(record, keys[at], self.where))
        return entries

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        """The entries of a range. Each page is of one instant, but the whole range is not."""
        pages = self._pages(start, stop, reverse, keys_only)
        with closing(pages):
            for page in pages:
                for key, record in page:
                    yield key, None if record is None else Entry(record)

    def pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[tuple[bytes, bytes]]]:
        return self._pages(start, stop, reverse, keys_only=False)  # type: ignore[return-value]

    def key_pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[bytes]]:
        pages = self._pages(start, stop, reverse, keys_only=True)
        with closing(pages):
            for page in pages:
                yield [key for key, _ in page]

    def first(self, start: bytes, stop: bytes, *, reverse: bool = False) -> tuple[bytes, Entry] | None:
        if stop > FIRST:  # entries that have expired may come before it
            return super().first(start, stop, reverse=reverse)
        pages = self._pages(start, stop, reverse=reverse, keys_only=False, size=1)
        with closing(pages):
            for key, record in next(pages, ()):
                assert record is not None
                return key, Entry(record)
        return None

    def _pages(
        self, start: bytes, stop: bytes, reverse: bool, keys_only: bool, size: int = PAGE_SIZE
    ) -> Generator[list[Row], None, None]:
        return pages_of(
            self._client,
            self._layout,
            start,
            stop,
            reverse=reverse,
            keys_only=keys_only,
            has_times=self._has_times,
            size=size,
        )

    def count(self, start: bytes, stop: bytes) -> int:
        low = max(start, FIRST)
        reserved = 0
        if start < min(stop, FIRST):
            bucket, end = self._layout.buckets[0], b"(" + min(stop, FIRST)
            reserved = int(self._client.read(bucket.slot, b"ZLEXCOUNT", bucket.reserved_keys, b"[" + start, end))
        if low >= stop:
            return reserved
        bounds = (b"", b"") if low == FIRST and stop >= LAST else (low, stop)
        commands: list[tuple[int, Command]] = [
            (bucket.slot, COUNT.call((bucket.keys, bucket.times), expiry.given(), *bounds))
            for bucket in self._layout.buckets
        ]
        counted: int = sum(self._client.read_many(commands))
        return reserved + counted

    def snapshot(self) -> Snapshot:
        raise Unsupported(
            f"snapshot(): the redis engine cannot keep an instant ({self.where})\n"
            "  hint: get_many() is of one instant, and so is each page of a scan; copy() what is needed"
        )

    # --- writing -----------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """The time of the server with the first bucket. Each server compares with its own clock."""
        given = expiry.given()
        return int(given) if given else self._clock.now()

    def number(self) -> int:
        bucket = self._layout.buckets[0]
        drawn: int = self._client.read(bucket.slot, "HINCRBY", bucket.state, b"numbers", 1)
        return drawn

    def remove_expired(self, most: int | None) -> int:
        removed = 0
        for bucket in self._layout.buckets:
            removed += self._commits.remove_expired(bucket, None if most is None else most - removed)
        return removed

    def _apply(self, batch: Batch) -> int:
        batch, times = separated(batch)
        if times:
            self._has_times = True
        bucket = bucket_of(batch, self._layout, self.where)
        if bucket is not None:
            return self._commits.commit(bucket, batch, times)
        number = 0
        for each in self._layout.buckets:  # ranges are cleared bucket by bucket
            number = self._commits.commit(each, batch, times)
        return number

    def doorbell(self, key: bytes) -> Doorbell:
        bucket = self._layout.buckets[self._layout.index(key)]
        of_lines = is_of_lines(key)
        if not self._found.rings:
            return CountingBell(self._client, bucket, of_lines=of_lines)
        return SubscribedBell(self._client, bucket, of_lines=of_lines, sharded=bool(self._found.clustered))

    def turns(self) -> Lines:
        if self._lines is None:
            self._lines = RedisLines(self, self._ring_lines)
        return self._lines

    def _ring_lines(self) -> None:
        self._refuse_writes()
        self._commits.ring_lines(self._layout.buckets[0])

    # --- changes -----------------------------------------------------------------------------------------------------

    def position(self) -> Position:
        """The places in the histories of all buckets, which are kept from now on for two minutes."""
        return ",".join(map(str, self._watching.places()))

    def changes(self, ranges: Sequence[tuple[bytes, bytes]], since: Position) -> Changes:
        return RedisChanges(self._watching, ranges, since)

    # --- the rest ----------------------------------------------------------------------------------------------------

    def distrust(self) -> str:
        return f"every user with write access to the server can have written {self.where}"

    def sync(self) -> None:
        """Wait until all commits are in a synced file, if the server has one and can tell."""
        if not self._found.syncs or self._options.flag == "r":
            return
        milliseconds = int(self._client.reply_timeout * 800)
        for bucket in self._layout.buckets:
            # The server waits only for writes of this connection, so it must write first.
            touched = ("HINCRBY", bucket.state, b"syncs", 1)
            self._client.repeat(partial(self._client.run, bucket.slot, touched, ("WAITAOF", 1, 0, milliseconds)))

    def rest(self) -> None:
        """Give turns back. The server has all acknowledged commits, and may be unreachable, as for :meth:`close`."""
        self.rest_lines()

    def close(self) -> None:
        self.close_lines()
        self._watching.close()
        self._client.close()

    def reopen_arguments(self) -> tuple[str, OpenOptions]:
        return self._target, self._options.for_reopening()
