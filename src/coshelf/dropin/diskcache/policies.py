"""Eviction policies: in which order rows go when a cache is full."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

from coshelf.dropin.diskcache.names import EVICTION_POLICY

__all__ = ["Column", "Policy", "Standing", "policy_of"]

Column = Literal["store_time", "access_time", "access_count"]
"""What a policy orders rows by."""

_COLUMNS: Final[dict[str | None, Column]] = {column: column for column in get_args(Column)}
_TABLE = (
    "CREATE TABLE Cache (rowid INTEGER PRIMARY KEY, key, raw, store_time, expire_time, access_time, access_count, "
    "tag, size, mode, filename)"
)
_INSERT = "INSERT INTO Cache VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Standing(NamedTuple):
    """What the statement of a policy can know of a row."""

    rowid: int
    key: object
    raw: bool
    store_time: float
    expire_time: float | None
    access_time: float
    access_count: int
    tag: object
    size: int
    mode: int
    filename: str | None


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy.

    Attributes:
        column: in whose order rows go; None if no row goes, or a statement selects them.
        statement: the SELECT of a policy that a program has added. As in diskcache, it selects ``{fields}`` from a
            table ``Cache``, may use the time ``{now}``, and ends in ``LIMIT ?``.
        noted: the column that a read changes.
    """

    column: Column | None
    statement: str | None
    noted: Column | None

    @property
    def evicts(self) -> bool:
        """Whether rows go at all."""
        return self.column is not None or self.statement is not None

    @property
    def indexed(self) -> Column | None:
        """The column that the index of the cache must have: that of the order, or of what reads note."""
        return self.column or self.noted

    def select(self, rows: Iterable[Standing], now: float) -> list[int]:
        """The numbers of the rows that the statement selects, in its order."""
        import sqlite3

        assert self.statement is not None
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute(_TABLE)
            connection.executemany(_INSERT, rows)
            found = connection.execute(self.statement.format(fields="rowid", now=now), (-1,))
            return [number for (number,) in found]


def policy_of(name: str) -> Policy:
    """The policy of a name. Raises KeyError if there is none."""
    fields = EVICTION_POLICY[name]
    return _policy(fields["get"], fields["cull"])


@functools.lru_cache(16)
def _policy(get: str | None, cull: str | None) -> Policy:
    column = _COLUMNS.get(cull)
    noted: Column | None = None
    if get is not None:
        noted = "access_count" if "access_count" in get else "access_time"
    return Policy(column, cull if column is None else None, noted)
