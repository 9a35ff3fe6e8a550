"""``coshelf stats``."""

from __future__ import annotations

import os
import shutil
import sys

import click

from coshelf.cli.bars import BLOCKS, HASHES, bars, size_text
from coshelf.cli.examples import examples
from coshelf.cli.output import is_terminal, show, write_json
from coshelf.cli.shelves import JSON, SHELF, opened_unread
from coshelf.inspection.stats import Stats
from coshelf.screen import plain

__all__ = ["stats_command"]


@click.command(
    "stats",
    short_help="Show what SHELF consists of.",
    epilog=examples("coshelf stats recipes.shelf", "coshelf stats recipes.shelf --plot --depth 2"),
)
@click.argument("shelf", type=SHELF)
@click.option(
    "--prefix-depth",
    "--depth",
    "prefix_depth",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Count str keys together up to this slash.",
)
@click.option(
    "--largest",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How many of the largest entries are named; with --plot, how many prefixes.",
)
@click.option("--plot", is_flag=True, help="Draw the sizes by prefix as bars.")
@click.option("--cheap", is_flag=True, help="Only figures that need no reading of all entries.")
@JSON
def stats_command(shelf: str, prefix_depth: int, largest: int, plot: bool, cheap: bool, as_json: bool) -> None:
    """Show what SHELF consists of: entries and sizes by prefix, and the largest entries.

    For a file, it also shows pages, readers, locks, and commits that wait to be flushed. Of a shelf with limits it
    shows hits and misses since a process opened it while no other had it open, and evictions.
    """
    if plot and (cheap or as_json):
        raise click.UsageError(f"--plot and {'--cheap' if cheap else '--json'} do not go together")
    with opened_unread(shelf, "r") as source:
        stats = source.stats(prefix_depth=prefix_depth, largest=largest, cheap=cheap)
    if as_json:
        write_json(stats.as_dict())
        return
    if plot:
        _draw(stats, largest)
    else:
        show(str(stats))


def _draw(stats: Stats, most: int) -> None:
    """Draw the prefixes as bars, as wide as the terminal. In a pipe they are 80 characters wide, without colors."""
    steps = BLOCKS if _can_write(BLOCKS) else HASHES
    for name, bar, figures in bars(stats.prefixes, width=shutil.get_terminal_size().columns, most=most, steps=steps):
        click.echo(f"{name}  {_colored(bar)}  {figures}".rstrip())
    count = f"{stats.entries:,} {'entry' if stats.entries == 1 else 'entries'}"
    show(f"{plain(stats.name)}: {count}, {size_text(stats.bytes or 0)}")


def _colored(bar: str) -> str:
    return bar if os.environ.get("NO_COLOR") or not is_terminal() else click.style(bar, fg="cyan")


def _can_write(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
