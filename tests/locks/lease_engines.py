"""Engines that have their lines in rows. Beside the servers, these are SQLite databases, which processes share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from coshelf.contract import Engine, OpenOptions
from coshelf.engines import open_engine
from coshelf.engines.leases.lines import Lines

__all__ = ["lease_on_sqlite", "opened"]


def lease_on_sqlite(target: str, options: OpenOptions, lease: float | None = None) -> Engine:
    """A SQLite engine whose lines are in rows."""
    engine: Any = open_engine(target, options)
    lines = Lines(engine, lease)
    close = engine.close

    def closes() -> None:
        lines.close()
        close()

    engine.capabilities = replace(engine.capabilities, turns="lease")
    engine.turns = lambda: lines
    engine.close = closes
    found: Engine = engine
    return found


def opened(target: str, lease: float) -> Engine:
    """An engine whose lines are in rows, with leases of this length."""
    if target.startswith("sqlite:"):
        return lease_on_sqlite(target, OpenOptions(), lease)
    engine: Any = open_engine(target, OpenOptions())
    engine._lines = Lines(engine, lease)
    found: Engine = engine
    return found
