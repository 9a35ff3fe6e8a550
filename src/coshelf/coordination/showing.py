"""What notebooks show of queues, deques, locks, semaphores and barriers. Nothing is taken, and no item is unpickled."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from typing import Any

from coshelf.contract import Reader, Who
from coshelf.coordination.queue_rows import Kind, QueueRows
from coshelf.inspection.tables import Table, as_html, facts, line_as_html
from coshelf.screen import plain
from coshelf.system.waiting.bounded_wait import within

__all__ = ["facts_as_html", "lengths", "line_of_turns_as_html"]

_KINDS: tuple[Kind, ...] = ("available", "delayed", "taken", "failed")
_MOST_COUNTED = 1_000
_PATIENCE = 2.0  # seconds


def lengths(rows: QueueRows, reader: Reader) -> list[tuple[str, Any]]:
    """How many items of a queue are in each state. Of many, only the first are counted."""
    if rows.moves:
        found = {kind: _up_to(reader, *rows.range_of(kind)) for kind in _KINDS}
    else:
        found = dict.fromkeys(_KINDS, 0)
        for item in islice(rows.all_items(reader), _MOST_COUNTED + 1):
            found[item.state.kind] += 1
    return [
        (kind, f"over {_MOST_COUNTED:,}" if count > _MOST_COUNTED else count) for kind, count in found.items() if count
    ]


def _up_to(reader: Reader, start: bytes, stop: bytes) -> int:
    return sum(1 for _ in islice(reader.scan(start, stop, keys_only=True), _MOST_COUNTED + 1))


def facts_as_html(title: str, tell: Callable[[], list[tuple[str, Any]]], *, waits: bool) -> str:
    """A title and what a function tells. It raises no error.

    Args:
        title: class, name and place.
        tell: gives names and values.
        waits: whether that may have to wait, for a lock or a server.
    """
    return _patiently(title, lambda: (facts(tell()),), waits=waits)


def line_of_turns_as_html(title: str, tell: Callable[[], tuple[tuple[Who, ...], tuple[Who, ...]]]) -> str:
    """A title, and those that have a turn or wait for it, in order. It raises no error."""

    def table() -> tuple[Table, ...]:
        holders, waiting = tell()
        now = time.time()
        rows = [("has it", *_cells(who, now)) for who in holders] + [("waits", *_cells(who, now)) for who in waiting]
        if not rows:
            return (Table((), (), note="free"),)
        return (Table(("", "process", "host", "program", "task", "seconds", "token"), rows),)

    return _patiently(title, table, waits=True)


def _cells(who: Who, now: float) -> tuple[Any, ...]:
    return str(who.pid), who.host, who.program, who.task, round(max(now - who.since, 0)), who.token


def _patiently(title: str, tell: Callable[[], tuple[Table, ...]], *, waits: bool) -> str:
    try:
        tables = within(_PATIENCE, tell) if waits else tell()
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        return line_as_html(title) + line_as_html(plain(f"cannot be shown: {type(error).__name__}: {first}"))
    return line_as_html(title) + as_html(*tables)
