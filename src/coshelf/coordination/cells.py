"""The cells of a deque: what it has at each place, in rows of the shelf. docs/format.md, "Deques".

A cell has the id of its value, and the body of the value if that is small. A large body has a row of its own, named by
the id. So a cell can move without its value being encoded again.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from coshelf.contract import ABSENT, Absent, Batch, Capabilities, Entry, Reader
from coshelf.contract.batches import DEQUES
from coshelf.coordination.packed import content_of, packed, told_bytes, unpacked
from coshelf.errors import DamagedRecord, InvalidKey
from coshelf.keys import encode_element, prefix_end
from coshelf.records import is_intact

__all__ = ["ID", "Cells", "DequeRows", "Torn", "new_id"]

T = TypeVar("T")

ID = 16
"""Bytes of the id of a cell."""

_LARGE = 4096
_MIDDLE = 1 << 63
_INDEX = 8
_LONGEST_NAME = 255


class Torn(Exception):
    """Another process has changed the deque between two reads: the step has to be done again."""


class DequeRows:
    """The keys of the rows of one deque.

    Where a batch is atomic, each cell has a row of its own. On other engines, one row has all of them.
    """

    def __init__(self, name: str, capabilities: Capabilities) -> None:
        self.name = name
        self.head = DEQUES[0] + encode_element(name)
        if len(self.head) > _LONGEST_NAME:
            raise InvalidKey(f"the name of a deque takes {len(self.head)} bytes; it can take {_LONGEST_NAME} at most")
        self.is_split = capabilities.atomic in ("crash", "shard") or not capabilities.persistent
        self.state = self.head + b"S"
        self._cells = self.head + b"C"
        self._bodies = self.head + b"B"

    def cell(self, index: int) -> bytes:
        """The key of the row of a cell."""
        return self._cells + (index + _MIDDLE).to_bytes(_INDEX, "big")

    def body(self, identity: bytes) -> bytes:
        """The key of the row of a large body; what stands for the item's key where its value is encoded."""
        return self._bodies + identity

    def new_cell(self, identity: bytes, body: bytes) -> tuple[bytes, dict[bytes, bytes]]:
        """A cell for a body, and the rows that belong to it."""
        if self.is_split and (len(body) > _LARGE or type(body) is not bytes):
            return identity, {self.body(identity): body}
        return identity + body, {}

    def all(self) -> tuple[bytes, bytes]:
        """The range of all rows."""
        return self.head, prefix_end(self.head)

    def open(self, reader: Reader) -> Cells:
        """The cells as a reader shows them."""
        entry = reader.get(self.state)
        return _SplitCells(self, reader, entry) if self.is_split else _WholeCells(self, reader, entry)

    def unpacked(self, row: bytes, entry: Entry) -> tuple[dict[str, object], bytes]:
        """What a row tells, and its content. Raises DamagedRecord."""
        return self._read(unpacked, row, entry)

    def cell_in(self, row: bytes, entry: Entry) -> bytes:
        """The cell in a row. Raises DamagedRecord."""
        return self._read(content_of, row, entry)

    def _read(self, read: Callable[[bytes], T], row: bytes, entry: Entry) -> T:
        try:
            if not is_intact(row, entry.record):
                raise ValueError("its checksum does not fit")
            return read(entry.record)
        except (ValueError, TypeError, RecursionError) as error:
            raise DamagedRecord(f"a row of the deque {self.name!r} cannot be read: {error}", row) from error


class Cells(ABC):
    """The cells of a deque at one time, and changes of them, which are committed together.

    Attributes:
        version: of the state row. Each change of the deque changes it.
        is_changed: whether there are changes.
    """

    version: int | str | Absent

    def __init__(self, rows: DequeRows, reader: Reader, entry: Entry | None) -> None:
        self.rows = rows
        self.reader = reader
        self.version = ABSENT if entry is None else entry.version
        self.is_changed = False
        self._puts: dict[bytes, bytes | None] = {}

    @property
    @abstractmethod
    def length(self) -> int:
        """How many cells there are."""

    @abstractmethod
    def get(self, index: int) -> bytes:
        """The cell at an index from 0 on."""

    @abstractmethod
    def set(self, index: int, cell: bytes) -> None:
        """Put another cell there."""

    @abstractmethod
    def append(self, cell: bytes, left: bool) -> None:
        """Add a cell at an end."""

    @abstractmethod
    def pop(self, left: bool) -> bytes:
        """Remove a cell at an end."""

    @abstractmethod
    def _state(self) -> bytes:
        """The body of the state row."""

    def read_all(self) -> list[bytes]:
        """All cells."""
        return [self.get(index) for index in range(self.length)]

    def replace(self, before: list[bytes], after: list[bytes]) -> None:
        """Change all cells from one list to another."""
        while self.length > len(after):
            self.pop(False)
        for index, cell in enumerate(after):
            if index >= self.length:
                self.append(cell, False)
            elif cell is not before[index]:
                self.set(index, cell)

    def is_torn(self) -> bool:
        """Whether the deque has changed since the cells were opened."""
        entry = self.reader.get(self.rows.state)
        return self.version != (ABSENT if entry is None else entry.version)

    def add_rows(self, rows: dict[bytes, bytes]) -> None:
        """Put rows of new cells."""
        self._puts.update(rows)

    def drop(self, cells: Iterable[bytes]) -> None:
        """Remove the large bodies of cells that are removed."""
        for cell in cells:
            if len(cell) == ID:
                self._puts[self.rows.body(cell)] = None

    def batch(self) -> Batch:
        """The changes."""
        puts: dict[bytes, bytes | None] = dict(self._puts)
        puts[self.rows.state] = self._state() if self.length else None
        return Batch(
            {row: body for row, body in puts.items() if body is not None},
            frozenset(row for row, body in puts.items() if body is None),
            {self.rows.state: self.version},
        )


