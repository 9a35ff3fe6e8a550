"""The rows of a queue: the keys and bodies of its items in each state. docs/format.md, "Queues"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from coshelf.contract import Capabilities, Entry, Reader
from coshelf.contract.batches import QUEUES, Batch
from coshelf.coordination.packed import packed, told_bytes, unpacked, with_length
from coshelf.errors import DamagedRecord, InvalidKey
from coshelf.keys import decode_element, encode_element, prefix_end
from coshelf.records import TRAILER, is_intact

__all__ = ["LARGE", "Item", "Kind", "QueueRows", "State", "names_of", "place_of", "priority_and_number", "with_error"]

Kind = Literal["available", "delayed", "taken", "failed"]

LARGE: Final = 32 * 1024
"""Bytes. The body of an item that is larger has a row of its own, which does not move."""

_LETTERS: Final[dict[Kind, bytes]] = {"available": b"A", "delayed": b"D", "failed": b"F", "taken": b"T"}
_KINDS: Final[dict[bytes, Kind]] = {letter: kind for kind, letter in _LETTERS.items()}
_TAKEN = b'{"kind":"taken","attempts":%d,"taker":"%b","delivery":%d,"until":%d}'
_BODY = b"B"
_ORIGIN = b"N"
_PLAIN = b"\0"  # the last byte of the key of an available item whose row is its value alone
_TOLD = b"\1"
_DUE = 8
_LONGEST_NAME = 255
_LONGEST_PRIORITY = 64


@dataclass(frozen=True, slots=True)
class State:
    """What a row says of an item.

    Attributes:
        kind: of its state.
        attempts: how often it was given to a taker.
        taker: the row of the process that has it.
        delivery: a number that tells the deliveries to one process apart.
        until: when the item is to come back, in microseconds since 1970; 0 if that was not asked for.
        due: until when it is delayed, in microseconds since 1970.
        error: what ended its last delivery.
        body: the body of its value; None if that has a row of its own.
    """

    kind: Kind
    attempts: int = 0
    taker: bytes = b""
    delivery: int = 0
    until: int = 0
    due: int = 0
    error: str = ""
    body: bytes | None = b""

    def told(self) -> bytes:
        """The bytes of the row before those of the value's body."""
        if self.kind == "taken" and not self.error and self.body is not None:  # as most are: JSON without its encoder
            return with_length(_TAKEN % (self.attempts, self.taker.hex().encode(), self.delivery, self.until))
        told: dict[str, object] = {"kind": self.kind, "attempts": self.attempts}
        if self.kind == "taken":
            told |= {"taker": self.taker.hex(), "delivery": self.delivery, "until": self.until}
        if self.due:
            told["due"] = self.due
        if self.error:
            told["error"] = self.error
        if self.body is None:
            told["large"] = True
        return told_bytes(told)

    def pack(self) -> bytes:
        """The body of the row."""
        return packed(self.told(), self.body or b"")

    @classmethod
    def unpack(cls, record: bytes) -> State:
        """The state that a row's record tells. Raises ValueError, TypeError or KeyError if it tells none."""
        told, body = unpacked(record)
        if told["kind"] not in _LETTERS:
            raise ValueError("it was written by a later version")
        return cls(
            told["kind"],
            int(told["attempts"]),
            bytes.fromhex(told.get("taker", "")),
            int(told.get("delivery", 0)),
            int(told.get("until", 0)),
            int(told.get("due", 0)),
            str(told.get("error", "")),
            None if told.get("large") else body,
        )


_NEW: Final = State("available")


@dataclass(frozen=True, slots=True)
class Item:
    """An item as its row tells it.

    Attributes:
        row: the key of the row.
        place: its priority, number and the rest that tells it from all others: what its rows have in common.
        version: of the row.
        state: what the row says.
    """

    row: bytes
    place: bytes
    version: int | str
    state: State


