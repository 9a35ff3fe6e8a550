"""What ``import`` and ``export`` say of what became of the entries."""

from __future__ import annotations

import json
import sys

import click

from coshelf.cli.errors import SOMETHING_LEFT
from coshelf.transfer.report import Left, Report

__all__ = ["finish"]

_SHOWN = 20


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