class _SplitCells(Cells):
    """Each cell in a row of its own, at consecutive indexes."""

    def __init__(self, rows: DequeRows, reader: Reader, entry: Entry | None) -> None:
        super().__init__(rows, reader, entry)
        self._first = self._length = 0
        self._written: dict[int, bytes] = {}
        if entry is not None:
            told, _ = rows.unpacked(rows.state, entry)
            try:
                self._first, self._length = int(str(told["first"])), int(str(told["length"]))
            except (KeyError, ValueError) as error:
                raise DamagedRecord(f"the state of the deque {rows.name!r} cannot be read", rows.state) from error

    @property
    def length(self) -> int:
        return self._length

    def _write(self, index: int, cell: bytes) -> None:
        self.is_changed = True
        self._written[index] = cell
        self._puts[self.rows.cell(index)] = packed(cell)

    def get(self, index: int) -> bytes:
        at = self._first + index
        cell = self._written.get(at)
        return self._read(at) if cell is None else cell

    def _read(self, at: int) -> bytes:
        row = self.rows.cell(at)
        entry = self.reader.get(row)
        if entry is None:
            raise Torn
        return self.rows.cell_in(row, entry)

    def read_all(self) -> list[bytes]:
        if self.is_changed or not self._length:
            return super().read_all()
        start, stop = self.rows.cell(self._first), self.rows.cell(self._first + self._length)
        found: list[bytes] = []
        for row, entry in self.reader.scan(start, stop):
            assert entry is not None
            found.append(self.rows.cell_in(row, entry))
        if len(found) != self._length:
            raise Torn
        return found

    def set(self, index: int, cell: bytes) -> None:
        self._write(self._first + index, cell)

    def append(self, cell: bytes, left: bool) -> None:
        self._first -= left
        self._length += 1
        self._write(self._first if left else self._first + self._length - 1, cell)

    def pop(self, left: bool) -> bytes:
        at = 0 if left else self._length - 1
        cell = self.get(at)
        self.is_changed = True
        self._written.pop(self._first + at, None)
        self._puts[self.rows.cell(self._first + at)] = None
        self._length -= 1
        self._first += left
        return cell

    def _state(self) -> bytes:
        return packed(told_bytes({"first": self._first, "length": self._length}))


class _WholeCells(Cells):
    """All cells in one row."""

    def __init__(self, rows: DequeRows, reader: Reader, entry: Entry | None) -> None:
        super().__init__(rows, reader, entry)
        self._cells: list[bytes] = []
        if entry is not None:
            told, content = rows.unpacked(rows.state, entry)
            sizes = told.get("sizes")
            if not isinstance(sizes, list) or not all(type(size) is int and size >= ID for size in sizes):
                raise DamagedRecord(f"the state of the deque {rows.name!r} cannot be read", rows.state)
            self._cells = list(_split(content, sizes))

    @property
    def length(self) -> int:
        return len(self._cells)

    def get(self, index: int) -> bytes:
        return self._cells[index]

    def read_all(self) -> list[bytes]:
        return list(self._cells)

    def set(self, index: int, cell: bytes) -> None:
        self.is_changed = True
        self._cells[index] = cell

    def append(self, cell: bytes, left: bool) -> None:
        self.is_changed = True
        self._cells.insert(0 if left else len(self._cells), cell)

    def pop(self, left: bool) -> bytes:
        self.is_changed = True
        return self._cells.pop(0 if left else -1)

    def drop(self, cells: Iterable[bytes]) -> None:
        """Nothing to do: all bodies are in the one row."""

    def _state(self) -> bytes:
        return packed(told_bytes({"sizes": [len(cell) for cell in self._cells]}), b"".join(self._cells))


def _split(content: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    for size in sizes:
        yield content[at : at + size]
        at += size


def new_id() -> bytes:
    """The id of a new cell."""
    return os.urandom(ID)
