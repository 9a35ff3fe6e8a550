"""``coshelf compact``."""

from __future__ import annotations

import click

from coshelf.cli.examples import examples
from coshelf.cli.output import say, write_json
from coshelf.cli.progress import progress
from coshelf.cli.shelves import JSON, SHELF, TIMEOUT, opened_unread, shown_target

__all__ = ["compact_command"]


@click.command(
    "compact",
    short_help="Give unused space back to the disk.",
    epilog=examples("coshelf compact recipes.shelf", "coshelf compact recipes.shelf --timeout 5"),
)
@click.argument("shelf", type=SHELF)
@TIMEOUT
@JSON
def compact_command(shelf: str, timeout: float, as_json: bool) -> None:
    """Give unused space of SHELF back to the disk.

    The file is written again and replaces the old one. No other process may have the shelf open: see "backup".
    """
    with opened_unread(shelf, "w", timeout=timeout) as target, progress(shelf) as tell:
        done = target.compact(progress=tell)
    if as_json:
        write_json(done.as_dict())
    say(f"{shown_target(shelf)}: {done.before:,} bytes before, {done.after:,} now")
