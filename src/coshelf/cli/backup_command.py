"""``coshelf backup``."""

from __future__ import annotations

import click

from coshelf.cli.examples import examples
from coshelf.cli.output import say, write_json
from coshelf.cli.progress import progress
from coshelf.cli.shelves import JSON, SHELF, opened_unread

__all__ = ["backup_command"]


@click.command(
    "backup",
    short_help="Copy SHELF to a file, while other processes write.",
    epilog=examples(
        "coshelf backup recipes.shelf recipes.backup", "coshelf backup recipes.shelf nightly.backup --overwrite"
    ),
)
@click.argument("shelf", type=SHELF)
@click.argument("target", type=click.Path())
@click.option("--overwrite", is_flag=True, help="Replace the shelf at TARGET, if no process has it open.")
@JSON
def backup_command(shelf: str, target: str, overwrite: bool, as_json: bool) -> None:
    """Copy SHELF as it is at one instant to the file TARGET, while other processes read and write.

    TARGET is a shelf: durable, as small as it can be, and trusted if SHELF is. It is complete, or does not exist.
    """
    with opened_unread(shelf, "r") as source, progress(shelf) as tell:
        entries = source.backup(target, overwrite=overwrite, progress=tell)
    if as_json:
        write_json({"target": target, "entries": entries})
    say(f"{target}: {entries:,} entries")
