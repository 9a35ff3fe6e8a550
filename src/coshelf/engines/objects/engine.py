"""The engine: an object for each entry. Several requests are sent at the same time.

An object holds a sealed record. Its number is random, so no two writes have the same bytes or the same ETag. To
overwrite the state that was read, the engine writes with ``If-Match``; to create an entry, with ``If-None-Match``.

A deletion with a condition has ``If-Match``, too, if the server honours that. On other servers an empty object, a
tombstone, is written in the entry's place. It counts as no entry and stays until it is overwritten. To delete it later,
without a condition, could delete an entry that another process has stored meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

from coshelf import records
from coshelf.contract import (
    ABSENT,
    Absent,
    Batch,
    Capabilities,
    Changes,
    Doorbell,
    Entry,
    OpenOptions,
    PollingBell,
    Position,
    Snapshot,
)
from coshelf.engines.leases.lines import HasLines
from coshelf.engines.objects.address import Address
from coshelf.engines.objects.changes import ObjectsChanges, Seen
from coshelf.engines.objects.client import NEW, Client, Token
from coshelf.engines.objects.failures import Changed
from coshelf.engines.objects.listing import Listing
from coshelf.engines.objects.times import Times
from coshelf.engines.objects.workers import Begun, Workers
from coshelf.engines.server_clock import ServerClock
from coshelf.engines.times import without_rows
from coshelf.errors import (
    Conflict,
    OutcomeUnknown,
    Unavailable,
    Unsupported,
)
from coshelf.system import clock
from coshelf.values.expiry import EXPIRING, is_over, time_of

__all__ = ["ENTRIES", "META", "ObjectsEngine"]

META = "coshelf.json"
"""The object that marks a shelf."""

ENTRIES = "e"
"""The folder of the entries. It is short because each byte of a name shortens the longest key."""

_FIRST_PAGES = (1, 16)  # entries: a caller that needs one entry does not pay for a hundred
_PAGE = 100
_DELETED_TOGETHER = 1_000  # by one request
_FIRST_NAP = 0.05  # seconds between two requests of a waiting reader; each costs money
_LONGEST_NAP = 1.0
_SECOND = 999_999  # microseconds: a server's time has no fractions

_Page = list[tuple[bytes, Entry]]


class _Version(int):
    """The number of a record, with the server's token of the object that has it."""

    token: Token
    time: int | None
    """When the entry expires."""

    @classmethod
    def of(cls, number: int, token: Token, time: int | None = None) -> _Version:
        made = cls(number)
        made.token = token
        made.time = time
        return made


class _ObjectEntry(Entry):
    """An entry that knows the state of its object."""

    __slots__ = ("token",)

    def __init__(self, record: bytes, token: Token) -> None:
        super().__init__(record)
        self.token = token

    @property
    def version(self) -> _Version:
        return _Version.of(records.version(self.record), self.token, time_of(self.record))


