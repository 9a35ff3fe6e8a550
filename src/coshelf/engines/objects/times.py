"""The index by time of entries that expire. A row is an object, written before its entry. docs/design.md.

No commit spans a row and its entry. So there may be rows that say nothing, because their entry is missing or has
another time. But no entry with a time is without its row. A row is removed only after its time: with its entry, or much
later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice

from coshelf import records
from coshelf.engines.objects.client import Client, Token
from coshelf.engines.objects.failures import Changed
from coshelf.engines.objects.listing import Listing
from coshelf.engines.objects.workers import Workers
from coshelf.keys import FIRST
from coshelf.values.expiry import INDEX, MARK, is_of_user, is_over, row_key, row_of, time_of, until

__all__ = ["BESIDE_A_KEY", "Times"]

BESIDE_A_KEY = len(row_key(0, b""))
"""Bytes that a row takes in addition to the key of its entry."""

_LINGERS = 900_000_000  # microseconds; a writer that was stopped between row and entry may go on as late as that
_TOGETHER = 64  # rows that are looked at before further ones are listed


class Times:
    """Writes and reads the index.

    Args:
        now: the time by which entries expire.
        living: which of some keys have an entry that has not expired.
        delete: deletes the object of a key in a given state. Raises :class:`Changed` if it has another one.
    """

    def __init__(
        self,
        client: Client,
        workers: Workers,
        listing: Listing,
        now: Callable[[], int],
        living: Callable[[list[bytes]], list[bytes]],
        delete: Callable[[bytes, Token], object],
    ) -> None:
        self._client = client
        self._workers = workers
        self._listing = listing
        self._now = now
        self._living = living
        self._delete = delete

    # --- writing -----------------------------------------------------------------------------------------------------

    def announce(self, puts: Mapping[bytes, bytes], number: int) -> dict[bytes, int]:
        """Write the rows of the bodies that have a time, before they are written. Return these times."""
        times = {key: time for key, body in puts.items() if (time := time_of(body)) is not None}
        self._put_rows(times, number)
        return times

    def confirm(self, times: dict[bytes, int], number: int) -> None:
        """Called when the bodies have been written. Rows whose time has come meanwhile may have been removed."""
        if times and min(times.values()) <= self._now():
            self._put_rows(times, number)

    def _put_rows(self, times: dict[bytes, int], number: int) -> None:
        rows = [row_key(time, key) for key, time in times.items()]
        if rows:
            self._workers.all([partial(self._put_row, row, number) for row in rows])

    def _put_row(self, row: bytes, number: int) -> None:
        self._client.put(self._listing.name(row), records.seal(MARK, records.checksum(row, MARK), number))

    # --- reading -----------------------------------------------------------------------------------------------------

    def pages(self, start: bytes, stop: bytes) -> Iterator[list[bytes]]:
        """The keys of a range whose entries have not expired, by pages.

        The index comes before the entries. So a list of all entries begins there. It costs no more if that is empty.
        """
        if stop <= FIRST:
            yield from self._listing.pages(start, stop)
        elif INDEX[1] <= start <= FIRST:
            yield from self._whole(start, stop)
        else:
            (due,) = self._workers.later([self._due])
            for page in self._listing.pages(start, stop):
                yield from self._without(page, due.result())

    def _whole(self, start: bytes, stop: bytes) -> Iterator[list[bytes]]:
        due: set[bytes] = set()
        for page in self._listing.pages(INDEX[0], stop):
            rows = self._take_due(page, due)
            if rows < len(page) and page[rows] < INDEX[1]:  # there may be many rows of later times
                for entries in self._listing.pages(start, stop):
                    yield from self._without(entries, due)
                return
            if keys := [key for key in page[rows:] if key >= start]:
                yield from self._without(keys, due)

    def _due(self) -> set[bytes]:
        """The keys of the rows whose time has come."""
        due: set[bytes] = set()
        for page in self._listing.pages(*INDEX):
            if self._take_due(page, due) < len(page):
                break
        return due

    def _take_due(self, page: list[bytes], due: set[bytes]) -> int:
        """Add the keys of the rows at the beginning of a page whose time has come. Return their number."""
        count = 0
        for count, row in enumerate(page):
            if row >= INDEX[1] or row_of(row)[0] > self._now():
                return count
            due.add(row_of(row)[1])
        return count + 1

    def _without(self, page: list[bytes], due: set[bytes]) -> Iterator[list[bytes]]:
        """The page without what has expired."""
        doubtful = [key for key in page if key in due] if due else []
        if doubtful:
            gone = set(doubtful).difference(self._living(doubtful))
            page = [key for key in page if key not in gone]
        if page:
            yield page

    # --- removing ----------------------------------------------------------------------------------------------------

    def remove(self, most: int | None) -> int:
        """Look at the rows whose time has come, and remove their entries. Return the number of entries.

        With ``most``, it looks at that many rows, the earliest ones.
        """
        now = self._now()
        rows = islice((row for page in self._listing.pages(*until(now)) for row in page), most)
        total = 0
        while some := list(islice(rows, _TOGETHER)):
            total += sum(self._workers.all([partial(self._remove, row, now) for row in some]))
        return total

    def _remove(self, row: bytes, now: int) -> bool:
        """Remove the entry of a row, if it has expired. Return whether it did."""
        time, key = row_of(row)
        found = self._client.get(self._listing.name(key)) if is_of_user(key) else None
        is_its_own = found is not None and time_of(found.data) == time and is_over(key, found.data, now)
        is_removed = False
        if found is not None and is_its_own:
            try:
                self._delete(key, found.token)
                is_removed = True
            except Changed:  # it was stored again meanwhile
                pass
        if is_its_own or time <= now - _LINGERS:
            self._client.delete([self._listing.name(row)])
        return is_removed
