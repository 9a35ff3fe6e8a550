"""Deques that all processes share, with the methods of :class:`collections.deque`."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Generic, Self, SupportsIndex, TypeVar

from coshelf.contract import Reader
from coshelf.coordination.cells import ID, Cells, DequeRows, Torn, new_id
from coshelf.coordination.ground import Ground, Writable
from coshelf.errors import Conflict, DamagedRecord
from coshelf.records import checksum, seal
from coshelf.screen import plain
from coshelf.system.waiting.backoff import Backoff

__all__ = ["Deque"]

V = TypeVar("V")
R = TypeVar("R")

_AT_ONCE = 20  # attempts without the exclusive lock
_ATTEMPTS = 400
_FIRST_PAUSE = 0.0002
_LONGEST_PAUSE = 0.05
_ALL = 1 << 62


class Deque(Generic[V]):
    """A deque that all processes share, from :meth:`coshelf.Shelf.deque`. Each method is one atomic step.

    It has the methods of :class:`collections.deque`, with the same results and exceptions. Items that are read are
    copies. An iteration shows the items of one instant.

    >>> import coshelf
    >>> recent = coshelf.open("memory:").deque("recent", maxlen=2)
    >>> recent.extend(["a", "b", "c"])
    >>> list(recent), recent[0], recent.pop()
    (['b', 'c'], 'b', 'c')
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, ground: Ground, name: str, maxlen: int | None) -> None:
        if maxlen is not None:
            if isinstance(maxlen, bool) or not isinstance(maxlen, int):
                raise TypeError("an integer is required")
            if maxlen < 0:
                raise ValueError("maxlen must be non-negative")
        self._ground = ground
        self._rows = DequeRows(name, ground.engine.capabilities)
        self._maxlen = maxlen
        self.name = name

    @property
    def maxlen(self) -> int | None:
        """How many items it has at most; None if there is no limit."""
        return self._maxlen

    def __repr__(self) -> str:
        return plain(f"<Deque {self.name!r} of {self._ground.engine.where!r}>")

    def _repr_html_(self) -> str:
        from coshelf.coordination.showing import facts_as_html

        engine, is_inside = self._ground.engine, self._ground.is_inside

        def tell() -> list[tuple[str, Any]]:
            # Not the transaction of this task: its commit would check what is read here.
            items = self._read_of(engine, lambda cells: cells.length)
            return [("items", items), ("maxlen", self._maxlen), ("before the transaction", True if is_inside else None)]

        return facts_as_html(repr(self)[1:-1], tell, waits=not engine.reads_at_once)

    # --- steps -------------------------------------------------------------------------------------------------------

    def _change(self, step: Callable[[Cells], R]) -> R:
        """Do a step that changes cells, in one commit or as part of the transaction. It may be repeated."""
        overlay = self._ground.joined()
        if overlay is not None:
            return self._change_in(overlay, step)
        engine = self._ground.engine
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, spread=1.0)
        cells: Cells | None = None
        for attempt in range(_ATTEMPTS):
            if attempt == _AT_ONCE and engine.capabilities.exclusive is not None:
                break
            try:
                cells = self._rows.open(engine)
                result = step(cells)
                if cells.is_changed:
                    self._ground.commit(cells.batch())
                return result
            except (Torn, Conflict):
                if attempt:
                    backoff.sleep()
            except DamagedRecord:
                if cells is None or not cells.is_torn():
                    raise
        if engine.capabilities.exclusive is None:
            raise Conflict(f"the deque {self.name!r} was changed by others {_ATTEMPTS} times meanwhile", (self.name,))
        with engine.exclusive() as lock:
            cells = self._rows.open(engine)
            result = step(cells)
            if cells.is_changed:
                lock.commit(cells.batch())
        return result

    def _change_in(self, overlay: Writable, step: Callable[[Cells], R]) -> R:
        """Make the changes of a step part of a transaction."""
        cells = self._rows.open(overlay)
        result = step(cells)
        if cells.is_changed:
            batch = cells.batch()
            for row in batch.deletes:
                overlay.delete(row)
            for row, body in batch.puts.items():
                overlay.put(row, body)
        return result

    def _read(self, step: Callable[[Cells], R]) -> R:
        """What a step returns that only reads, as of one instant."""
        return self._read_of(self._ground.reader(), step)

    def _read_of(self, reader: Reader, step: Callable[[Cells], R]) -> R:
        for _ in range(_AT_ONCE):
            with suppress(Torn):
                return self._read_once(reader, step)
        while True:  # others change it all the time: an instant, where the engine has such, does not change
            with reader.instant() as instant, suppress(Torn):
                return self._read_once(instant, step)

    def _read_once(self, reader: Reader, step: Callable[[Cells], R]) -> R:
        """The result of a step that reads. Raises Torn if the deque has changed meanwhile."""
        cells = self._rows.open(reader)
        try:
            result = step(cells)
        except (LookupError, ValueError):
            if cells.is_torn():
                raise Torn from None
            raise
        if cells.is_torn():
            raise Torn
        return result

    # --- values ------------------------------------------------------------------------------------------------------

    def _key(self) -> tuple[str, str]:
        """The key of an item in messages."""
        return "deque", self.name

    def _made(self, value: V) -> tuple[bytes, dict[bytes, bytes]]:
        """A cell for a value, and its further rows."""
        identity = new_id()
        body = self._ground.codec.dump(self._key(), self._rows.body(identity), value)
        return self._rows.new_cell(identity, body)

    def _value(self, cell: bytes, reader: Reader) -> V:
        name = self._rows.body(cell[:ID])
        if len(cell) > ID:
            body = cell[ID:]
            record = seal(body, checksum(name, body), 0)
        else:
            found = reader.record(name)
            if found is None:
                raise Torn
            record = found
        value: V = self._ground.codec.load(self._key(), name, record)
        return value

    def _values(self) -> list[V]:
        return self._read(lambda cells: [self._value(cell, cells.reader) for cell in cells.read_all()])

    # --- the ends ----------------------------------------------------------------------------------------------------

    def append(self, value: V) -> None:
        """Add an item on the right. If there are more than ``maxlen`` then, drop one on the left."""
        self._extend([value], left=False)

    def appendleft(self, value: V) -> None:
        """Add an item on the left. If there are more than ``maxlen`` then, drop one on the right."""
        self._extend([value], left=True)

    def extend(self, values: Iterable[V]) -> None:
        """Add items on the right, in one commit."""
        self._extend(list(values), left=False)

    def extendleft(self, values: Iterable[V]) -> None:
        """Add items on the left, one after the other, in one commit. So they are in the reverse order."""
        self._extend(list(values), left=True)

    def __iadd__(self, values: Iterable[V]) -> Self:
        self.extend(values)
        return self

    def _extend(self, values: list[V], *, left: bool) -> None:
        if self._maxlen is not None:
            values = values[len(values) - min(self._maxlen, len(values)) :]
        made = [self._made(value) for value in values]

        def step(cells: Cells) -> None:
            for cell, rows in made:
                cells.append(cell, left)
                cells.add_rows(rows)
            while self._maxlen is not None and cells.length > self._maxlen:
                cells.drop([cells.pop(not left)])

        if made or self._maxlen is not None:
            self._change(step)

    def pop(self) -> V:
        """Remove and return the item on the right. Raises IndexError if there is none."""
        return self._pop(left=False)

    def popleft(self) -> V:
        """Remove and return the item on the left. Raises IndexError if there is none."""
        return self._pop(left=True)

    def _pop(self, *, left: bool) -> V:
        def step(cells: Cells) -> V:
            if not cells.length:
                raise IndexError("pop from an empty deque")
            cell = cells.pop(left)
            value = self._value(cell, cells.reader)
            cells.drop([cell])
            return value

        return self._change(step)

    def rotate(self, n: SupportsIndex = 1) -> None:
        """Move ``n`` items from the right end to the left end; from left to right if ``n`` is negative."""
        count = operator.index(n)

        def step(cells: Cells) -> None:
            if cells.length < 2:
                return
            steps = count % cells.length
            left = steps > cells.length // 2
            for _ in range(cells.length - steps if left else steps):
                cells.append(cells.pop(left), not left)

        self._change(step)

    # --- by index ----------------------------------------------------------------------------------------------------

    def __getitem__(self, index: SupportsIndex) -> V:
        at = _index(index)

        def step(cells: Cells) -> V:
            return self._value(cells.get(_within(at, cells.length)), cells.reader)

        return self._read(step)

    def __setitem__(self, index: SupportsIndex, value: V) -> None:
        at = _index(index)
        cell, rows = self._made(value)

        def step(cells: Cells) -> None:
            place = _within(at, cells.length)
            old = cells.get(place)
            cells.set(place, cell)
            cells.add_rows(rows)
            cells.drop([old])

        self._change(step)

    def __delitem__(self, index: SupportsIndex) -> None:
        at = _index(index)

        def step(cells: Cells) -> None:
            _remove(cells, _within(at, cells.length))

        self._change(step)

    def insert(self, index: SupportsIndex, value: V) -> None:
        """Insert an item before an index. Raises IndexError if there are ``maxlen`` items already."""
        at = operator.index(index)
        cell, rows = self._made(value)

        def step(cells: Cells) -> None:
            if self._maxlen is not None and cells.length >= self._maxlen:
                raise IndexError("deque already at its maximum size")
            before = cells.read_all()
            after = before.copy()
            after.insert(at, cell)
            cells.replace(before, after)
            cells.add_rows(rows)

        self._change(step)

    def reverse(self) -> None:
        """Reverse the order of the items."""

        def step(cells: Cells) -> None:
            before = cells.read_all()
            cells.replace(before, before[::-1])

        self._change(step)

    def clear(self) -> None:
        """Remove all items."""

        def step(cells: Cells) -> None:
            cells.drop([cells.pop(False) for _ in range(cells.length)])

        self._change(step)

    # --- by value ----------------------------------------------------------------------------------------------------

    def remove(self, value: V) -> None:
        """Remove the first item that equals ``value``. Raises ValueError if there is none."""

        def step(cells: Cells) -> None:
            for index, cell in enumerate(cells.read_all()):
                if _equal(self._value(cell, cells.reader), value):
                    _remove(cells, index)
                    return
            deque[V]().remove(value)  # raises the error of this version of Python

        self._change(step)

    def index(self, value: V, start: SupportsIndex = 0, stop: SupportsIndex = _ALL) -> int:
        """The index of the first item that equals ``value``, from ``start`` and before ``stop``. Raises ValueError."""
        return deque(self._values()).index(value, operator.index(start), operator.index(stop))

    def count(self, value: V) -> int:
        """How many items equal ``value``."""
        return self._values().count(value)

    def __contains__(self, value: object) -> bool:
        return value in self._values()

    # --- all of it ---------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._read(lambda cells: cells.length)

    def __iter__(self) -> Iterator[V]:
        return iter(self._values())

    def __reversed__(self) -> Iterator[V]:
        return reversed(self._values())

    def copy(self) -> deque[V]:
        """The items as a :class:`collections.deque` with the same ``maxlen``."""
        return deque(self._values(), self._maxlen)

    __copy__ = copy

    def __add__(self, other: deque[V] | Deque[V]) -> deque[V]:
        return self.copy() + _plain(other) if isinstance(other, (deque, Deque)) else NotImplemented

    def __mul__(self, times: int) -> deque[V]:
        return self.copy() * times

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Self:
        count = operator.index(times)

        def step(cells: Cells) -> None:
            values = [self._value(cell, cells.reader) for cell in cells.read_all()]
            if count <= 0:
                cells.drop([cells.pop(False) for _ in range(cells.length)])
                return
            for value in values * (count - 1):
                cell, rows = self._made(value)
                cells.append(cell, False)
                cells.add_rows(rows)
            while self._maxlen is not None and cells.length > self._maxlen:
                cells.drop([cells.pop(True)])

        self._change(step)
        return self

    def __eq__(self, other: object) -> bool:
        return self.copy() == _plain(other) if isinstance(other, (deque, Deque)) else NotImplemented

    def __lt__(self, other: deque[V] | Deque[V]) -> bool:
        return self._compared(other, operator.lt)

    def __le__(self, other: deque[V] | Deque[V]) -> bool:
        return self._compared(other, operator.le)

    def __gt__(self, other: deque[V] | Deque[V]) -> bool:
        return self._compared(other, operator.gt)

    def __ge__(self, other: deque[V] | Deque[V]) -> bool:
        return self._compared(other, operator.ge)

    def _compared(self, other: Any, compare: Callable[[Any, Any], bool]) -> bool:
        return compare(self.copy(), _plain(other)) if isinstance(other, (deque, Deque)) else NotImplemented


def _plain(other: Any) -> deque[Any]:
    return other.copy() if isinstance(other, Deque) else other


def _equal(left: object, right: object) -> bool:
    return left is right or bool(left == right)


def _index(index: SupportsIndex) -> int:
    if not hasattr(index, "__index__"):
        raise TypeError(f"sequence index must be integer, not '{type(index).__name__}'")
    return operator.index(index)


def _within(index: int, length: int) -> int:
    """An index from 0 on. Raises IndexError."""
    at = index + length if index < 0 else index
    if not 0 <= at < length:
        raise IndexError("deque index out of range")
    return at


def _remove(cells: Cells, index: int) -> None:
    before = cells.read_all()
    removed = before[index]
    cells.replace(before, before[:index] + before[index + 1 :])
    cells.drop([removed])
