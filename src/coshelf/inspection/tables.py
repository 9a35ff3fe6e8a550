"""Tables for people: as text for a terminal, and as HTML for a notebook, both from one description."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from coshelf.screen import plain

__all__ = ["Table", "Tabular", "as_html", "as_text", "facts", "first_rows", "line_as_html"]

_SHOWN = 20  # rows of a report

# Only what any theme can show: no color and no background of its own. Notebooks align cells to the right.
_TABLE = "overflow-wrap:break-word"
_LEFT = "text-align:left;padding:0.15em 0.7em"
_LEFT_HEAD = f"{_LEFT};white-space:nowrap"
_RIGHT = "text-align:right;padding:0.15em 0.7em;white-space:nowrap"
_CODE = "color:inherit;background:none;padding:0"


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        columns: their names; empty for a table of facts, whose rows are a name and a value.
        rows: the cells, as :func:`shown_cell` takes them. Columns of numbers are aligned to the right.
        title: a line above it; it may be empty.
        note: a line below it, such as how many rows are not shown; it may be empty.
        code: the numbers of the columns that are written as Python writes them.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    title: str = ""
    note: str = ""
    code: tuple[int, ...] = ()


def facts(rows: Iterable[tuple[str, Any]]) -> Table:
    """A table of names and values, without those whose value is not known."""
    return Table((), [row for row in rows if row[1] is not None])


def shown_cell(value: Any) -> str:
    """The text of a cell: numbers with separators, yes and no for a bool, and no control characters.

    >>> [shown_cell(value) for value in (1204, True, 0.25, "a", None)]
    ['1,204', 'yes', '0.2', 'a', '']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else plain(str(value))


def first_rows(columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]], *, title: str = "") -> tuple[Table, ...]:
    """A table of the first rows, with a note of how many more there are; none if there are no rows."""
    left = len(rows) - _SHOWN
    return (Table(columns, rows[:_SHOWN], title, f"… {left:,} more" if left > 0 else ""),) if rows else ()


class Tabular:
    """What is a table for people: as text if it is printed, and as HTML in a notebook."""

    __slots__ = ()

    def _tables(self) -> tuple[Table, ...]:
        raise NotImplementedError

    def __str__(self) -> str:
        return as_text(*self._tables())

    def _repr_html_(self) -> str:
        return as_html(*self._tables())


# --- text ------------------------------------------------------------------------------------------------------------


def as_text(*tables: Table) -> str:
    """The tables as lines, with an empty line between two of them."""
    return "\n\n".join("\n".join(_lines(table)) for table in tables)


def _lines(table: Table) -> list[str]:
    rows = [[shown_cell(cell) for cell in row] for row in table.rows]
    right = _numbers(table)
    named = [list(table.columns), *rows] if table.columns else rows
    widths = [max(len(row[at]) for row in named) for at in range(len(named[0]))] if named else []
    written = [
        "  ".join(
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in named
    ]
    return [*([table.title] if table.title else ()), *written, *([table.note] if table.note else ())]


def _numbers(table: Table) -> frozenset[int]:
    """The columns that have only numbers. A table of facts has none, because its values are of many kinds."""
    if not table.columns:
        return frozenset()
    return frozenset(
        at
        for at in range(len(table.columns))
        if table.rows and all(isinstance(row[at], (int, float)) and not isinstance(row[at], bool) for row in table.rows)
    )


# --- HTML ------------------------------------------------------------------------------------------------------------


def as_html(*tables: Table) -> str:
    """The tables as HTML. All that they hold is text: no cell can add an element.

    >>> "<b>" in as_html(Table(("key",), [("<b>",)]))
    False
    """
    return "".join(map(_html, tables))


def line_as_html(text: str) -> str:
    """A line of text as HTML."""
    return f"<div>{_escaped(text)}</div>"


def _html(table: Table) -> str:
    right = _numbers(table)
    head = "".join(
        f'<th scope="col" style="{_RIGHT if at in right else _LEFT_HEAD}">{_escaped(name)}</th>'
        for at, name in enumerate(table.columns)
    )
    body = "".join(f"<tr>{''.join(_html_cells(table, row, right))}</tr>" for row in table.rows)
    inner = (f"<thead><tr>{head}</tr></thead>" if head else "") + f"<tbody>{body}</tbody>"
    return (
        (line_as_html(table.title) if table.title else "")
        + (f'<table style="{_TABLE}">{inner}</table>' if table.rows else "")
        + (line_as_html(table.note) if table.note else "")
    )


def _html_cells(table: Table, row: tuple[Any, ...], right: frozenset[int]) -> Iterable[str]:
    for at, cell in enumerate(row):
        text = _escaped(shown_cell(cell))
        if at in table.code:
            text = f'<code style="{_CODE}">{text}</code>'
        style = _RIGHT if at in right else _LEFT
        is_name = not table.columns and at == 0
        yield f'<th scope="row" style="{style}">{text}</th>' if is_name else f'<td style="{style}">{text}</td>'


def _escaped(text: str) -> str:
    return escape(plain(text))
