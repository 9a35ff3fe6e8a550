"""What ``import`` and ``export`` show: how far they are, and what became of the entries."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from coshelf.cli.errors import SOMETHING_LEFT
from coshelf.transfer.importing import Progress
from coshelf.transfer.report import Left, Report

__all__ = ["finish", "progress"]

_SHOWN = 20


@contextmanager
def progress(what: str) -> Iterator[Progress | None]:
    """A bar on a terminal; nothing elsewhere."""
    try:
        if not sys.stderr.isatty():
            raise ImportError
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def finish(report: Report, did: str, *, as_json: bool) -> None:
    """Say what was done, and exit with 1 if something was left behind."""
    if as_json:
        click.echo(json.dumps(report.as_dict()))
    parts = [f"{report.done:,} {did}"]
    parts += [f"{report.unchanged:,} unchanged"] if report.unchanged else []
    parts += [f"{len(of):,} {name}" for name, of in (("skipped", report.skipped), ("failed", report.failed)) if of]
    click.echo(f"{report.kind}: {', '.join(parts)}", err=True)
    for name, of in (("skipped", report.skipped), ("failed", report.failed)):
        _list(name, of)
    if not report.is_complete():
        sys.exit(SOMETHING_LEFT)


def _list(name: str, left: list[Left]) -> None:
    for each in left[:_SHOWN]:
        click.echo(f"  {name} {each.key}: {each.reason}", err=True)
    if len(left) > _SHOWN:
        click.echo(f"  and {len(left) - _SHOWN:,} more {name} (--json has all)", err=True)
