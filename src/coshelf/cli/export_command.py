"""``coshelf export``."""

from __future__ import annotations

import click

from coshelf.cli.progress import progress
from coshelf.cli.transfers import finish
from coshelf.transfer.exporting import TARGETS, export_entries

__all__ = ["export_command"]


@click.command("export", short_help="Copy entries for other programs.")
@click.argument("source")
@click.argument("target")
@click.option(
    "--to",
    "kind",
    type=click.Choice(TARGETS),
    help="What to write; by default JSON lines, or for a TARGET with a slash at its end a directory of pickleshare.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file that is at the target.")
@click.option("--dry-run", is_flag=True, help="Read and report; write nothing.")
@click.option(
    "--trust-pickle",
    is_flag=True,
    help="Unpickle the values, to write as JSON what JSON can hold exactly. This runs what the pickles say.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the report as JSON, to standard output; not with TARGET -."
)
def export_command(
    source: str, target: str, kind: str | None, overwrite: bool, dry_run: bool, trust_pickle: bool, as_json: bool
) -> None:
    """Copy the entries of the shelf SOURCE to TARGET, for other programs.

    TARGET is a file of JSON lines ("-" is standard output), a directory of pickleshare, or a shelf of the standard
    library. It appears whole, or not at all. Values are written as pickles, in JSON lines in base64.
    """
    if as_json and target == "-":
        raise click.UsageError("--json and TARGET - both want standard output")
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
