"""What is done with the items of a queue: the steps, each one commit, inside a transaction or not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice, takewhile
from typing import Any

from coshelf.contract import Batch, Reader
from coshelf.coordination import queue_lines
from coshelf.coordination.ground import Ground, Writable
from coshelf.coordination.numbers import Numbers
from coshelf.coordination.queue_rows import (
    Item,
    Kind,
    QueueRows,
    State,
    place_of,
    priority_and_number,
    with_error,
)
from coshelf.errors import Conflict, DamagedRecord
from coshelf.records import checksum, seal

__all__ = ["Items", "Overtaken"]

_SECOND = 1_000_000
_ENDED = "the process that had it ended, or did not answer any more"
_LATE = "its time ended before it was done"
_LOOK = 1.0  # seconds between two looks at the items that are taken
_SOON = 0.1  # the same for calls that find no item
_TOGETHER = 500  # items that one commit changes


class Overtaken(Exception):
    """Another task has taken or removed an item between two reads of it."""


class Items:
    """The items of a queue.

    Args:
        ground: the shelf.
        rows: their rows.
        attempts: after how many deliveries an item has failed; 0: never.
        bell: the name of the bell that wakes a waiting taker.

    Attributes:
        is_behind: whether the takers should be looked at again soon.
    """

    def __init__(self, ground: Ground, rows: QueueRows, attempts: int, bell: bytes) -> None:
        self.ground = ground
        self.rows = rows
        self.attempts = attempts
        self._bell = bell
        self._numbers = Numbers(ground.engine, rows.origin, partial(_greatest, rows))  # no circle of references
        self._looked = -_LOOK
        self.is_behind = False
        self._deaths = 0

    def tell_put(self) -> None:
        """Wake a waiting taker: a commit has put an item."""
        queue_lines.ring_after_commit(self.ground.engine, self._bell)

    def tell_end(self) -> None:
        """Wake a waiting taker: the process that had an item has ended."""
        queue_lines.ring(self.ground.engine, self._bell)

    # --- putting -----------------------------------------------------------------------------------------------------

    def put(self, value: Any, priority: float, delay: float, overlay: Writable | None) -> None:
        """Put one item."""
        ground, rows = self.ground, self.rows
        place = place_of(priority, self._numbers.draw(overlay))
        if not delay and overlay is None and rows.moves and ground.writes_plainly:
            engine = ground.engine
            is_left = engine.quick_store("", value, rows.plain_row(place))
            if is_left is None:
                return
            if is_left:
                engine.stored()
                return
        self._store(self._rows_of(value, place, self._due(delay)), overlay)

    def put_many(self, values: Iterable[Any], priority: float, delay: float, overlay: Writable | None) -> None:
        """Put several items in one commit, or in several where an engine commits each row by itself."""
        number = int.from_bytes(self._numbers.draw(overlay)[:8], "big")
        due = self._due(delay)
        puts: dict[bytes, bytes] = {}
        for value in values:
            puts.update(self._rows_of(value, place_of(priority, self._numbers.numbered(number)), due))
        if puts:
            self._store(puts, overlay)

    def _due(self, delay: float) -> int:
        return self.ground.engine.now() + round(delay * _SECOND) if delay else 0

    def _rows_of(self, value: Any, place: bytes, due: int) -> dict[bytes, bytes]:
        name = self.rows.name_of(place)
        state = State("delayed" if due else "available", due=due)
        return self.rows.puts(place, self.ground.codec.dump(self._shown(), name, value), state)

    def _store(self, puts: dict[bytes, bytes], overlay: Writable | None) -> None:
        if overlay is None:
            self.ground.commit(Batch(puts))
            return
        for row, body in puts.items():
            overlay.put(row, body)

    # --- reading -----------------------------------------------------------------------------------------------------

    def _shown(self) -> tuple[str, str]:
        """The key of an item in messages."""
        return "queue", self.rows.name

    def value(self, item: Item, reader: Reader) -> Any:
        """The value of an item. Raises Overtaken if the item has left its row since that was read."""
        name, body = self.rows.name_of(item.place), item.state.body
        if body is None:
            record = reader.record(name)
            if record is None:
                entry = reader.get(item.row)
                if entry is None or entry.version != item.version:
                    raise Overtaken
                raise DamagedRecord(f"an item of the queue {self.rows.name!r} has lost its value", item.row)
        else:
            record = seal(body, checksum(name, body), 0)
        return self.ground.codec.load(self._shown(), name, record)

    def available(self, reader: Reader) -> Iterator[Item]:
        """The items that may be taken, in order. Items whose time has come, and those left by dead takers, are among
        them, unless a process takes them meanwhile.
        """
        if not self.rows.moves:
            now = self.ground.engine.now()
            for item in self.rows.all_items(reader):
                kind = item.state.kind
                if kind == "available" or (kind == "delayed" and item.state.due <= now):
                    yield item
            return
        if reader.finds_first:
            first = reader.first(self.rows.start, self.rows.stop)
            if first is not None:
                yield self.rows.item(*first)
            return
        yield from self.rows.items(reader, "available")

    def next(self, reader: Reader) -> Item | None:
        """The item that is taken next, without making delayed ones available; None if there is none."""
        now = self.ground.engine.now()
        found = next(iter(self.available(reader)), None)
        if self.rows.moves:
            due = takewhile(lambda item: item.state.due <= now, self.rows.items(reader, "delayed"))
            found = min((*due, *([] if found is None else [found])), key=lambda item: item.place, default=None)
        return found

    # --- items that come back ----------------------------------------------------------------------------------------

    def bring_back(self, overlay: Writable | None, *, at_once: bool = False) -> bool:
        """Make items available whose delay is over, and those whose taker has ended. Return whether there were any.

        The takers are looked at once a second, when one is known to have ended, and with ``at_once``; then ten times a
        second at most, because it takes longer than to take an item.
        """
        now, was_due = self.ground.engine.now(), False
        if self.rows.moves:
            reader: Reader = overlay or self.ground.engine
            first = self.rows.first_due(reader)
            was_due = first is not None and first <= now
            if was_due:
                self._bring_due(reader, now, overlay)
        deaths, at = self.ground.takers.deaths, time.monotonic()
        if deaths == self._deaths and at - self._looked < (_SOON if at_once else _LOOK):
            self.is_behind = at_once
            return was_due
        self._looked, self._deaths, self.is_behind = at, deaths, False
        return self._bring_left(now, overlay) or was_due

    def _bring_due(self, reader: Reader, now: int, overlay: Writable | None) -> None:
        due: list[Item] = []
        for item in self.rows.items(reader, "delayed"):
            if item.state.due > now or len(due) == _TOGETHER:
                break
            due.append(item)
        for item in due:
            self.change(item, replace(item.state, kind="available", due=0), overlay)

    def _bring_left(self, now: int, overlay: Writable | None) -> bool:
        reader: Reader = overlay or self.ground.engine
        if self.rows.moves and reader.first(*self.rows.range_of("taken")) is None:
            return False
        ended: set[bytes] = set()
        for item in list(self.rows.items(reader, "taken")):
            if overlay is not None and not item.state.taker:
                continue  # this transaction has taken it
            error = self._why_left(item, now)
            if error:
                self.change(item, with_error(item, error, self.attempts), overlay)
                ended.add(item.state.taker)
            else:
                self.ground.takers.notice(item.state.taker, self.tell_end)
        for taker in ended if overlay is None else ():
            self.ground.takers.forget(taker)
        return bool(ended)

    def _why_left(self, item: Item, now: int) -> str:
        if 0 < item.state.until <= now:
            return _LATE
        return _ENDED if self.ground.takers.has_ended(item.state.taker) else ""

    # --- steps -------------------------------------------------------------------------------------------------------

    def change(self, item: Item, state: State, overlay: Writable | None) -> int | str | None:
        """Give an item another state. Returns the version of its row; None if another one was quicker."""
        return self.commit(self.rows.change(item, state), overlay)

    def remove(self, item: Item, overlay: Writable | None) -> bool:
        """Remove an item. Returns False if another one was quicker."""
        return self.commit(self.rows.removal(item), overlay) is not None

    def commit(self, batch: Batch, overlay: Writable | None) -> int | str | None:
        """Commit a batch, or make it part of a transaction. Returns None if its check fails."""
        if overlay is None:
            try:
                return self.ground.commit(batch)
            except Conflict:
                return None
        for row, body in batch.puts.items():
            overlay.put(row, body)
        for row in batch.deletes:
            overlay.delete(row)
        return 0

    def with_first(self, step: Callable[[Item], Any], overlay: Writable | None) -> Any:
        """What a step returns for the first item for which it does not return None; None without such an item."""
        reader: Reader = overlay or self.ground.engine
        while True:
            is_overtaken = False
            for item in self.available(reader):
                with suppress(Overtaken):
                    done = step(item)
                    if done is not None:
                        return done
                is_overtaken = True
            if not is_overtaken:
                return None

    def return_delivery(self, taker: bytes, delivery: int) -> None:
        """Make an item available whose taking was interrupted."""
        for item in list(self.rows.items(self.ground.engine, "taken")):
            if (item.state.taker, item.state.delivery) == (taker, delivery):
                self.change(item, with_error(item, "its taking was interrupted", self.attempts), None)

    def remove_all(self, kinds: tuple[Kind, ...], overlay: Writable | None) -> None:
        """Remove all items of some kinds, many in a commit where an engine can do that."""
        reader: Reader = overlay or self.ground.engine
        for kind in kinds:
            items = self.rows.items(reader, kind)
            while some := list(islice(items, _TOGETHER if self.rows.moves else 1)):
                removals = [self.rows.removal(item) for item in some]
                deletes = frozenset[bytes]().union(*(removal.deletes for removal in removals))
                checks = {item.row: item.version for item in some}
                if self.commit(Batch(deletes=deletes, checks=checks), overlay) is None:
                    for item in some:  # takers were quicker with some of them
                        self.remove(item, overlay)


def _greatest(rows: QueueRows, reader: Reader) -> int:
    """The greatest number of an item."""
    return max(
        (
            priority_and_number(item.place)[1]
            for kind in ("available", "delayed", "taken", "failed")
            for item in rows.items(reader, kind)
        ),
        default=0,
    )
