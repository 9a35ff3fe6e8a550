"""``coshelf salvage``."""

from __future__ import annotations

import sys

import click

from coshelf.cli.check_command import list_problems
from coshelf.cli.errors import SOMETHING_LEFT
from coshelf.cli.examples import examples
from coshelf.cli.output import say, write_json
from coshelf.cli.progress import progress, size_of_file
from coshelf.cli.shelves import JSON
from coshelf.inspection.files import salvage
from coshelf.inspection.reports import SalvageReport

__all__ = ["salvage_command"]


@click.command(
    "salvage",
    short_help="Recover the readable entries of a damaged file.",
    epilog=examples("coshelf salvage damaged.shelf rescued.shelf", "coshelf salvage damaged.shelf again.shelf --json"),
)
@click.argument("source", type=click.Path())
@click.argument("target", type=click.Path())
@JSON
def salvage_command(source: str, target: str, as_json: bool) -> None:
    """Recover the readable entries of the damaged file SOURCE into a new shelf TARGET.

    SOURCE is not changed. Each recovered record is complete. Commits that a killed process had not flushed are
    recovered, too. Entries that were lost are named, and so are entries that may be older or may have been deleted.
    Exit code 1: something was damaged.
    """
    with progress(source, "pages", size=size_of_file(source)) as tell:
        report = salvage(source, target, progress=tell)
    if as_json:
        write_json(report.as_dict())
    else:
        list_problems(report)
    parts = [f"{report.entries:,} entries taken"]
    parts += [f"{report.from_delta:,} of them not flushed before"] if report.from_delta else []
    parts += [_lost(report)] if report.lost or not report.lost_is_known else []
    parts += [f"{report.resurrected:,} may be older, or have been deleted"] if report.resurrected else []
    say(f"{target}: {', '.join(parts)}")
    if report.problems:
        sys.exit(SOMETHING_LEFT)


def _lost(report: SalvageReport) -> str:
    if report.lost_is_known:
        return f"{report.lost:,} lost"
    return f"at least {report.lost:,} lost" if report.lost else "it is unknown how many are lost"
