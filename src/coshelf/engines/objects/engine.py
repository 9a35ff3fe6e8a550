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
from concurrent.futures import Future
from functools import partial
from itertools import islice, pairwise
from typing import Any

from coshelf import records
from coshelf.contract import (
    ABSENT,
    Absent,
    Batch,
    Capabilities,
    Doorbell,
    Engine,
    Entry,
    OpenOptions,
    PollingBell,
    Snapshot,
)
from coshelf.engines.objects.address import Address
from coshelf.engines.objects.client import NEW, Client, Listed, Token
from coshelf.engines.objects.failures import Changed
from coshelf.engines.objects.names import before, key_of, name_of
from coshelf.engines.objects.workers import Workers
from coshelf.errors import (
    Conflict,
    OutcomeUnknown,
    Unavailable,
    Unsupported,
)

__all__ = ["ENTRIES", "ObjectsEngine"]

ENTRIES = "e"
"""The folder of the entries. It is short because each byte of a name shortens the longest key."""

_FIRST_PAGES = (1, 16)  # entries: a caller that needs one entry does not pay for a hundred
_PAGE = 100
_DELETED_TOGETHER = 1_000  # by one request
_FIRST_NAP = 0.05  # seconds between two requests of a waiting reader; each costs money
_LONGEST_NAP = 1.0

_Page = list[tuple[bytes, Entry]]


class _Version(int):
    """The number of a record, with the server's token of the object that has it."""

    token: Token

    @classmethod
    def of(cls, number: int, token: Token) -> _Version:
        made = cls(number)
        made.token = token
        return made


class _ObjectEntry(Entry):
    """An entry that knows the state of its object."""

    __slots__ = ("token",)

    def __init__(self, record: bytes, token: Token) -> None:
        super().__init__(record)
        self.token = token

    @property
    def version(self) -> _Version:
        return _Version.of(records.version(self.record), self.token)


class ObjectsEngine(Engine):
    """Entries in the objects below a prefix of a bucket."""

    name = "objects"

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
        self._folder = f"{address.root}{ENTRIES}"

    # --- reading -----------------------------------------------------------------------------------------------------

    def _name(self, key: bytes) -> str:
        return f"{self._folder}/{name_of(key)}"

    def get(self, key: bytes) -> Entry | None:
        if self._is_too_long(key):
            return None
        found = self._client.get(self._name(key))
        if found is None or not found.data:
            return None
        return _ObjectEntry(found.data, found.token)

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        return self._workers.all([partial(self.get, key) for key in keys]) if keys else []

    def _listed(self, start: bytes, stop: bytes) -> Iterator[list[bytes]]:
        """The keys of a range, by pages, each one request."""
        if start >= stop:
            return
        first, end = f"{self._folder}/{name_of(start)}", f"{self._folder}/{name_of(stop)}"
        low = before(name_of(start))
        last = ""
        for page in self._client.pages(self._folder, f"{self._folder}/{low}" if low else ""):
            if page[0].name <= last or any(a.name >= b.name for a, b in pairwise(page)):
                raise Unsupported(f"{self.where}: the server lists names in no order, so that no range can be read")
            last = page[-1].name
            keys = [self._key(listed) for listed in page if listed.size and first <= listed.name < end]
            if found := [key for key in keys if key is not None]:
                yield found
            if last >= end:
                return

    def _key(self, listed: Listed) -> bytes | None:
        return key_of(listed.name.removeprefix(f"{self._folder}/"))

    def key_pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[bytes]]:
        if not reverse:
            yield from self._listed(start, stop)
            return
        for page in reversed(list(self._listed(start, stop))):  # no server lists backwards
            yield page[::-1]

    def count(self, start: bytes, stop: bytes) -> int:
        return sum(len(page) for page in self._listed(start, stop))

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
        keys = (key for page in self.key_pages(start, stop, reverse=reverse) for key in page)
        first = list(islice(keys, _FIRST_PAGES[0]))
        if not first:
            return
        yield _whole(first, self.get_many(first))
        ahead: tuple[list[bytes], list[Future[Entry | None]]] | None = None
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

    # --- writing -----------------------------------------------------------------------------------------------------

    def _apply(self, batch: Batch) -> int:
        number = int.from_bytes(os.urandom(8), "little")
        if batch.checks:
            return self._commit_checked(batch, number)
        gone = set(batch.deletes)
        for start, stop in batch.clears:
            for page in self._listed(start, stop):
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
            if found is None or found.data:
                raise
        return _Version.of(version, self._client.put(name, record, found.token))  # over a tombstone

    def _delete(self, key: bytes, expected: int | str | Absent) -> None:
        token = self._token(key, expected)
        if expected is ABSENT:  # it is absent: there is nothing to delete
            return
        if self._deletes_conditionally:
            self._client.delete_matching(self._name(key), token)
        else:
            self._client.put(self._name(key), b"", token)

    def _token(self, key: bytes, expected: int | str | Absent) -> Token:
        """The state of the object that has a version. Raises :class:`Changed` if it has another one now."""
        if isinstance(expected, _Version):
            return expected.token
        entry = self.get(key)
        if (ABSENT if entry is None else entry.version) != expected:
            raise Changed
        return entry.token if isinstance(entry, _ObjectEntry) else NEW

    def _is_too_long(self, key: bytes) -> bool:
        return len(key) > (self.capabilities.largest_key or 0)

    # --- the end -----------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Nothing to do: an acknowledged write is as durable as the server makes it."""

    def close(self) -> None:
        self._workers.close()

    def reopen_arguments(self) -> tuple[str, OpenOptions]:
        return self._address.reopening(), self._options.for_reopening()


def _whole(keys: list[bytes], entries: list[Entry | None]) -> _Page:
    return [(key, entry) for key, entry in zip(keys, entries, strict=True) if entry is not None]
