"""Tables of figures: a name and a value on each line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coshelf.cli.output import show
from coshelf.screen import plain

__all__ = ["table"]


def table(rows: Iterable[tuple[str, Any]]) -> None:
    """Write the rows whose value is known, with names to the left."""
    known = [(name, _shown(value)) for name, value in rows if value is not None]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        show(f"{name:{width}}  {plain(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
