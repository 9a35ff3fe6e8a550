"""The history of a shelf: rows that the commits write while somebody watches. docs/design.md, "Changes on servers".

``coshelf_watched`` has a row for each shelf that was ever watched. While ``until`` has not come, each commit takes the
next number in it, and adds its changes to ``coshelf_changes``, in its own transaction. These transactions run one after
the other, by the shelf's lock. So the order of the numbers is that of the commits, and a number that can be seen comes
after all others that will ever be seen before it.
"""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass

from coshelf.contract import Position
from coshelf.engines.keeper import KEPT, Keeper
from coshelf.engines.postgresql.server import Connection, Server, rows_of
from coshelf.engines.postgresql.tables import Shelf
from coshelf.errors import ShelfLocked, ShelfNotFound
from coshelf.system.waiting.backoff import Backoff

__all__ = ["Place", "Reading", "Watching", "channel_of"]

_COMMITS = 10_000  # that a history has, and what has been added since it was last renewed
_MARGIN = 15  # seconds before its end at which a history counts as interrupted, unless it was renewed
_SLOW = 10  # seconds that a renewal may take
_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.1

_NOW = "pg_catalog.clock_timestamp()"
_ENDS = f"{_NOW} + interval '{KEPT} seconds'"
_GOES_ON = f"w.until > {_NOW} + interval '{_MARGIN} seconds'"
_FOUND = "number, token, settled, first"

_STATE = (
    f"SELECT {_FOUND}, until > {_NOW} + interval '{KEPT - _SLOW} seconds' FROM coshelf_watched AS w WHERE shelf = %s"
)
_RENEW = (
    "INSERT INTO coshelf_watched AS w (shelf, until, settled, number, first, token)"
    f" VALUES (%s, {_ENDS}, false, 1, 1, %s) ON CONFLICT (shelf) DO UPDATE SET until = {_ENDS},"
    f" settled = w.settled AND {_GOES_ON},"
    f" number = CASE WHEN {_GOES_ON} THEN w.number ELSE w.number + 1 END,"
    f" first = CASE WHEN {_GOES_ON} THEN greatest(w.first, w.number - {_COMMITS}) ELSE w.number + 1 END,"
    f" token = CASE WHEN {_GOES_ON} THEN w.token ELSE excluded.token END RETURNING {_FOUND}"
)
_BEGIN = "INSERT INTO coshelf_changes (shelf, number, part, token, kind) VALUES (%s, %s, 0, %s, 'g')"
_TRIM = "DELETE FROM coshelf_changes WHERE shelf = %s AND number < %s"
_INTERRUPT = "UPDATE coshelf_watched SET until = 'epoch' WHERE shelf = %s"
_SETTLED = "UPDATE coshelf_watched SET settled = true WHERE shelf = %s AND first = %s"

# A statement locks its tables before it takes the snapshot in which it looks whether somebody watches.
_WRITING = (
    "SELECT virtualtransaction FROM pg_catalog.pg_locks WHERE relation = 'coshelf_entries'::regclass"
    " AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"
    " AND mode = 'RowExclusiveLock' AND granted AND pid <> pg_backend_pid()"
)


class Reading:
    """The statements that read a history."""

    KNOWN = (
        "SELECT EXISTS (SELECT FROM coshelf_changes AS c, coshelf_watched AS w WHERE c.shelf = %s AND c.number = %s"
        " AND c.part = 0 AND c.token = %s AND w.shelf = c.shelf AND w.first <= c.number AND w.number >= c.number)"
    )
    NEXT = (
        "SELECT number, part, token, kind, key, record FROM coshelf_changes WHERE shelf = %s AND (number, part) >"
        " (%s::bigint, %s::bigint) ORDER BY shelf, number, part LIMIT %s"
    )


_WRITTEN = re.compile(r"([0-9]{1,19})-([0-9a-f]{1,16})")


@dataclass(frozen=True, slots=True)
class Place:
    """A point in a history: right after a commit.

    Attributes:
        number: the number of that commit.
        token: the random number of that commit. A number may be given out again after a failover, the token is not.
    """

    number: int
    token: int

    def __str__(self) -> str:
        return f"{self.number}-{self.token:x}"

    @classmethod
    def of(cls, since: Position, where: str) -> Place:
        """The place that a position shows. Raises ValueError."""
        found = _WRITTEN.fullmatch(since) if isinstance(since, str) else None
        if found is None or int(found[1]) >= 1 << 63 or int(found[2], 16) >= 1 << 63:
            raise ValueError(f"{since!r} is no position of the shelf {where}")
        return cls(int(found[1]), int(found[2], 16))


def channel_of(shelf: Shelf) -> str:
    """The channel on which commits are announced, while somebody watches."""
    return f"coshelf_{shelf.store_id.hex()}"


class Watching:
    """Keeps the history of a shelf for readers.

    Attributes:
        keeper: renews it for the readers of this handle.
        is_closed: whether the handle has been closed.
    """

    def __init__(self, server: Server, shelf: Shelf) -> None:
        self.server = server
        self.shelf = shelf
        self.keeper = Keeper(self.place)
        self.is_closed = False

    def close(self) -> None:
        """Let all readers of this handle return, and refuse to read on."""
        self.is_closed = True
        self.keeper.close()

    def place(self) -> Place:
        """Keep the history; return its end. If it is not kept, begin it anew."""
        return self.server.read(self.place_by)

    def place_by(self, connection: Connection) -> Place:
        """As :meth:`place`, by a connection."""
        found = rows_of(connection, _STATE, (self.shelf.number,))
        if found and found[0][4] and found[0][2]:
            return Place(*found[0][:2])
        while True:
            began = time.monotonic()
            first, is_settled = self._renew(connection)
            if time.monotonic() - began < _SLOW:
                break
            connection.execute("BEGIN READ WRITE")  # commits may not have been told while the renewal took so long
            connection.execute(_INTERRUPT, (self.shelf.number,))
            connection.execute("COMMIT")
        if not is_settled:
            self._settle(connection, first)
        found = rows_of(connection, _STATE, (self.shelf.number,))
        if not found:
            raise ShelfNotFound(f"the shelf {self.server.where} was deleted")
        return Place(*found[0][:2])

    def _renew(self, connection: Connection) -> tuple[int, bool]:
        """Renew the history, or begin it. Return its first number, and whether all commits are told since then."""
        shelf, token = self.shelf.number, secrets.randbits(63)
        connection.execute("BEGIN READ WRITE")
        ((number, its_token, is_settled, first),) = connection.execute(_RENEW, (shelf, token)).fetchall()
        if its_token == token:
            connection.execute(_BEGIN, (shelf, number, token))
        connection.execute(_TRIM, (shelf, first))
        connection.execute("COMMIT")
        return first, is_settled

    def _settle(self, connection: Connection, first: int) -> None:
        """Wait for the end of all transactions that do not know yet that somebody watches."""
        end = time.monotonic() + self.server.timeout
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        waits_for = set(connection.execute(_WRITING).fetchall())
        while waits_for:
            if time.monotonic() > end:
                raise ShelfLocked(
                    f"changes of {self.server.where} cannot be told yet: {len(waits_for)} transactions that began "
                    f"before still write to the database; waited {self.server.timeout:g} s"
                )
            backoff.sleep()
            waits_for &= set(connection.execute(_WRITING).fetchall())
        connection.execute("BEGIN READ WRITE")
        connection.execute(_SETTLED, (self.shelf.number, first))
        connection.execute("COMMIT")
