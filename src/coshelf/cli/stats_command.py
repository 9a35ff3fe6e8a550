"""``coshelf stats``."""

from __future__ import annotations

import click

from coshelf.cli.examples import examples
from coshelf.cli.output import show, write_json
from coshelf.cli.shelves import JSON, SHELF, opened_unread
from coshelf.cli.tables import table
from coshelf.inspection.reports import Figures
from coshelf.inspection.stats import Stats
from coshelf.screen import plain

__all__ = ["stats_command"]


@click.command(
    "stats",
    short_help="Show what SHELF consists of.",
    epilog=examples("coshelf stats recipes.shelf", "coshelf stats recipes.shelf --largest 3"),
)
@click.argument("shelf", type=SHELF)
@click.option(
    "--prefix-depth",
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
    help="How many of the largest entries are named.",
)
@click.option("--cheap", is_flag=True, help="Only figures that need no reading of all entries.")
@JSON
def stats_command(shelf: str, prefix_depth: int, largest: int, cheap: bool, as_json: bool) -> None:
    """Show what SHELF consists of: entries and sizes by prefix, and the largest entries.

    For a file, it also shows pages, readers, locks, and commits that wait to be flushed. Of a shelf with limits it
    shows hits and misses since a process opened it while no other had it open, and evictions.
    """
    with opened_unread(shelf, "r") as source:
        stats = source.stats(prefix_depth=prefix_depth, largest=largest, cheap=cheap)
    if as_json:
        write_json(stats.as_dict())
        return
    rows = [("shelf", stats.name), ("engine", stats.engine), ("entries", stats.entries), ("bytes", stats.bytes)]
    table([*rows, *(_rows(stats.file) if stats.file is not None else ())])
    _list_sizes(stats)


def _rows(file: Figures) -> list[tuple[str, object]]:
    readers = [
        f"pid {reader.pid}" + ("" if reader.behind is None else f" ({reader.behind} flushes behind)")
        for reader in file.readers or ()
    ]
    return [
        ("file size", file.file_size),
        ("page size", file.page_size),
        ("pages", file.pages),
        ("free pages", file.free_pages),
        ("blobs", file.blobs),
        ("bytes of these", file.blob_bytes),
        ("last commit", file.sequence),
        ("waiting to be flushed", file.waiting_entries),
        ("bytes of these", file.waiting_bytes),
        ("open in", ", ".join(readers) or None),
        ("oldest snapshot, seconds", file.oldest_snapshot),
        ("counted towards max_bytes", file.counted_bytes),
        ("evictions", file.evictions),
        ("hits", file.hits),
        ("misses", file.misses),
        ("locked by", None if file.holder_pid is None else f"pid {file.holder_pid} ({file.holder_command})"),
    ]


def _list_sizes(stats: Stats) -> None:
    if stats.prefixes:
        show("\n     entries         bytes  prefix")
        for prefix, (entries, size) in stats.prefixes.items():
            show(f"{entries:>12,}  {size:>12,}  {plain(prefix)}")
    if stats.largest:
        show("\n       bytes  largest")
        for key, size in stats.largest:
            show(f"{size:>12,}  {plain(key)}")
