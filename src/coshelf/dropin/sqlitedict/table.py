"""A table of an SQLite file as a dict: the mapping of ``coshelf.sqlitedict.SqliteDict``."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, Self

from coshelf.dropin.sqlitedict.connection import SqliteMultithread
from coshelf.dropin.sqlitedict.encoding import refuse_key
from coshelf.errors import UntrustedValue

__all__ = ["Table"]

_MOST = 100_000
"""Rows that an iteration reads together."""

_MISSING = object()


class Table(UserDict[Any, Any]):
    """The mapping. A subclass opens the connection, and sets the attributes."""

    conn: SqliteMultithread | None
    flag: str
    tablename: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]
    encode_key: Callable[[Any], Any]
    decode_key: Callable[[Any], Any]

    def _connected(self) -> SqliteMultithread:
        if self.conn is None:
            raise AttributeError(f"{self} has been closed\n  hint: `with` opens it again")
        return self.conn

    def _refuse_reader(self, doing: str) -> None:
        if self.flag == "r":
            raise RuntimeError(f"Refusing to {doing} read-only SqliteDict")

    def _stored_key(self, key: Any, *, writing: bool = False) -> Any:
        encoded = self.encode_key(key)
        if type(encoded) is not str:
            refuse_key(key, encoded, writing=writing)
        return encoded

    def _value(self, key: Any, stored: Any) -> Any:
        try:
            return self.decode(stored)
        except UntrustedValue as error:
            raise UntrustedValue(f"the value for key {key!r}: {error}", error.name, key) from None

    # --- one entry ---------------------------------------------------------------------------------------------------

    def __contains__(self, key: object) -> bool:
        select = f'SELECT 1 FROM "{self.tablename}" WHERE key = ?'
        return self._connected().select_one(select, (self._stored_key(key),)) is not None

    def __getitem__(self, key: Any) -> Any:
        select = f'SELECT value FROM "{self.tablename}" WHERE key = ?'
        found = self._connected().select_one(select, (self._stored_key(key),))
        if found is None:
            raise KeyError(key)
        return self._value(key, found[0])

    def get(self, key: Any, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __setitem__(self, key: Any, value: Any) -> None:
        self._refuse_reader("write to")
        row = (self._stored_key(key, writing=True), self.encode(value))
        self._connected().changed(f'REPLACE INTO "{self.tablename}" (key, value) VALUES (?, ?)', row)

    def __delitem__(self, key: Any) -> None:
        self._refuse_reader("delete from")
        delete = f'DELETE FROM "{self.tablename}" WHERE key = ?'
        if self._connected().changed(delete, (self._stored_key(key),)) == 0:
            raise KeyError(key)

    def pop(self, key: Any, default: Any = _MISSING) -> Any:
        """Remove a key and return its value, in one step. A value that cannot be decoded stays."""
        if default is not _MISSING and self.flag == "r" and key not in self:
            return default
        self._refuse_reader("delete from")
        with self._connected().together():
            try:
                value = self[key]
            except KeyError:
                if default is _MISSING:
                    raise
                return default
            del self[key]
        return value

    def popitem(self) -> tuple[Any, Any]:
        """Remove and return the first item, in one step. Raises KeyError if there is none."""
        self._refuse_reader("delete from")
        connection = self._connected()
        with connection.together():
            select = f'SELECT rowid, key, value FROM "{self.tablename}" ORDER BY rowid LIMIT 1'
            first = connection.select_one(select)
            if first is None:
                raise KeyError("popitem(): the table is empty")
            key = self.decode_key(first[1])
            value = self._value(key, first[2])
            connection.changed(f'DELETE FROM "{self.tablename}" WHERE rowid = ?', (first[0],))
        return key, value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """The value of a key. If it is missing, the default is stored and returned, in one step."""
        try:
            return self[key]
        except KeyError:
            self._refuse_reader("write to")
        with self._connected().together():
            try:
                return self[key]
            except KeyError:
                self[key] = default
        return default

    # --- many entries ------------------------------------------------------------------------------------------------

    def update(self, items: Any = (), **kwds: Any) -> None:  # type: ignore[override]
        """Store all items in one step, or none of them.

        Args:
            items: a mapping, or pairs of key and value.
            kwds: more items.
        """
        self._refuse_reader("update")
        pairs: Iterable[tuple[Any, Any]] = items.items() if hasattr(items, "items") else items
        rows = [(self._stored_key(key, writing=True), self.encode(value)) for key, value in pairs]
        rows += [(self._stored_key(key, writing=True), self.encode(value)) for key, value in kwds.items()]
        if rows:
            self._connected().executemany(f'REPLACE INTO "{self.tablename}" (key, value) VALUES (?, ?)', rows)
        else:
            self._connected()

    def clear(self) -> None:
        """Commit, delete everything in the table, and commit again."""
        self._refuse_reader("clear")
        connection = self._connected()
        connection.commit()
        connection.execute(f'DELETE FROM "{self.tablename}"')
        connection.commit()

    def __len__(self) -> int:
        found = self._connected().select_one(f'SELECT COUNT(*) FROM "{self.tablename}"')
        return 0 if found is None else int(found[0])

    def __bool__(self) -> bool:
        return self._connected().select_one(f'SELECT 1 FROM "{self.tablename}" LIMIT 1') is not None

    def iterkeys(self) -> Generator[Any]:
        """The keys, in the order in which they were last stored."""
        for row in self._rows("key"):
            yield self.decode_key(row[0])

    def itervalues(self) -> Generator[Any]:
        """The values, in the order of :meth:`iterkeys`."""
        for row in self._rows("value"):
            yield self.decode(row[0])

    def iteritems(self) -> Generator[tuple[Any, Any]]:
        """The pairs of key and value, in the order of :meth:`iterkeys`."""
        for row in self._rows("key, value"):
            key = self.decode_key(row[0])
            yield key, self._value(key, row[1])

    def _rows(self, columns: str) -> Iterator[tuple[Any, ...]]:
        """All rows as of the first step. A table of more rows is read in several steps, none of which stays open."""
        connection = self._connected()
        select = f'SELECT {columns}, rowid FROM "{self.tablename}"'
        rows = connection.rows(f"{select} ORDER BY rowid", (), _MOST)
        if len(rows) < _MOST:
            yield from rows
            return
        # Rows that are replaced from now on are stored behind this one.
        last = connection.select_one(f'SELECT MAX(rowid) FROM "{self.tablename}"')
        select = f"{select} WHERE rowid > ? AND rowid <= ? ORDER BY rowid"
        while rows:
            yield from rows
            rows = connection.rows(select, (rows[-1][-1], last and last[0]), _MOST)

    def keys(self) -> Generator[Any]:  # type: ignore[override]
        """The keys, as a generator."""
        return self.iterkeys()

    def values(self) -> Generator[Any]:  # type: ignore[override]
        """The values, as a generator."""
        return self.itervalues()

    def items(self) -> Generator[tuple[Any, Any]]:  # type: ignore[override]
        """The pairs of key and value, as a generator."""
        return self.iteritems()

    def __iter__(self) -> Iterator[Any]:
        return self.iterkeys()

    # --- with other mappings -----------------------------------------------------------------------------------------

    def copy(self) -> dict[Any, Any]:  # type: ignore[override]
        """All items as a dict in memory."""
        return dict(self.items())

    __copy__ = copy  # type: ignore[assignment]

    def __or__(self, other: Any) -> dict[Any, Any]:  # type: ignore[override]
        return self.copy() | dict(other.items()) if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Any) -> dict[Any, Any]:  # type: ignore[override]
        return dict(other.items()) | self.copy() if isinstance(other, Mapping) else NotImplemented

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self
