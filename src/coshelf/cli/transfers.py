"""Prints the reports of ``import``, ``export`` and ``copy``."""

from __future__ import annotations

import sys

from coshelf.cli.errors import SOMETHING_LEFT
from coshelf.cli.output import say, write_json
from coshelf.screen import plain
from coshelf.transfer.report import Left, TransferReport

__all__ = ["finish"]

_SHOWN = 20


def finish(report: TransferReport, did: str, *, as_json: bool) -> None:
    """Print what was done, and exit with 1 if entries were skipped or failed."""
    if as_json:
        write_json(report.as_dict())
    parts = [f"{report.done:,} {did}"]
    parts += [f"{report.unchanged:,} unchanged"] if report.unchanged else []
    parts += [f"{len(of):,} {name}" for name, of in (("skipped", report.skipped), ("failed", report.failed)) if of]
    say(f"{report.kind}: {', '.join(parts)}")
    for name, of in (("skipped", report.skipped), ("failed", report.failed)):
        _list(name, of)
    if not report.is_complete():
        sys.exit(SOMETHING_LEFT)


def _list(name: str, left: list[Left]) -> None:
    for each in left[:_SHOWN]:
        say(f"  {name} {plain(each.key)}: {plain(each.reason)}")
    if len(left) > _SHOWN:
        say(f"  and {len(left) - _SHOWN:,} more {name} (--json has all)")
