"""``coshelf info``."""

from __future__ import annotations

import click

from coshelf.cli.examples import examples
from coshelf.cli.output import show, write_json
from coshelf.cli.shelves import JSON, SHELF, opened_unread

__all__ = ["info_command"]


@click.command(
    "info",
    short_help="Show what SHELF is, and which user owns it.",
    epilog=examples("coshelf info recipes.shelf", "coshelf info recipes.shelf --json"),
)
@click.argument("shelf", type=SHELF)
@JSON
def info_command(shelf: str, as_json: bool) -> None:
    """Show what SHELF is: engine, entries, size, owner, whether it is trusted, and what its engine can do."""
    with opened_unread(shelf, "r") as source:
        info = source.info()
    if as_json:
        write_json(info.as_dict())
        return
    show(str(info))
