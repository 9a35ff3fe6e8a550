"""A shelf as notebooks show it: where it is, how much it holds, and its first keys. No value is decoded."""

from __future__ import annotations

from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any

from coshelf.keys import shown

if TYPE_CHECKING:
    from coshelf.shelf import Shelf

__all__ = ["as_html"]

_ROWS = 10


def as_html(shelf: Shelf[Any, Any]) -> str:
    """A table of the first keys, each with the size of what is stored."""
    head = f"<code>{escape(repr(shelf))}</code>"
    if shelf.closed:
        return head
    found = shelf._select().scan(shelf._reader())
    rows = [(shown(key), len(entry.record)) for key, _, entry in islice(found, _ROWS) if entry is not None]
    count = len(shelf)
    body = "".join(f"<tr><td><code>{escape(key)}</code></td><td>{size:,}</td></tr>" for key, size in rows)
    if count > len(rows):
        body += f'<tr><td colspan="2">and {count - len(rows):,} more</td></tr>'
    table = f"<table><thead><tr><th>key</th><th>bytes</th></tr></thead><tbody>{body}</tbody></table>" if body else ""
    return f"{head}: {count:,} entries{table}"
