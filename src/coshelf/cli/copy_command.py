"""``coshelf copy``."""

from __future__ import annotations

import click

from coshelf.cli.examples import examples
from coshelf.cli.progress import progress
from coshelf.cli.shelves import JSON, SHELF, TIMEOUT, target_of
from coshelf.cli.transfers import finish
from coshelf.transfer.copying import copy_entries

__all__ = ["copy_command"]


@click.command(
    "copy",
    short_help="Copy SOURCE to TARGET, on any engines.",
    epilog=examples("coshelf copy recipes.shelf sqlite:recipes.db", "coshelf copy recipes.shelf other.shelf --dry-run"),
)
@click.argument("source", type=SHELF)
@click.argument("target", type=SHELF)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace another value that the target has under the same key; else it is skipped.",
)
@click.option("--verify/--no-verify", default=True, show_default=True, help="Compare every entry again at the end.")
@click.option("--dry-run", is_flag=True, help="Read and report; change nothing.")
@click.option("--trust", is_flag=True, help="You trust SOURCE: its values may run code when they are read from TARGET.")
@TIMEOUT
@JSON
def copy_command(
    source: str,
    target: str,
    overwrite: bool,
    verify: bool,
    dry_run: bool,
    trust: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Copy all entries of the shelf SOURCE to the shelf TARGET, whatever engines they use.

    Each is a path or URL. TARGET is made if it is missing. Nothing is unpickled. An entry that the target has already,
    with the same value, is skipped. So a copy that was stopped continues when you run it again.
    """
    with progress(target, "entries copied or compared" if verify and not dry_run else "entries") as tell:
        report = copy_entries(
            target_of(source),
            target_of(target),
            overwrite=overwrite,
            verify=verify,
            trust=trust,
            dry_run=dry_run,
            timeout=timeout,
            progress=tell,
        )
    finish(report, "would be copied" if dry_run else "copied", as_json=as_json)
