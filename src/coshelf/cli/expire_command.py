"""``coshelf expire``."""

from __future__ import annotations

import click

from coshelf.cli.examples import examples
from coshelf.cli.output import say, write_json
from coshelf.cli.shelves import JSON, SHELF, TIMEOUT, opened_unread, shown_target

__all__ = ["expire_command"]


@click.command(
    "expire",
    short_help="Remove the entries that have expired.",
    epilog=examples("coshelf expire recipes.shelf", "coshelf expire recipes.shelf --json"),
)
@click.argument("shelf", type=SHELF)
@TIMEOUT
@JSON
def expire_command(shelf: str, timeout: float, as_json: bool) -> None:
    """Remove the entries of SHELF that have expired by now.

    They are missing without this, too, and processes that write to the shelf remove them. This command gives their
    space back if no process writes.
    """
    with opened_unread(shelf, "w", timeout=timeout) as target:
        removed = target.expire()
    if as_json:
        write_json({"removed": removed})
    say(f"{shown_target(shelf)}: {removed:,} expired entries removed")
