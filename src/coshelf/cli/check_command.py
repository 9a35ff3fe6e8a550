"""``coshelf check``."""

from __future__ import annotations

import sys

import click

from coshelf.cli.errors import SOMETHING_LEFT
from coshelf.cli.examples import examples
from coshelf.cli.output import say, show, write_json
from coshelf.cli.progress import progress, size_of_file
from coshelf.cli.shelves import JSON, SHELF, shown_target, target_of
from coshelf.inspection.files import check
from coshelf.inspection.reports import Report

__all__ = ["check_command", "list_problems"]


@click.command(
    "check",
    short_help="Verify every page and record.",
    epilog=examples("coshelf check recipes.shelf", "coshelf check recipes.shelf --json"),
)
@click.argument("shelf", type=SHELF)
@JSON
def check_command(shelf: str, as_json: bool) -> None:
    """Verify every page and every record of SHELF, and print each problem on a line.

    Nothing is changed or unpickled. Other processes can have the shelf open. Exit code 1: there is a problem.
    """
    with progress(shelf, "pages", size=size_of_file(shelf)) as tell:
        report = check(target_of(shelf), progress=tell)
    if as_json:
        write_json(report.as_dict())
    else:
        list_problems(report)
    count = len(report.problems)
    said = f"{count:,} problem{'s' if count > 1 else ''}" if count else "no damage"
    name = shown_target(shelf)
    say(f"{name}: {said}; {report.entries:,} entries of {report.bytes:,} bytes are whole")
    if report.problems:
        if not as_json:
            say(f"  hint: restore a backup, or: coshelf salvage {name} NEW")
        sys.exit(SOMETHING_LEFT)


def list_problems(report: Report) -> None:
    """Each problem on a line."""
    for problem in report.problems:
        show(str(problem))
