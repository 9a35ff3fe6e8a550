"""Reads the names of the columns, and the number of rows, at the beginning of an Arrow stream, which polars pickles.

A stream is a sequence of messages: the schema, then batches of rows, then an empty one. The head of each is a
flatbuffer. The bytes may be anything: ``struct.error``, IndexError or :class:`Unfit` says that they are not a stream.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from coshelf.inspection.preview.reading_things import Unfit

__all__ = ["Beginning", "beginning"]

_MARK = 0xFFFFFFFF
_SCHEMA, _BATCH = 1, 3
_LONGEST = 1_000  # bytes of a name


class Beginning(NamedTuple):
    """What the beginning of a stream tells.

    Attributes:
        names: the names of the first columns.
        columns: how many columns there are.
        rows: how many rows there are; None if that cannot be told, because there are several batches.
    """

    names: list[str]
    columns: int
    rows: int | None


def beginning(data: bytes, size: int, most: int) -> Beginning:
    """What the first bytes of a stream tell.

    Args:
        data: the first bytes.
        size: bytes of the whole stream.
        most: how many columns are named.
    """
    schema, after = _message(data, 0, _SCHEMA)
    fields = schema.tables(1)
    names = [schema.table_at(fields, at).text(0) for at in range(min(most, fields[1]))]
    try:
        batch, end = _message(data, after, _BATCH)
        rows = batch.number(0, "<q") if end >= size - 8 else None
    except (Unfit, struct.error):
        rows = 0 if after >= size - 8 else None
    return Beginning(names, fields[1], rows)


def _message(data: bytes, at: int, kind: int) -> tuple[_Table, int]:
    """The head of the message at this place, and where the next message begins."""
    mark, size = struct.unpack_from("<II", data, at)
    if mark != _MARK:
        raise Unfit
    root = at + 8
    message = _Table(data, root + struct.unpack_from("<I", data, root)[0])
    if message.number(1, "<B") != kind:
        raise Unfit
    return message.table(2), root + size + message.number(3, "<q")


class _Table:
    """A table of a flatbuffer: its fields by their numbers."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self._fields = at - struct.unpack_from("<i", data, at)[0]
        if self._fields < 0:
            raise Unfit

    def _place(self, field: int) -> int:
        """Where a field is; 0 if it has its default."""
        size = struct.unpack_from("<H", self._data, self._fields)[0]
        if 4 + 2 * field >= size:
            return 0
        offset: int = struct.unpack_from("<H", self._data, self._fields + 4 + 2 * field)[0]
        return self._at + offset if offset else 0

    def number(self, field: int, form: str) -> int:
        """A number; 0 if it is not stored."""
        place = self._place(field)
        return int(struct.unpack_from(form, self._data, place)[0]) if place else 0

    def _target(self, field: int) -> int:
        place = self._place(field)
        if not place:
            raise Unfit
        return place + int(struct.unpack_from("<I", self._data, place)[0])

    def table(self, field: int) -> _Table:
        """A table in this one."""
        return _Table(self._data, self._target(field))

    def tables(self, field: int) -> tuple[int, int]:
        """Where the tables of a list begin, and how many there are."""
        place = self._target(field)
        return place + 4, int(struct.unpack_from("<I", self._data, place)[0])

    def table_at(self, tables: tuple[int, int], number: int) -> _Table:
        """One table of a list."""
        place = tables[0] + 4 * number
        return _Table(self._data, place + int(struct.unpack_from("<I", self._data, place)[0]))

    def text(self, field: int) -> str:
        """A str."""
        place = self._target(field)
        size = int(struct.unpack_from("<I", self._data, place)[0])
        return self._data[place + 4 : place + 4 + min(size, _LONGEST)].decode("utf-8", "replace")
