"""What a look found, as tables of texts: the same for a page and for a script that keeps it up to date."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coshelf.inspection.reports import Figures
from coshelf.screen import plain
from coshelf.viewer.activity.now import KINDS, Expiry, LockNow, Now, Part, QueueNow
from coshelf.viewer.activity.rates import Curve
from coshelf.viewer.sizes import in_words

__all__ = ["HEIGHT", "LEAST", "WIDTH", "Line", "Table", "line_of", "tables_of"]

WIDTH, HEIGHT = 600, 80
"""Of the box of a line, in the units of its drawing."""

LEAST = 20.0
"""Seconds that a line shows at least, so that the first rates do not fill it."""

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a heading.

    Attributes:
        name: for scripts and addresses.
        title: the heading.
        columns: the heads of the columns.
        rows: the cells, as texts.
        note: what is to be said below it: why it is empty, or what it does not tell.
    """

    name: str
    title: str
    columns: Row
    rows: tuple[Row, ...]
    note: str

    def as_dict(self) -> dict[str, Any]:
        """What changes of it, for JSON."""
        return {"name": self.name, "rows": self.rows, "note": self.note}


@dataclass(frozen=True, slots=True)
class Line:
    """A line in a drawing, with what it says in words.

    Attributes:
        name: for scripts.
        title: the heading.
        points: of an SVG polyline.
        text: the latest and the highest rate in words, or why there is no line.
        source: where the numbers come from.
    """

    name: str
    title: str
    points: str
    text: str
    source: str

    def as_dict(self) -> dict[str, str]:
        """What changes of it, for JSON."""
        return {"name": self.name, "points": self.points, "text": self.text}


def tables_of(now: Now) -> list[Table]:
    """Processes, locks, queues, the file, expiry and limits."""
    return [_processes(now.file), _locks(now.locks), _queues(now.queues), _writing(now), _going(now)]


def line_of(name: str, title: str, source: str, found: Part[int], curve: Curve) -> Line:
    """A line of rates, or the reason why there is none."""
    if found.value is None:
        return Line(name, title, "", _sentence(found.reason), source)
    if curve.latest is None:
        return Line(name, title, "", "One number is known so far. The next look gives the first rate.", source)
    text = (
        f"{_rate(curve.latest)} a second now, {_rate(curve.highest)} at most in the last {curve.span:,.0f} seconds, "
        f"{found.value:,} in all."
    )
    return Line(name, title, curve.points, text, source)


def _processes(file: Part[Figures]) -> Table:
    columns = ("Process", "What it does")
    figures = file.value
    if figures is None or figures.readers is None:
        reason = file.reason or "This engine does not know which processes have the shelf open"
        return Table("processes", "Processes", columns, (), _sentence(reason))
    rows = [(_process(reader.pid), _reading(reader.behind)) for reader in figures.readers]
    if figures.holder_pid is not None:
        rows.insert(
            0, (_process(figures.holder_pid), f"has the writers' lock ({plain(figures.holder_command or '?')})")
        )
    return Table(
        "processes", "Processes", columns, tuple(rows), "" if rows else "No process has read from the file yet."
    )


def _process(pid: int) -> str:
    return f"pid {pid}, this viewer" if pid == os.getpid() else f"pid {pid}"


def _reading(behind: int | None) -> str:
    if behind is None:
        return "has the shelf open"
    return "reads the newest state" if not behind else f"reads a state that is {behind:,} flushes old"


def _locks(part: Part[tuple[LockNow, ...]]) -> Table:
    rows = tuple(
        (lock.kind, lock.name, "\n".join(lock.holders) or "nobody", "\n".join(lock.waiting) or "nobody")
        for lock in part.value or ()
    )
    return Table("locks", "Locks", ("Kind", "Name", "Held by", "Waiting"), rows, _note(part, rows, "No lock is held."))


def _queues(part: Part[tuple[QueueNow, ...]]) -> Table:
    rows = tuple((queue.name, *(f"{count:,}" for count in queue.counts)) for queue in part.value or ())
    columns = ("Queue", *(kind.capitalize() for kind in KINDS))
    return Table("queues", "Queues", columns, rows, _note(part, rows, "No queue has items."))


def _writing(now: Now) -> Table:
    figures = now.file.value
    rows = [("Last commit", _number(now.commits.value))]
    if figures is not None:
        rows += [
            ("Rows that wait to be flushed", _number(figures.waiting_entries)),
            ("Size of these", _size(figures.waiting_bytes)),
            ("Size of the file", _size(figures.file_size)),
            ("Size of large values beside it", _size(figures.blob_bytes)),
            ("Free pages", _number(figures.free_pages)),
        ]
    return _figures("writing", "Writing", rows, now.commits.reason, now.file.reason)


def _going(now: Now) -> Table:
    figures, expiry = now.file.value, now.expiry.value
    rows: list[tuple[str, str | None]] = []
    if expiry is not None:
        rows += [("Next entry expires", _next(expiry)), ("Expired, not removed yet", _number(expiry.due))]
    if figures is not None:
        rows += [
            ("Evictions", _number(figures.evictions)),
            ("Size counted towards the limit", _size(figures.counted_bytes)),
            ("Hits", _number(figures.hits)),
            ("Misses", _number(figures.misses)),
        ]
    unlimited = "" if figures is None or figures.hits is not None else "Only shelves with limits count hits and misses"
    return _figures("going", "Expiry and evictions", rows, now.expiry.reason, unlimited)


def _figures(name: str, title: str, rows: Sequence[tuple[str, str | None]], *reasons: str) -> Table:
    """A table of figures without those that the engine does not know."""
    known = tuple((label, text) for label, text in rows if text is not None)
    note = " ".join(dict.fromkeys(_sentence(reason) for reason in reasons if reason))
    return Table(name, title, ("Figure", "Now"), known, note)


def _next(expiry: Expiry) -> str:
    if expiry.seconds is None:
        return "no entry expires"
    return f"in {expiry.seconds:,.0f} s" if expiry.seconds > 0 else "now"


def _number(number: int | None) -> str | None:
    return None if number is None else f"{number:,}"


def _size(size: int | None) -> str | None:
    return None if size is None else in_words(size)


def _rate(rate: float) -> str:
    return f"{rate:,.1f}" if rate < 100 else f"{rate:,.0f}"


def _note(part: Part[Any], rows: tuple[Row, ...], otherwise: str) -> str:
    if part.value is None:
        return _sentence(part.reason)
    return "" if rows else otherwise


def _sentence(text: str) -> str:
    """A reason as a sentence of its own."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""
