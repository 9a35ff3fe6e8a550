"""What is shown of a shelf without being asked for: its name, a count, and its first entries.

A debugger, a log and a notebook show objects at any time. So a glance reads little, waits for nothing or not for long,
leaves no trace in a transaction, unpickles nothing, and says in words what it cannot read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from coshelf import records
from coshelf.contract import Capabilities, Engine, Entry, Flag, Reader
from coshelf.errors import ShelfClosed
from coshelf.keys import FIRST, FOREIGN, LAST, shown
from coshelf.mapping.living import Living
from coshelf.mapping.selection import Selection
from coshelf.screen import plain
from coshelf.values.expiry import time_of

__all__ = ["Count", "Excerpt", "Excerpts", "Glance", "glance_of", "reason_of"]

T = TypeVar("T")

_MOST_VISITED = 1_000  # keys, where the number of entries is not known without counting them
_PATIENCE = 2.0  # seconds for engines that may have to wait, such as for a server
_LARGEST_VERIFIED = 1 << 20  # bytes
_STEPS = 500  # instructions of a pickle that a preview follows


class Count(NamedTuple):
    """A number of entries.

    Attributes:
        number: the number, or the smallest that it can be.
        is_exact: whether there are no more.
    """

    number: int
    is_exact: bool = True

    def of(self, one: str, many: str) -> str:
        """In words.

        >>> Count(1204).of("key", "keys"), Count(1).of("key", "keys"), Count(1000, False).of("key", "keys")
        ('1,204 keys', '1 key', 'over 1,000 keys')
        """
        return f"{'' if self.is_exact else 'over '}{self.number:,} {one if self.number == 1 else many}"


class Excerpt(NamedTuple):
    """An entry as it is shown. Without its value, if that was not asked for.

    Attributes:
        key: the key, as Python writes it.
        type: the name of the value's class.
        text: the beginning of the value.
        size: bytes.
        expires: when it expires, in seconds since 1970.
    """

    key: str
    type: str = ""
    text: str = ""
    size: int = 0
    expires: float | None = None


@dataclass(slots=True)
class Excerpts:
    """The first entries that are shown.

    Attributes:
        found: the entries.
        count: how many there are in all; None if that is not known.
        problem: why there are no more than these, if something went wrong; empty otherwise.
    """

    found: list[Excerpt] = field(default_factory=list)
    count: Count | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Glance:
    """A shelf, snapshot, transaction, view or cursor, as far as it is shown.

    Attributes:
        kind: the name of its class.
        where: path or URL.
        engine: the name of the engine.
        capabilities: what the engine can do.
        answers_at_once: whether reads take microseconds and wait for nothing.
        selection: the entries that are shown.
        reader: gives the reader. It raises ShelfClosed if there is none any more.
        details: what else is said of it, such as "read-only".
        end: why it cannot be read any more, such as "closed"; empty if it can.
        has_own_entries: whether it adds entries to those of the engine, as a transaction does.
        keys_only: whether values are not shown.
        may_wait: whether a caller can wait for an engine that does not answer at once.
        keys_of: gives the encoded keys in a range, if they are not all that the reader has.
    """

    kind: str
    where: str
    engine: str
    capabilities: Capabilities
    answers_at_once: bool
    selection: Selection
    reader: Callable[[], Reader]
    details: tuple[str, ...] = ()
    end: str = ""
    has_own_entries: bool = False
    keys_only: bool = False
    may_wait: bool = True
    keys_of: Callable[[Reader, bytes, bytes], Iterator[bytes]] | None = None

    def as_kind(self, kind: str, **changed: Any) -> Glance:
        """The same under the name of another class."""
        return dataclasses.replace(self, kind=kind, **changed)

    def of_view(self, kind: str, selection: Selection, *, keys_only: bool) -> Glance:
        """A view of it."""
        words = selection.words()
        return self.as_kind(f"{kind}{f'({words})' if words else ''} of", selection=selection, keys_only=keys_only)

    def of_cursor(self, kind: str, position: bytes | None) -> Glance:
        """A cursor on it, at an encoded key."""
        namespace = self.selection.namespace
        here = () if position is None else ((position, position + b"\x00"),)
        at = "before the first move" if position is None else f"at {shown(namespace.decode(position))}"
        return self.as_kind(f"{kind} {at} of", selection=Selection(namespace, here, None, False))

    def place(self) -> str:
        """The shelf that it shows: its path or URL, and the name of the part."""
        under = self.selection.namespace.prefix
        return plain(repr(self.where)) + (f" under {plain(repr(under))}" if under else "")

    def excerpts(self, most: int) -> Excerpts:
        """The first entries, and the number of all. It raises no error."""
        if self.end:
            return Excerpts()
        if not (self.answers_at_once or self.may_wait):
            return Excerpts(problem="entries are not shown, because reading them may wait")
        found = Excerpts()
        problem = self._told(lambda: self._fill(found, most))
        return dataclasses.replace(found, problem=problem or "")

    def count(self) -> Count | None:
        """The number of entries, if it can be told at once. It raises no error."""
        if self.end or not self.answers_at_once:
            return None
        try:
            return self._count(self.reader())
        except Exception:  # a repr raises nothing: what is wrong is told by the first read
            return None

    def _told(self, fill: Callable[[], None]) -> str | None:
        """Why a step failed; None if it did not."""
        try:
            # A transaction belongs to its thread, and other programs' mappings may, too.
            if self.answers_at_once or self.has_own_entries or self.engine == "mapping":
                fill()
            else:
                from coshelf.system.waiting.bounded_wait import within

                within(_PATIENCE, fill)
        except Exception as error:
            return reason_of(error)
        return None

    def _fill(self, into: Excerpts, most: int) -> None:
        reader = self.reader()
        with closing(self._visit(reader, keys_only=self.keys_only)) as visited:
            for found in visited:
                if found is None or len(into.found) == most:
                    into.count = self._count(reader)
                    return
                into.found.append(_excerpt(*found))
        into.count = Count(len(into.found))

    def _count(self, reader: Reader) -> Count:
        chosen = self.selection
        is_whole = self.keys_of is None and chosen.glob is None and chosen.ranges == ((FIRST, LAST),)
        if is_whole and self.capabilities.cheap_count and not self.has_own_entries:
            return Count(chosen.count(reader))
        number, is_exact = 0, True
        with closing(self._visit(reader, keys_only=True)) as visited:
            for found in visited:
                is_exact = found is not None
                number += is_exact
        return Count(number, is_exact)

    def _visit(self, reader: Reader, *, keys_only: bool) -> Generator[tuple[Any, bytes, Entry | None] | None]:
        """The selected entries among the first keys of the ranges; then None, if there are further keys."""
        chosen, left = self.selection, _MOST_VISITED
        for start, stop in reversed(chosen.ranges) if chosen.reverse else chosen.ranges:
            found: Iterator[tuple[bytes, Entry | None]] = (
                reader.scan(start, stop, reverse=chosen.reverse, keys_only=keys_only)
                if self.keys_of is None
                else ((key, None) for key in self.keys_of(reader, start, stop))
            )
            for encoded, entry in found:
                if not left:
                    yield None
                    return
                left -= 1
                key = chosen.namespace.decode(encoded)
                if key is not FOREIGN and (chosen.glob is None or chosen.glob.matches(key)):
                    yield key, encoded, entry


def _excerpt(key: Any, encoded: bytes, entry: Entry | None) -> Excerpt:
    if entry is None:
        return Excerpt(shown(key))
    size = len(entry.record)
    if size <= _LARGEST_VERIFIED and not records.is_intact(encoded, entry.record):
        return Excerpt(shown(key), "damaged", f"its {size:,} bytes do not match their checksum", size)
    from coshelf.inspection.preview import preview_of

    looks, time = preview_of(entry.record, steps=_STEPS), time_of(entry.record)
    return Excerpt(shown(key), looks.type, looks.text, looks.size, None if time is None else time / 1_000_000)


def reason_of(error: Exception) -> str:
    """Why something cannot be shown, in a line."""
    if isinstance(error, ShelfClosed):
        return "closed"
    return plain(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")


class _Transaction(Protocol):
    def glance(self) -> Reader: ...


class _Handle(Protocol):
    """What is needed of the handle of a shelf."""

    engine: Engine
    flag: Flag

    @property
    def inside(self) -> Collection[Any]: ...
    @property
    def closed(self) -> bool: ...
    def state(self) -> _Transaction | None: ...


def glance_of(handle: _Handle, selection: Selection, *, keeps_values: bool = False) -> Glance:
    """A glance at an open shelf. Inside a transaction it shows the transaction, and adds nothing to its checks."""
    engine: Engine = handle.engine
    state = handle.state() if handle.inside else None
    return Glance(
        "Shelf",
        engine.where,
        engine.name,
        engine.capabilities,
        engine.reads_at_once,
        selection,
        lambda: Living(engine if state is None else state.glance(), engine.cutoff),
        ("read-only" if handle.flag == "r" else "rw", *(("writeback",) if keeps_values else ())),
        "closed" if handle.closed else "",
        has_own_entries=state is not None,
    )