class QueueRows:
    """The rows of one queue.

    Where a batch is atomic, each kind of item has a range of its own, and an item moves from one to the other. On other
    engines an item stays in its row, because a change of one row is atomic on every engine.

    Attributes:
        name: the name of the queue.
        head: what all its rows begin with.
        moves: whether items move.
    """

    def __init__(self, name: str, capabilities: Capabilities) -> None:
        self.name = name
        self.head = QUEUES[0] + encode_element(name)
        if len(self.head) > _LONGEST_NAME:
            raise InvalidKey(f"the name of a queue takes {len(self.head)} bytes; it can take {_LONGEST_NAME} at most")
        is_lasting = capabilities.persistent
        self.moves = capabilities.atomic in ("crash", "shard") or not is_lasting
        self.origin = self.head + _ORIGIN
        self.start = self.head + _LETTERS["available"]
        self.stop = prefix_end(self.start)
        self.taken = self.head + _LETTERS["taken"]
        self._ranges = {kind: self._range_of(kind) for kind in _LETTERS}

    def range_of(self, kind: Kind) -> tuple[bytes, bytes]:
        """The range of the items of a kind; of all items, where they do not move."""
        return self._ranges[kind]

    def _range_of(self, kind: Kind) -> tuple[bytes, bytes]:
        start = self.head + _LETTERS[kind] if self.moves else self.start
        return start, prefix_end(start)

    def name_of(self, place: bytes) -> bytes:
        """What stands for the item's key where its value is encoded. It is also the row of a large body."""
        return self.head + _BODY + place

    def row_of(self, state: State, place: bytes) -> bytes:
        """The key of the row of an item in a state."""
        if not self.moves:
            return self.start + place + _TOLD
        if state.kind == "delayed":
            return self.head + _LETTERS["delayed"] + state.due.to_bytes(_DUE, "big") + place
        return self.head + _LETTERS[state.kind] + place + (_TOLD if state.kind == "available" else b"")

    def plain_row(self, place: bytes) -> bytes:
        """The key of the row of an available item that was never given to a taker, and whose body is small."""
        return self.start + place + _PLAIN

    def newly_taken(self, taker: bytes, delivery: int, until: int, before: State | None = None) -> State:
        """The state of an item that is given to a taker. ``before``: its state; None for one that is given first."""
        old = before or State("available")
        return State("taken", old.attempts + 1, taker, delivery, until, 0, old.error, old.body)

    # --- writing -----------------------------------------------------------------------------------------------------

    def puts(self, place: bytes, body: bytes, state: State) -> dict[bytes, bytes]:
        """The rows of a new item, whose value has the body. That of the state does not count."""
        is_large = self.moves and (len(body) > LARGE or type(body) is not bytes)
        if self.moves and not is_large and state == _NEW:
            return {self.plain_row(place): body}
        told = replace(state, body=None if is_large else body)
        rows = {self.row_of(told, place): told.pack()}
        if is_large:
            rows[self.name_of(place)] = body
        return rows

    def change(self, item: Item, state: State) -> Batch:
        """The batch that gives an item another state, if it still has the one that it had."""
        row = self.row_of(state, item.place)
        deletes = frozenset((item.row,)) if row != item.row else frozenset[bytes]()
        return Batch({row: state.pack()}, deletes, {item.row: item.version})

    def removal(self, item: Item) -> Batch:
        """The batch that removes an item, if it still has its state."""
        deletes = {item.row}
        if item.state.body is None:
            deletes.add(self.name_of(item.place))
        return Batch(deletes=frozenset(deletes), checks={item.row: item.version})

    # --- reading -----------------------------------------------------------------------------------------------------

    def item(self, row: bytes, entry: Entry) -> Item:
        """The item of a row. Raises DamagedRecord for what is none."""
        kind, place = self._kind_and_place(row)
        try:
            if not is_intact(row, entry.record):
                raise ValueError("its checksum does not fit")
            if row.startswith(self.start) and row.endswith(_PLAIN) and self.moves:
                state = State("available", body=entry.record[:-TRAILER])
            else:
                state = State.unpack(entry.record)
                if self.moves and state.kind != kind:
                    raise ValueError("it says that the item is in another state")
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise DamagedRecord(f"a row of the queue {self.name!r} cannot be read: {error}", row) from error
        return Item(row, place, entry.version, state)

    def _kind_and_place(self, row: bytes) -> tuple[Kind, bytes]:
        at = len(self.head)
        kind = _KINDS[row[at : at + 1]]
        if kind == "available":
            return kind, row[at + 1 : -1]
        return kind, row[at + 1 + (_DUE if kind == "delayed" else 0) :]

    def items(self, reader: Reader, kind: Kind) -> Iterator[Item]:
        """The items of a kind in order."""
        for row, entry in reader.scan(*self.range_of(kind)):
            assert entry is not None
            item = self.item(row, entry)
            if item.state.kind == kind:
                yield item

    def all_items(self, reader: Reader) -> Iterator[Item]:
        """All items, where they do not move."""
        for row, entry in reader.scan(self.start, self.stop):
            assert entry is not None
            yield self.item(row, entry)

    def count(self, reader: Reader, *kinds: Kind) -> int:
        """How many items there are of some kinds."""
        if self.moves:
            return sum(reader.count(*self.range_of(kind)) for kind in kinds)
        return sum(1 for item in self.all_items(reader) if item.state.kind in kinds)

    def first_due(self, reader: Reader) -> int | None:
        """When the first of the delayed items becomes available."""
        if not self.moves:
            return min((item.state.due for item in self.items(reader, "delayed")), default=None)
        found = reader.first(*self.range_of("delayed"))
        at = len(self.head) + 1
        return None if found is None else int.from_bytes(found[0][at : at + _DUE], "big")


def place_of(priority: float, number: bytes) -> bytes:
    """The place of an item: its priority, and what :class:`~coshelf.coordination.numbers.Numbers` gave."""
    if not isinstance(priority, (int, float)):
        raise TypeError(f"the priority of an item is a number, not {type(priority).__name__}")
    encoded = encode_element(priority)
    if len(encoded) > _LONGEST_PRIORITY:
        raise ValueError(f"the priority of an item takes {len(encoded)} bytes; it can take {_LONGEST_PRIORITY} at most")
    return encoded + number


def priority_and_number(place: bytes) -> tuple[float, int]:
    """The priority and the number in a place."""
    priority, at = decode_element(place, 0)
    return priority, int.from_bytes(place[at : at + 8], "big")


def names_of(reader: Reader, space: tuple[bytes, bytes]) -> Iterator[str]:
    """The names that rows of a range begin with."""
    start, stop = space
    while True:
        row = next((row for page in reader.key_pages(start, stop) for row in page), None)
        if row is None:
            return
        name, end = decode_element(row, 1)
        yield name
        start = prefix_end(row[:end])


def with_error(item: Item, error: str, attempts: int) -> State:
    """The state of a taken item that its taker does not finish: available again, or failed after ``attempts``."""
    has_failed = 0 < attempts <= item.state.attempts
    return replace(
        item.state, kind="failed" if has_failed else "available", taker=b"", delivery=0, until=0, due=0, error=error
    )
