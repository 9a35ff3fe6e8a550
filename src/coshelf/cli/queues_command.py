"""``coshelf queues``."""

from __future__ import annotations

import click

from coshelf.cli.examples import examples
from coshelf.cli.output import show, write_json
from coshelf.cli.shelves import JSON, SHELF, opened_unread
from coshelf.contract import QUEUES
from coshelf.coordination.queue_rows import Kind, QueueRows, names_of
from coshelf.screen import plain

__all__ = ["queues_command"]

_KINDS: tuple[Kind, ...] = ("available", "delayed", "taken", "failed")


@click.command(
    "queues",
    short_help="List the queues of SHELF.",
    epilog=examples("coshelf queues recipes.shelf", "coshelf queues recipes.shelf --json"),
)
@click.argument("shelf", type=SHELF)
@JSON
def queues_command(shelf: str, as_json: bool) -> None:
    """List the queues of SHELF that have items, and how many items are in each state.

    available: a taker can have them. delayed: until their time comes. taken: a taker has them now. failed: they were
    given to takers too often.
    """
    with opened_unread(shelf, "r") as source:
        engine = source.engine_for("queues", writing=False)
        found = {}
        for name in names_of(engine, QUEUES):
            rows = QueueRows(name, engine.capabilities)
            counts = {kind: rows.count(engine, kind) for kind in _KINDS}
            if any(counts.values()):
                found[name] = counts
    if as_json:
        write_json(found)
        return
    if found:
        show("  ".join(f"{kind:>10}" for kind in _KINDS) + "  queue")
    for name, counts in found.items():
        show("  ".join(f"{count:>10,}" for count in counts.values()) + f"  {plain(name)}")
