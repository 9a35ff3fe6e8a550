"""The items of queues and deques, as rows for a shelf on another engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from coshelf.contract import DEQUES, QUEUES, Engine, Reader
from coshelf.coordination.cells import ID, DequeRows
from coshelf.coordination.queue_rows import Item, Kind, QueueRows, State, names_of
from coshelf.records import checksum, seal

__all__ = ["missing_items"]

BodyFor = Callable[[bytes, bytes], "bytes | None"]
"""Gives the body for the target, from what an item is named where it is encoded, and its record. None: impossible."""

_KINDS: tuple[Kind, ...] = ("available", "delayed", "taken", "failed")


def missing_items(
    reader: Reader, source: Engine, target: Engine, body_for: BodyFor
) -> Iterator[tuple[int, dict[bytes, bytes]]]:
    """The rows of items that the target does not have: each time how many items these are, and their rows."""
    for name in names_of(reader, QUEUES):
        yield from _of_queue(reader, target, QueueRows(name, source.capabilities), body_for)
    for name in names_of(reader, DEQUES):
        yield from _of_deque(reader, target, DequeRows(name, source.capabilities), body_for)


def _of_queue(
    reader: Reader, target: Engine, rows: QueueRows, body_for: BodyFor
) -> Iterator[tuple[int, dict[bytes, bytes]]]:
    to = QueueRows(rows.name, target.capabilities)
    for kind in _KINDS:
        for item in rows.items(reader, kind):
            record = _record_of(reader, rows, item)
            body = None if record is None else body_for(rows.name_of(item.place), record)
            if body is None:
                continue
            puts = to.puts(item.place, body, _untaken(item))
            if not any(target.get_many(list(puts))):
                yield 1, puts


def _record_of(reader: Reader, rows: QueueRows, item: Item) -> bytes | None:
    name, body = rows.name_of(item.place), item.state.body
    return reader.record(name) if body is None else seal(body, checksum(name, body), 0)


def _untaken(item: Item) -> State:
    """The state of an item in a copy, where no process has it."""
    state = replace(item.state, body=b"")
    if state.kind != "taken":
        return state
    error = "the shelf was copied while it was taken"
    return replace(state, kind="available", taker=b"", delivery=0, until=0, error=error)


def _of_deque(
    reader: Reader, target: Engine, rows: DequeRows, body_for: BodyFor
) -> Iterator[tuple[int, dict[bytes, bytes]]]:
    to = DequeRows(rows.name, target.capabilities)
    cells = to.open(target)
    if cells.length:
        return
    count = 0
    for cell in rows.open(reader).read_all():
        name = rows.body(cell[:ID])
        record = reader.record(name) if len(cell) == ID else seal(cell[ID:], checksum(name, cell[ID:]), 0)
        body = None if record is None else body_for(name, record)
        if body is not None:
            made, more = to.new_cell(cell[:ID], body)
            cells.append(made, False)
            cells.add_rows(more)
            count += 1
    if count:
        yield count, dict(cells.batch().puts)
