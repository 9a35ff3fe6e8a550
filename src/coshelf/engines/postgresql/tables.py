"""The tables, and every statement on them. docs/format.md, "Tables on PostgreSQL"."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from psycopg import errors

from coshelf.engines.postgresql.failures import reason
from coshelf.engines.postgresql.server import Connection
from coshelf.errors import FormatTooNew, NotAShelf, ShelfNotFound, Unsupported

__all__ = [
    "AT",
    "FIRST_PAGE",
    "LATEST",
    "Reads",
    "Shelf",
    "Statements",
    "Telling",
    "find_or_make",
    "next_number",
    "ringing",
]

_FORMAT = 1
_LARGEST_TOLD = 8192  # bytes of a record in the history
_OLDEST = 120000

# The lock of a shelf's commits: a single statement takes it shared, a transaction exclusively. docs/design.md.
_SHARED = "pg_advisory_xact_lock_shared(%s::bigint)"

# The time by which entries expire. As a query of its own it is computed once in a statement, when the first row with a
# time is looked at. So it is later than the instant that the statement shows, and rows without a time do not need it.
_CLOCK = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_NOW = f"(SELECT {_CLOCK})"
_EXPIRED = f"coshelf_entries.expires <= {_NOW}"
_LIVING = f"(coshelf_entries.expires IS NULL OR coshelf_entries.expires > {_NOW})"

_TABLES = """
CREATE TABLE IF NOT EXISTS coshelf_shelves (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name bytea NOT NULL UNIQUE,
    format integer NOT NULL,
    store_id bytea NOT NULL,
    created timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS coshelf_entries (
    shelf integer NOT NULL,
    key bytea NOT NULL,
    version bigint NOT NULL,
    expires bigint,
    record bytea NOT NULL,
    PRIMARY KEY (shelf, key)
);
CREATE INDEX IF NOT EXISTS coshelf_expiring ON coshelf_entries (shelf, expires) WHERE expires IS NOT NULL;
ALTER TABLE coshelf_entries ALTER record SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS coshelf_watched (
    shelf integer PRIMARY KEY,
    until timestamptz NOT NULL,
    settled boolean NOT NULL,
    number bigint NOT NULL,
    first bigint NOT NULL,
    token bigint NOT NULL
) WITH (fillfactor = 10);
CREATE TABLE IF NOT EXISTS coshelf_changes (
    shelf integer NOT NULL,
    number bigint NOT NULL,
    part bigint NOT NULL,
    token bigint,
    kind "char" NOT NULL,
    key bytea,
    record bytea,
    PRIMARY KEY (shelf, number, part)
);
ALTER TABLE coshelf_changes ALTER record SET STORAGE EXTERNAL;
"""

# Whether nobody watches the shelf. A statement that does not know how to tell its changes then changes nothing.
_UNWATCHED = (
    "NOT EXISTS (SELECT FROM coshelf_watched AS w WHERE w.shelf = %s AND w.until > pg_catalog.statement_timestamp())"
)
# Why a statement has changed nothing: somebody watches, or did so when it began. So the limit is far away.
_WAS_WATCHED = (
    "EXISTS (SELECT FROM coshelf_watched WHERE shelf = %s"
    " AND until > pg_catalog.statement_timestamp() - interval '1 day')"
)

_INTO = "INSERT INTO coshelf_entries (shelf, key, version, expires, record)"
_OVER = "version = excluded.version, expires = excluded.expires, record = excluded.record"
_PUT = f"{_INTO} SELECT %s, %s, %s, %s::bigint, %s FROM {_SHARED} WHERE {_UNWATCHED}"
_PUT += f" ON CONFLICT (shelf, key) DO UPDATE SET {_OVER}"


# Announces a change, if somebody waits. Its parameters are the lock of those that wait, the channel, and the change.
_RING = "SELECT CASE WHEN pg_try_advisory_xact_lock(%s::bigint) THEN '' ELSE pg_notify(%s, {})::text END"


@cache
def ringing(statement: str) -> str:
    """A statement that changes rows, and announces that. It tells whether there were any, or how many if it is one."""
    return f"WITH done AS ({statement} RETURNING 1) {_RING.format('%s')} FROM (SELECT FROM done LIMIT 1) AS changed"


class Statements:
    """The statements that are the same for all readers, and those that write."""

    VERSIONS = f"SELECT key, version FROM coshelf_entries WHERE shelf = %s AND key = ANY(%b::bytea[]) AND {_LIVING}"
    SIZES = "SELECT key, octet_length(record) FROM coshelf_entries WHERE shelf = %s AND key = ANY(%b::bytea[])"
    VERSION = "SELECT version FROM coshelf_entries WHERE shelf = %s AND key = %s"

    PUT = _PUT
    PUT_IF_ABSENT = f"{_PUT} WHERE {_EXPIRED}"
    PUT_IF = (
        f"UPDATE coshelf_entries SET version = %s, expires = %s::bigint, record = %s FROM {_SHARED}"
        f" WHERE shelf = %s AND key = %s AND version = %s AND {_LIVING} AND {_UNWATCHED}"
    )
    PUT_MANY = (
        f"{_INTO} SELECT %s, t.key, %s, NULL, t.record"
        f" FROM {_SHARED}, unnest(%b::bytea[], %b::bytea[]) AS t(key, record) WHERE {_UNWATCHED} ORDER BY t.key"
        f" ON CONFLICT (shelf, key) DO UPDATE SET {_OVER}"
    )
    PUT_MANY_UNTIL = (
        f"{_INTO} SELECT %s, t.key, %s, t.expires, t.record"
        f" FROM {_SHARED}, unnest(%b::bytea[], %t::bigint[], %b::bytea[]) AS t(key, expires, record)"
        f" WHERE {_UNWATCHED} ORDER BY t.key"
        f" ON CONFLICT (shelf, key) DO UPDATE SET {_OVER}"
    )
    DELETE = f"DELETE FROM coshelf_entries USING {_SHARED} WHERE shelf = %s AND key = %s AND {_UNWATCHED}"
    DELETE_IF = f"{DELETE} AND version = %s AND {_LIVING}"
    # How many rows were removed, and whether it is because somebody watches that there are none.
    REMOVE_EXPIRED = (
        f"WITH gone AS (DELETE FROM coshelf_entries USING {_SHARED} WHERE shelf = %s AND {_EXPIRED}"
        f" AND key = ANY(ARRAY(SELECT key FROM coshelf_entries WHERE shelf = %s AND {_EXPIRED}"
        f" ORDER BY shelf, expires LIMIT %s FOR UPDATE SKIP LOCKED)) AND {_UNWATCHED} RETURNING key)"
        f" SELECT (SELECT count(*) FROM gone), {_WAS_WATCHED}"
    )
    WAS_WATCHED = f"SELECT {_WAS_WATCHED}"
    HAS_EXPIRED = f"SELECT EXISTS (SELECT FROM coshelf_entries WHERE shelf = %s AND {_EXPIRED})"

    # Announces what a transaction changes, for those that wait. Its last parameters are those of RING, with a list.
    RING_ALL = f"{_RING.format('ring.name')} FROM unnest(%s::text[]) AS ring(name)"

    BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
    LOCK = "SELECT pg_advisory_xact_lock(%s::bigint)"
    COMMIT = "COMMIT"
    BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    NOW = f"SELECT {_CLOCK}"
    INSTANT = f"{BEGIN_READING}; {NOW}"
    FLUSH = "BEGIN; SET LOCAL synchronous_commit = on; SELECT pg_logical_emit_message(true, 'coshelf', 'sync'); COMMIT"


# Adds what a statement returns to the history, if the commit that has a version is told. A number keeps the parts of
# several statements apart. Large records are left out: a watcher reads the latest state instead.
_TELL = (
    "INSERT INTO coshelf_changes (shelf, number, part, kind, key, record)"
    " SELECT w.shelf, w.number, %s::bigint + row_number() OVER (), done.kind, done.key, done.record"
    " FROM coshelf_watched AS w, done WHERE w.shelf = %s AND w.token = %s"
)
_GONE = f"RETURNING CASE WHEN {_EXPIRED} THEN 'x' ELSE 'd' END::\"char\" AS kind, key, NULL::bytea AS record"
_STORED = (
    f"RETURNING 's'::\"char\" AS kind, key, CASE WHEN octet_length(record) <= {_LARGEST_TOLD} THEN record END AS record"
)


class Telling:
    """The statements of a transaction that holds the shelf's lock, and tells what it does if somebody watches.

    The first parameters of those that change something are those of the change; the last are a number that keeps the
    parts of several statements apart, the shelf, and the version of the commit.
    """

    BEGIN = (
        "WITH told AS (UPDATE coshelf_watched SET number = number + 1, token = %s WHERE shelf = %s"
        " AND until > pg_catalog.statement_timestamp() RETURNING shelf, number, token)"
        " INSERT INTO coshelf_changes (shelf, number, part, token, kind) SELECT shelf, number, 0, token, 'c' FROM told"
    )
    PUT_MANY = (
        f"WITH done AS ({_INTO} SELECT %s, t.key, %s, NULL, t.record FROM unnest(%b::bytea[], %b::bytea[])"
        f" AS t(key, record) ON CONFLICT (shelf, key) DO UPDATE SET {_OVER} {_STORED}) {_TELL}"
    )
    PUT_MANY_UNTIL = (
        f"WITH done AS ({_INTO} SELECT %s, t.key, %s, t.expires, t.record FROM unnest(%b::bytea[], %t::bigint[],"
        f" %b::bytea[]) AS t(key, expires, record) ON CONFLICT (shelf, key) DO UPDATE SET {_OVER} {_STORED}) {_TELL}"
    )
    DELETE_MANY = (
        f"WITH done AS (DELETE FROM coshelf_entries WHERE shelf = %s AND key = ANY(%b::bytea[]) {_GONE}) {_TELL}"
    )
    CLEAR = (
        "WITH done AS (DELETE FROM coshelf_entries WHERE shelf = %s AND key >= %s AND key < %s"
        " AND NOT EXISTS (SELECT FROM unnest(%b::bytea[]) AS kept(key) WHERE kept.key = coshelf_entries.key)"
        f" {_GONE}) {_TELL}"
    )
    REMOVE_EXPIRED = (
        f"WITH done AS (DELETE FROM coshelf_entries WHERE shelf = %s AND {_EXPIRED} AND key = ANY(ARRAY("
        f"SELECT key FROM coshelf_entries WHERE shelf = %s AND {_EXPIRED} ORDER BY shelf, expires LIMIT %s)) {_GONE})"
        f" {_TELL}"
    )
    RING = "SELECT pg_catalog.pg_notify(%s, '') FROM coshelf_watched WHERE shelf = %s AND token = %s"


class Reads:
    """The statements that leave out what has expired.

    Args:
        now: the time by which entries have expired, as SQL.
        at_once: the same for a statement that looks at one row.
    """

    def __init__(self, now: str, at_once: str) -> None:
        of_shelf = "FROM coshelf_entries WHERE shelf = %s AND"
        living = f"(expires IS NULL OR expires > {now})"
        self.get = f"SELECT record {of_shelf} key = %s AND (expires IS NULL OR expires > {at_once})"
        self.get_many = f"SELECT key, record {of_shelf} key = ANY(%b::bytea[]) AND {living}"
        self.count = f"SELECT count(*) {of_shelf} key >= %s AND key < %s AND {living}"
        self.page = {
            (reverse, keys_only): _page(living, reverse=reverse, keys_only=keys_only)
            for reverse in (False, True)
            for keys_only in (False, True)
        }


def _page(living: str, *, reverse: bool, keys_only: bool, more: str = "") -> str:
    """A number of rows of a range. A record over a given size is left out, so that the page stays small."""
    record = "" if keys_only else ", CASE WHEN octet_length(record) <= %s THEN record END"
    return (
        f"SELECT key{more}{record} FROM coshelf_entries WHERE shelf = %s AND key >= %s AND key < %s AND {living}"
        f" ORDER BY key{' DESC' if reverse else ''} LIMIT %s"
    )


def _first_page(*, reverse: bool, keys_only: bool) -> str:
    living = "(expires IS NULL OR expires > (SELECT now FROM instant))"
    page = _page(living, reverse=reverse, keys_only=keys_only, more=", (SELECT now FROM instant)")
    return f"WITH instant AS MATERIALIZED (SELECT {_CLOCK} AS now) {page}"


LATEST = Reads(_NOW, _CLOCK)
"""The statements that go by the server's clock."""

AT = Reads("%s::bigint", "%s::bigint")
"""The statements of an instant. They have its time as one more parameter, before the number of rows if there is one."""

FIRST_PAGE = {
    (reverse, keys_only): _first_page(reverse=reverse, keys_only=keys_only)
    for reverse in (False, True)
    for keys_only in (False, True)
}
"""The statements for the first page of an instant. The second column is the time of the instant."""


@dataclass(frozen=True)
class Shelf:
    """A shelf, found in its database.

    Attributes:
        number: the number of the shelf in its rows.
        store_id: the id of the shelf.
        lock: the number of its advisory lock.
        created: in seconds since 1970.
        server_version: as the server reports it.
        fsync: whether the server makes sure that flushed data is on the disk.
        waits: whether a commit returns after the server has flushed it.
        standby: whether the server follows another one.
        has_standbys: whether other servers follow it now.
        waits_for_standbys: whether a commit returns after a standby has it.
    """

    number: int
    store_id: bytes
    lock: int
    created: float
    server_version: str
    fsync: bool
    waits: bool
    standby: bool
    has_standbys: bool
    waits_for_standbys: bool


def find_or_make(connection: Connection, name: str, where: str, *, create: bool) -> Shelf:
    """Find a shelf, or make it. Raises ShelfNotFound, NotAShelf, FormatTooNew."""
    version, number, fsync, level, standby, names, followers = connection.execute(
        "SELECT current_setting('server_version'), current_setting('server_version_num')::int,"
        " current_setting('fsync') = 'on', current_setting('synchronous_commit'), pg_is_in_recovery(),"
        " current_setting('synchronous_standby_names'), (SELECT count(*) FROM pg_stat_replication)"
    ).fetchall()[0]
    if number < _OLDEST:
        raise Unsupported(f"{where} is on PostgreSQL {version}; the postgresql engine needs version 12 or later")
    encoded = name.encode("utf-8", "surrogatepass")
    row = _find(connection, encoded, where)
    if row is None and create:
        _make(connection, encoded)
        row = _find(connection, encoded, where)
    if row is None:
        raise ShelfNotFound(f"there is no shelf {name!r} in the database: {where}")
    if row[1] != _FORMAT:
        raise FormatTooNew(f"{where} has format {row[1]}, and this version knows format {_FORMAT}")
    store_id = bytes(row[2])
    lock = int.from_bytes(store_id[:8], "little", signed=True)
    follows = bool(names) and level in ("on", "remote_apply", "remote_write")
    return Shelf(row[0], store_id, lock, row[3], version, fsync, level != "off", standby, followers > 0, follows)


def _find(connection: Connection, name: bytes, where: str) -> tuple[Any, ...] | None:
    try:
        rows = connection.execute(
            "SELECT id, format, store_id, extract(epoch FROM created)::float8 FROM coshelf_shelves WHERE name = %s",
            (name,),
            binary=True,
        ).fetchall()
        connection.execute("SELECT shelf, key, version, expires, record FROM coshelf_entries LIMIT 0")
    except errors.UndefinedTable:
        return None
    except (errors.UndefinedColumn, errors.UndefinedFunction, errors.DatatypeMismatch) as error:
        raise NotAShelf(
            f"{where} has other tables with coshelf's names ({reason(error)}); they have not been changed"
        ) from None
    return rows[0] if rows else None


def _make(connection: Connection, name: bytes) -> None:
    """Make the tables, if they are missing, and the shelf. If several processes do so at once, one of them succeeds."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('coshelf tables'))")
        try:
            with connection.transaction():
                connection.execute(
                    "SELECT FROM coshelf_entries, coshelf_shelves, coshelf_watched, coshelf_changes LIMIT 0"
                )
        except psycopg.errors.UndefinedTable:
            connection.execute(_TABLES)
        connection.execute(
            "INSERT INTO coshelf_shelves (name, format, store_id) VALUES (%s, %s, %s) ON CONFLICT (name) DO NOTHING",
            (name, _FORMAT, os.urandom(16)),
        )


def next_number(connection: Connection) -> int:
    """The next number of a sequence, which is made by its first use."""
    try:
        row = connection.execute("SELECT nextval('coshelf_numbers')", prepare=True).fetchone()
    except psycopg.errors.UndefinedTable:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('coshelf tables'))")
            connection.execute("CREATE SEQUENCE IF NOT EXISTS coshelf_numbers")
        return next_number(connection)
    assert row is not None
    number: int = row[0]
    return number
