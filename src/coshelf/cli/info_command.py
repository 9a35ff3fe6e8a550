"""``coshelf info``."""

from __future__ import annotations

import click

from coshelf import native
from coshelf.cli.examples import examples
from coshelf.cli.output import write_json
from coshelf.cli.shelves import JSON, SHELF, opened_unread
from coshelf.cli.tables import table

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
    trusted = "yes" if info.trusted else f"no: {info.reason}"
    table(
        [
            ("shelf", info.name),
            ("engine", info.engine),
            ("id", info.store_id or None),
            ("entries", info.entries),
            ("file size", info.file_size),
            ("created", info.created),
            ("owner and mode", info.owner and f"{info.owner}, {info.mode}"),
            ("codec", info.codec),
            ("compression", info.compression),
            ("encrypted with key", info.encryption),
            ("limit of bytes", info.max_bytes),
            ("limit of entries", info.max_entries),
            ("evicts by", info.evict),
            ("trusted", trusted),
            ("module in C", "in use" if info.native else f"not in use: {native.reason}"),
            *((name.replace("_", " "), value) for name, value in info.capabilities.items()),
        ]
    )
