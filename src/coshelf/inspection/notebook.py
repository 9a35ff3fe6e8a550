"""A shelf as notebooks show it: where it is, how much it holds, and its first entries. No value is unpickled."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import islice
from typing import Any

from coshelf.keys import shown
from coshelf.mapping.record import Record
from coshelf.screen import plain

__all__ = ["as_html", "name_as_html"]

_ROWS = 10
_STEPS = 500  # instructions that a preview follows


def as_html(title: str, rows: Iterable[Record[Any, Any]], count: int) -> str:
    """A table of a shelf's first keys, each with a preview of its value.

    Args:
        title: the name of the shelf.
        rows: the records. Only the first are shown.
        count: the number of all entries.
    """
    found = [(shown(record.key), record.preview(steps=_STEPS)) for record in islice(rows, _ROWS)]
    body = "".join(
        f"<tr><td><code>{escape(key)}</code></td><td>{escape(value.type)}</td><td><code>{escape(value.text)}</code></td>"
        f"<td>{value.size:,}</td></tr>"
        for key, value in found
    )
    if count > len(found):
        body += f'<tr><td colspan="4">and {count - len(found):,} more</td></tr>'
    table = (
        f"<table><thead><tr><th>key</th><th>type</th><th>value</th><th>bytes</th></tr></thead><tbody>{body}</tbody></table>"
        if body
        else ""
    )
    return f"{name_as_html(title)}: {count:,} entries{table}"


def name_as_html(title: str) -> str:
    """The name of a shelf, without its entries."""
    return f"<code>{escape(plain(title))}</code>"
