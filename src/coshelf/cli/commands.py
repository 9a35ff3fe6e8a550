"""The commands. Each is in its own module, which is imported when the command is used."""

from __future__ import annotations

import importlib
from typing import Any

import click

from coshelf.cli.examples import BEGINNING
from coshelf.screen import plain

__all__ = ["NAMES", "coshelf"]

NAMES = (
    *(
        "backup",
        "check",
        "compact",
        "copy",
        "del",
        "edit",
        "expire",
        "export",
        "get",
        "import",
        "info",
        "locks",
        "ls",
        "queues",
        "salvage",
        "set",
        "stats",
    ),
    "trust",
    "watch",
)


class _Commands(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return list(NAMES)

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if not args and not context.resilient_parsing:
            click.echo(BEGINNING, nl=False, err=True)
            context.exit(2)
        return super().parse_args(context, args)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except click.ClickException as error:  # which click prints itself
            error.message = plain(error.message, keep="\n")  # type: ignore[misc]  # because click has no hook
            raise

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in NAMES:
            return None
        found: click.Command = getattr(importlib.import_module(f"coshelf.cli.{name}_command"), f"{name}_command")
        return found


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="coshelf")
def coshelf() -> None:
    """A dict on disk that every process shares.

    Data goes to standard output, everything else to standard error. Exit codes: 0: done. 1: something is missing,
    damaged, left out or different. 2: wrong usage. 3: the shelf or file cannot be read or written.
    """