class ObjectsEngine(HasLines):
    """Entries in the objects below a prefix of a bucket."""

    name = "objects"
    can_be_awaited = True
    hides_expired = True

    def __init__(
        self,
        address: Address,
        client: Client,
        workers: Workers,
        options: OpenOptions,
        capabilities: Capabilities,
        store_id: bytes,
        conditional_deletes: bool,
    ) -> None:
        self.where = address.shown
        self.capabilities = capabilities
        self.store_id = store_id
        self._address = address
        self._client = client
        self._workers = workers
        self._options = options
        self._deletes_conditionally = conditional_deletes
        self._listing = Listing(client, f"{address.root}{ENTRIES}", self.where)
        self._clock = ServerClock(self._ask_for_time)
        self._seen = Seen(client, workers, self._listing, self.now, self.where)
        self._times = Times(client, workers, self._listing, self.now, self._living, self._delete_in)

    # --- reading -----------------------------------------------------------------------------------------------------

    def _name(self, key: bytes) -> str:
        return self._listing.name(key)

    def get(self, key: bytes) -> Entry | None:
        if self._is_too_long(key):
            return None
        found = self._client.get(self._name(key))
        if found is None or not found.data or self._is_over(key, found.data):
            return None
        return _ObjectEntry(found.data, found.token)

    def _is_over(self, key: bytes, record: bytes) -> bool:
        return record[:2] == EXPIRING and is_over(key, record, self.now())

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        return self._workers.all([partial(self.get, key) for key in keys]) if keys else []

    def key_pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[bytes]]:
        yield from _directed(self._times.pages(start, stop), reverse)

    def count(self, start: bytes, stop: bytes) -> int:
        return sum(len(page) for page in self._times.pages(start, stop))

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        if keys_only:
            for keys in self.key_pages(start, stop, reverse=reverse):
                for key in keys:
                    yield key, None
            return
        for page in self._entry_pages(start, stop, reverse):
            yield from page

    def pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[tuple[bytes, bytes]]]:
        for page in self._entry_pages(start, stop, reverse):
            yield [(key, entry.record) for key, entry in page]

    def _entry_pages(self, start: bytes, stop: bytes, reverse: bool) -> Iterator[_Page]:
        """Pages of entries. While one is used, the next one is requested. Entries deleted meanwhile are left out."""
        listed = _directed(self._listing.pages(start, stop), reverse)  # the records tell whether they have expired
        keys = (key for page in listed for key in page)
        first = list(islice(keys, _FIRST_PAGES[0]))
        if not first:
            return
        yield _whole(first, self.get_many(first))
        ahead: tuple[list[bytes], list[Begun[Entry | None]]] | None = None
        size = _FIRST_PAGES[1]
        try:
            while True:
                chunk = list(islice(keys, size))
                futures = self._workers.later([partial(self.get, key) for key in chunk])
                current, ahead = ahead, (chunk, futures)
                if current is not None:
                    yield _whole(current[0], self._workers.results(current[1]))
                if not chunk:
                    return
                size = _PAGE
        finally:
            if ahead is not None:
                for future in ahead[1]:
                    future.cancel()

    def snapshot(self) -> Snapshot:
        raise Unsupported(
            f"the {self.name} engine cannot keep an instant ({self.where})\n"
            "  hint: copy() what is needed, or `coshelf copy` it to a file"
        )

    def distrust(self) -> str:
        return f"every user with write access to the bucket can have written {self.where}"

    def doorbell(self, key: bytes) -> Doorbell:
        return PollingBell(_FIRST_NAP, _LONGEST_NAP)

    # --- time --------------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """The time of this machine, unless the server says that it is wrong by more than a second."""
        return self._clock.now()

    def _ask_for_time(self) -> int:
        before = clock.now()
        second = self._client.second(self._address.root + META)
        after = clock.now()
        if second is None:
            return after
        return max(after, second) if before <= second + _SECOND else second + _SECOND

    def remove_expired(self, most: int | None) -> int:
        return self._times.remove(most)

    def _living(self, keys: list[bytes]) -> list[bytes]:
        return [key for key, entry in zip(keys, self.get_many(keys), strict=True) if entry is not None]

    # --- writing -----------------------------------------------------------------------------------------------------

    def commit(self, batch: Batch) -> int | str:
        return super().commit(without_rows(batch))

    def refuse_wide(self, batch: Batch, *, whole: bool = False) -> None:
        super().refuse_wide(without_rows(batch), whole=whole)

    def _apply(self, batch: Batch) -> int:
        number = int.from_bytes(os.urandom(8), "little")
        times = self._times.announce(batch.puts, number)
        version = self._commit(batch, number)
        self._times.confirm(times, number)
        return version

    def _commit(self, batch: Batch, number: int) -> int:
        if batch.checks:
            return self._commit_checked(batch, number)
        gone = set(batch.deletes)
        for start, stop in batch.clears:
            for page in self._listing.pages(start, stop):
                gone.update(page)
        names = [self._name(key) for key in sorted(gone - batch.puts.keys()) if not self._is_too_long(key)]
        tasks: list[Callable[[], Any]] = [
            partial(self._client.delete, names[at : at + _DELETED_TOGETHER])
            for at in range(0, len(names), _DELETED_TOGETHER)
        ]
        tasks += [partial(self._put, key, record) for key, record in batch.sealed(number)]
        return self._do(tasks, number)

    def _do(self, tasks: Sequence[Callable[[], Any]], number: int) -> int:
        """Do all tasks, and return the version. If there is one task only, the version has the state of its object."""
        if not tasks:
            return number
        if len(tasks) == 1:
            version = tasks[0]()
            return version if isinstance(version, _Version) else number
        done: list[None] = []  # appended to by many threads

        def counted(task: Callable[[], Any]) -> None:
            task()
            done.append(None)

        try:
            self._workers.all([partial(counted, task) for task in tasks])
        except Unavailable as error:
            if not done:
                raise
            raise OutcomeUnknown(
                f"{self.where} could not be reached after {len(done)} of {len(tasks)} requests to write, which stay "
                f"done: {error}"
            ) from error
        return number

    def _commit_checked(self, batch: Batch, number: int) -> int:
        """Commit one entry with its check, or only checks.

        If all versions that were read are still there, they were all there at one instant: when the checks began.
        """
        if not batch.puts and not batch.deletes:
            keys = list(batch.checks)
            now = dict(zip(keys, self.get_many(keys), strict=True))
            batch.refuse_conflicts(lambda key: ABSENT if (entry := now[key]) is None else entry.version)
            return number
        ((key, expected),) = batch.checks.items()
        try:
            if key in batch.puts:
                return self._put(key, dict(batch.sealed(number))[key], expected)
            self._delete(key, expected)
        except Changed:
            raise Conflict(f"the entry was changed in {self.where} in the meantime", (key,)) from None
        return number

    def _put(self, key: bytes, record: bytes, expected: int | str | Absent | None = None) -> _Version:
        name, version = self._name(key), records.version(record)
        if expected is None:
            return _Version.of(version, self._client.put(name, record))
        if expected is not ABSENT:
            return _Version.of(version, self._client.put(name, record, self._token(key, expected)))
        try:
            return _Version.of(version, self._client.put(name, record, NEW))
        except Changed:
            found = self._client.get(name)
            if found is None or (found.data and not self._is_over(key, found.data)):
                raise
        return _Version.of(version, self._client.put(name, record, found.token))  # over a tombstone, or what expired

    def _delete(self, key: bytes, expected: int | str | Absent) -> None:
        token = self._token(key, expected)
        if expected is ABSENT:  # it is absent: there is nothing to delete
            return
        self._delete_in(key, token)

    def _delete_in(self, key: bytes, token: Token) -> None:
        """Delete an object in a given state."""
        if self._deletes_conditionally:
            self._client.delete_matching(self._name(key), token)
        else:
            self._client.put(self._name(key), b"", token)

    def _token(self, key: bytes, expected: int | str | Absent) -> Token:
        """The state of the object that has a version. Raises :class:`Changed` if it has another one now."""
        if isinstance(expected, _Version):
            if expected.time is not None and expected.time <= self.now():
                raise Changed
            return expected.token
        entry = self.get(key)
        if (ABSENT if entry is None else entry.version) != expected:
            raise Changed
        return entry.token if isinstance(entry, _ObjectEntry) else NEW

    def _is_too_long(self, key: bytes) -> bool:
        return len(key) > (self.capabilities.largest_key or 0)

    # --- changes -----------------------------------------------------------------------------------------------------

    def position(self) -> Position:
        """What is stored now, remembered under a name. It costs a list of the whole shelf."""
        return self._seen.now()

    def changes(self, ranges: Sequence[tuple[bytes, bytes]], since: Position) -> Changes:
        return ObjectsChanges(self._seen, ranges, since)

    # --- the end -----------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Nothing to do: an acknowledged write is as durable as the server makes it."""

    def rest(self) -> None:
        """Give turns back."""
        self.rest_lines()

    def close(self) -> None:
        self.close_lines()
        self._seen.close()
        self._workers.close()

    def reopen_arguments(self) -> tuple[str, OpenOptions]:
        return self._address.reopening(), self._options.for_reopening()


def _directed(pages: Iterator[list[bytes]], reverse: bool) -> Iterator[list[bytes]]:
    """Pages of keys, in one or the other direction. No server lists backwards."""
    return (page[::-1] for page in reversed(list(pages))) if reverse else pages


def _whole(keys: list[bytes], entries: list[Entry | None]) -> _Page:
    return [(key, entry) for key, entry in zip(keys, entries, strict=True) if entry is not None]
