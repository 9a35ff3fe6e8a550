"""A shelf as notebooks show it: where it is, how much it holds, and its first entries. No value is unpickled."""

from __future__ import annotations

from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any

from coshelf.inspection.preview import preview_of
from coshelf.keys import shown
from coshelf.screen import plain

if TYPE_CHECKING:
    from coshelf.mapping.shelf import Shelf

__all__ = ["as_html"]

_ROWS = 10
_STEPS = 500  # of a preview


def as_html(shelf: Shelf[Any, Any]) -> str:
    """A table of the first keys, each with a preview of what is stored."""
    head = f"<code>{escape(plain(repr(shelf)))}</code>"
    if shelf.closed:
        return head
    found = shelf._select().scan(shelf._reader())
    rows = [
        (shown(key), preview_of(entry.record, steps=_STEPS))
        for key, _, entry in islice(found, _ROWS)
        if entry is not None
    ]
    count = len(shelf)
    body = "".join(
        f"<tr><td><code>{escape(key)}</code></td><td>{escape(value.type)}</td><td><code>{escape(value.text)}</code></td>"
        f"<td>{value.size:,}</td></tr>"
        for key, value in rows
    )
    if count > len(rows):
        body += f'<tr><td colspan="4">and {count - len(rows):,} more</td></tr>'
    table = (
        f"<table><thead><tr><th>key</th><th>type</th><th>value</th><th>bytes</th></tr></thead><tbody>{body}</tbody></table>"
        if body
        else ""
    )
    return f"{head}: {count:,} entries{table}"
