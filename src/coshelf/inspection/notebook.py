"""What notebooks show of shelves, snapshots, transactions, views and cursors. No value is unpickled."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

from coshelf.inspection.tables import Table, as_html, line_as_html

__all__ = ["line_as_html", "mapping_as_html"]

_ROWS = 10


class _Count(Protocol):
    @property
    def number(self) -> int: ...
    @property
    def is_exact(self) -> bool: ...
    def of(self, one: str, many: str) -> str: ...


class _Excerpt(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def expires(self) -> float | None: ...


class _Excerpts(Protocol):
    @property
    def found(self) -> Sequence[_Excerpt]: ...
    @property
    def count(self) -> _Count | None: ...
    @property
    def problem(self) -> str: ...


class _Glance(Protocol):
    @property
    def engine(self) -> str: ...
    @property
    def details(self) -> tuple[str, ...]: ...
    @property
    def end(self) -> str: ...
    @property
    def keys_only(self) -> bool: ...
    def excerpts(self, most: int) -> Any: ...


def mapping_as_html(title: str, glance: _Glance, *, is_counted: bool = True) -> str:
    """The first entries of what a glance shows, each with a preview of its value. It raises no error.

    Args:
        title: class, place and conditions.
        glance: gives the entries and details.
        is_counted: whether the number of the entries is told.
    """
    if glance.end:
        return line_as_html(title)
    shown: _Excerpts = glance.excerpts(_ROWS)
    count = () if shown.count is None or not is_counted else (shown.count.of("entry", "entries"),)
    line = f"{title}: {', '.join((*count, glance.engine, *glance.details))}"
    return as_html(_keys(line, shown) if glance.keys_only else _entries(line, shown))


def _keys(line: str, shown: _Excerpts) -> Table:
    return Table(("key",), [(each.key,) for each in shown.found], line, _note(shown), code=(0,))


def _entries(line: str, shown: _Excerpts) -> Table:
    rows: list[tuple[Any, ...]] = [(each.key, each.type, each.text, each.size) for each in shown.found]
    columns: tuple[str, ...] = ("key", "type", "value", "bytes")
    if any(each.expires is not None for each in shown.found):
        now = time.time()
        rows = [(*row, _time_left(each.expires, now)) for row, each in zip(rows, shown.found, strict=True)]
        columns = (*columns, "expires in")
    return Table(columns, rows, line, _note(shown), code=(0, 2))


def _time_left(expires: float | None, now: float) -> str:
    return "" if expires is None else f"{max(expires - now, 0):,.0f} s"


def _note(shown: _Excerpts) -> str:
    if shown.problem:
        return f"{'no more entries can be shown' if shown.found else 'no entries can be shown'}: {shown.problem}"
    left = 0 if shown.count is None else shown.count.number - len(shown.found)
    if shown.count is None or (left <= 0 and shown.count.is_exact):
        return ""
    return f"… {'' if shown.count.is_exact else 'over '}{max(left, 0):,} more"
