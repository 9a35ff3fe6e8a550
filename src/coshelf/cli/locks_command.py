"""``coshelf locks``."""

from __future__ import annotations

import time
from typing import Any

import click

from coshelf.cli.examples import examples
from coshelf.cli.output import show, write_json
from coshelf.cli.shelves import JSON, SHELF, opened_unread
from coshelf.contract import BARRIER, Line, Who
from coshelf.coordination.names import kind_of, shown_line
from coshelf.errors import Unsupported
from coshelf.screen import plain

__all__ = ["locks_command"]


@click.command(
    "locks",
    short_help="Show which locks of SHELF are held, and who waits.",
    epilog=examples("coshelf locks recipes.shelf", "coshelf locks recipes.shelf --json"),
)
@click.argument("shelf", type=SHELF)
@JSON
def locks_command(shelf: str, as_json: bool) -> None:
    """Show who has the locks, semaphores and barriers of SHELF, and who waits for them, the next one first."""
    with opened_unread(shelf, "r") as source:
        engine = source.engine_for("locks")
        if engine.capabilities.turns is None:
            raise Unsupported(f"the {engine.name} engine has no locks ({engine.where})")
        lines = sorted(engine.turns().lines(), key=lambda line: line.name)
    if as_json:
        write_json([_as_dict(line) for line in lines])
        return
    now = time.time()
    for line in lines:
        show(plain(f"{kind_of(line.name)} {shown_line(line.name)}"))
        for state, everyone in (("held by", line.holders), ("waiting", line.waiting)):
            for who in everyone:
                show(f"  {state}  {plain(_named(who, now))}")


def _named(who: Who, now: float) -> str:
    token = "" if who.token is None else f", token {who.token:,}"
    return f"pid {who.pid} on {who.host} ({who.program}), {who.task}, for {max(now - who.since, 0):,.0f} s{token}"


def _as_dict(line: Line) -> dict[str, Any]:
    return {
        "kind": kind_of(line.name),
        "name": shown_line(line.name),
        "most": None if line.most == BARRIER else line.most,
        "holders": [_of(who) for who in line.holders],
        "waiting": [_of(who) for who in line.waiting],
    }


def _of(who: Who) -> dict[str, Any]:
    return {name: getattr(who, name) for name in ("host", "pid", "program", "task", "since", "token")}
