"""Pages of entries in key order. A page is one request, and the next one is requested while a page is used."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

from coshelf import records
from coshelf.engines.redis import expiry
from coshelf.engines.redis.client import Client, Command, Sent
from coshelf.engines.redis.layout import Bucket, Layout
from coshelf.engines.redis.scripts import KEYS, PAGE
from coshelf.errors import DamagedRecord
from coshelf.keys import FIRST

__all__ = ["Row", "pages_of", "whole_record"]

Row = tuple[bytes, bytes | None]  # the record is None if only keys are requested

PAGE_SIZE = 100
_PAGE_BYTES = 1 << 20  # a page of large records ends after so many bytes
_SHARE = 32  # entries of one request to each of several buckets


def whole_record(record: bytes | None, key: bytes, where: str) -> bytes:
    """The record. Raises DamagedRecord if it is missing or too short."""
    if record is None:
        raise DamagedRecord(f"{where} lists a key that has no record", key)
    if len(record) <= records.TRAILER:
        raise DamagedRecord(f"an entry of {len(record)} bytes in {where} is too short for a record", key)
    return record


class _Range:
    """The rest of a range in one bucket: of entries, or of coshelf's own rows, which have no times."""

    def __init__(
        self, bucket: Bucket, start: bytes, stop: bytes, *, reverse: bool, keys_only: bool, has_times: bool, size: int
    ) -> None:
        self.slot = bucket.slot
        self._bucket = bucket
        self._is_own = start < FIRST
        self._low, self._high = b"[" + start, b"(" + stop
        self._reverse = reverse
        self._keys_only = keys_only
        self._size = size
        self._has_times = has_times  # whether entries are known to expire
        self.rows: list[Row] = []
        """The rows that were received and not yet used."""
        self.more = True
        """Whether the server may have further rows."""

    def commands(self) -> list[Command]:
        """The commands for the next page."""
        name = b"ZREVRANGEBYLEX" if self._reverse else b"ZRANGEBYLEX"
        bounds = (self._high, self._low) if self._reverse else (self._low, self._high)
        bucket, time = self._bucket, expiry.given()
        if self._is_own:
            if self._keys_only:
                return [(name, bucket.reserved_keys, *bounds, b"LIMIT", 0, self._size)]
            own = (bucket.reserved_keys, bucket.reserved)
            return [PAGE.call(own, name, *bounds, self._size, time, _PAGE_BYTES)]
        if not self._keys_only:
            keys = (bucket.keys, bucket.records, bucket.times)
            return [PAGE.call(keys, name, *bounds, self._size, time, _PAGE_BYTES)]
        if self._has_times:
            return [KEYS.call((bucket.keys, bucket.times), name, *bounds, self._size, time)]
        # The script would take four times as long on the server. If there are no times, an entry that expires and is
        # listed all the same was stored between these two commands.
        return [(b"EXISTS", bucket.times), (name, bucket.keys, *bounds, b"LIMIT", 0, self._size)]

    def take(self, answers: list[Any], where: str) -> None:
        """Add the rows of the replies to the commands. There are none if the range has to be read by the script."""
        if self._keys_only and self._is_own:
            answers = [(answers[0], ())]
        elif self._keys_only and not self._has_times:
            self._has_times = bool(int(answers[0]))
            if self._has_times:
                return
            answers = [(answers[1], ())]
        listed, gone, *found = answers[0]
        looked_at = found[0] if found else listed
        self.more = len(listed) == self._size or len(looked_at) < len(listed)
        if not looked_at:
            return
        last = listed[len(looked_at) - 1]
        if gone:
            over = {int(place) - 1 for place in gone}
            listed = [key for at, key in enumerate(listed) if at not in over]
            found = [[record for at, record in enumerate(records) if at not in over] for records in found]
        if self._keys_only:
            self.rows += [(key, None) for key in listed]
        else:
            self.rows += [(key, whole_record(record, key, where)) for key, record in zip(listed, *found, strict=False)]
        if self._reverse:
            self._high = b"(" + last
        else:
            self._low = b"(" + last


def pages_of(
    client: Client,
    layout: Layout,
    start: bytes,
    stop: bytes,
    *,
    reverse: bool,
    keys_only: bool,
    has_times: bool,
    size: int = PAGE_SIZE,
) -> Generator[list[Row], None, None]:
    """The rows with ``start <= key < stop``, a page at a time. Each page is of one instant in each bucket.

    ``has_times`` says that entries are known to expire, which saves a request. ``size`` is that of a page where one
    bucket has the whole range.
    """
    part_of = partial(_Range, reverse=reverse, keys_only=keys_only, has_times=has_times)
    parts = []
    if start < min(stop, FIRST):
        parts.append(_ahead(client, part_of(layout.buckets[0], start, min(stop, FIRST), size=size)))
    if max(start, FIRST) < stop:
        bounds = max(start, FIRST), stop
        if len(layout.buckets) == 1:
            parts.append(_ahead(client, part_of(layout.buckets[0], *bounds, size=size)))
        else:
            parts.append(_merged(client, [part_of(bucket, *bounds, size=_SHARE) for bucket in layout.buckets], reverse))
    for part in reversed(parts) if reverse else parts:
        yield from part


def _ahead(client: Client, part: _Range) -> Iterator[list[Row]]:
    """The pages of one bucket. From the second page on, the next page is requested before a page is returned.

    The first page is an exception: a caller that needs one entry would wait for two hundred.
    """
    sent: Sent | None = None
    number = 0
    try:
        while part.more:
            answers: list[Any] = []
            if sent is not None:
                under_way, sent = sent, None
                with suppress(Exception):  # the commands are sent again, and raise if the cause lasts
                    answers = under_way.replies()
            if not answers or any(isinstance(answer, Exception) for answer in answers):
                answers = client.read_many([(part.slot, command) for command in part.commands()])
            part.take(answers, client.where)
            number += 1
            rows, part.rows = part.rows, []
            if part.more and number > 1:
                with suppress(Exception):
                    sent = client.send(part.slot, *part.commands())
            if rows:
                yield rows
    finally:
        if sent is not None:
            sent.drop()


def _merged(client: Client, parts: list[_Range], reverse: bool) -> Iterator[list[Row]]:
    """The rows of several buckets in the order of keys.

    If the received rows of one bucket are used up, all buckets with few of them are asked together.
    """
    while True:
        while any(not part.rows and part.more for part in parts):  # a page may have expired entries alone
            low = [part for part in parts if part.more and len(part.rows) < _SHARE // 2]
            asked = [(part, part.commands()) for part in low]
            answers = iter(client.read_many([(part.slot, command) for part, commands in asked for command in commands]))
            for part, commands in asked:
                part.take(list(islice(answers, len(commands))), client.where)
        rows = [row for part in parts for row in part.rows]
        if not rows:
            return
        # A bucket with further pages may have rows after its last one here, and before the next rows of other buckets.
        ends = [part.rows[-1][0] for part in parts if part.more]
        rows.sort(key=_key, reverse=reverse)
        if ends:
            end = max(ends) if reverse else min(ends)
            ready = [row for row in rows if (row[0] >= end if reverse else row[0] <= end)]
        else:
            ready = rows
        done = len(ready)
        for part in parts:
            part.rows = [row for row in part.rows if (row[0] < end if reverse else row[0] > end)] if ends else []
        assert done
        yield ready


def _key(row: Row) -> bytes:
    return row[0]
