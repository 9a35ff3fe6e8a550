"""``coshelf export``."""

from __future__ import annotations

import click

from coshelf.cli.examples import examples
from coshelf.cli.progress import progress
from coshelf.cli.transfers import finish
from coshelf.transfer.exporting import TARGETS, export_entries

__all__ = ["export_command"]


@click.command(
    "export",
    short_help="Copy entries for other programs.",
    epilog=examples("coshelf export recipes.shelf recipes.jsonl", "coshelf export recipes.shelf - | head -n 3"),
)
@click.argument("source")
@click.argument("target")
@click.option(
    "--to",
    "kind",
    type=click.Choice(TARGETS),
    help="What to write. The default is jsonl, or pickleshare if TARGET ends with a slash.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file at TARGET. A directory is never replaced.")
@click.option("--dry-run", is_flag=True, help="Read and report; write nothing.")
@click.option(
    "--trust-pickle",
    is_flag=True,
    help="Unpickle, and write what JSON can hold exactly as JSON. This runs the code that the pickles name.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the report as JSON to standard output; not if TARGET is standard output.",
)
def export_command(
    source: str, target: str, kind: str | None, overwrite: bool, dry_run: bool, trust_pickle: bool, as_json: bool
) -> None:
    """Copy the entries of the shelf SOURCE to a form that other programs read.

    TARGET is a file of JSON lines ("-" is standard output), a directory of pickleshare, or a shelf of the standard
    library. It appears complete, or not at all. JSON lines hold values as pickles in base64.
    """
    if as_json and target == "-":
        raise click.UsageError("--json and TARGET - both need standard output")
    with progress(target) as tell:
        report = export_entries(
            source,
            target,
            kind=kind,
            trust_pickle=trust_pickle,
            overwrite=overwrite,
            dry_run=dry_run,
            progress=tell,
        )
    finish(report, "would be exported" if dry_run else "exported", as_json=as_json)
