"""The commands. Each is in its own module, which is imported when the command is used."""

from __future__ import annotations

import importlib
import os
from typing import Any

import click

from coshelf.cli.examples import BEGINNING
from coshelf.screen import plain

__all__ = ["NAMES", "coshelf"]

NAMES = (
    *(
        "backup",
        "browse",
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


_OTHER_NAMES = {
    "cat": "get",
    "cp": "copy",
    "delete": "del",
    "dump": "export",
    "help": "--help",
    "keys": "ls",
    "list": "ls",
    "load": "import",
    "put": "set",
    "remove": "del",
    "rm": "del",
    "show": "get",
    "version": "--version",
    "verify": "check",
}
"""What other programs call these commands. Close spellings are found without this table."""


def _meant(args: list[str]) -> str:
    """What a user meant who named a command that does not exist, as words behind the error."""
    import difflib

    name = args[0]
    if len(args) > 1 and args[1] in NAMES:
        return f" The command comes first: coshelf {args[1]} {name}"
    if os.path.exists(name):
        return f" The command comes first: coshelf ls {name}"
    near = _OTHER_NAMES.get(name) or next(iter(difflib.get_close_matches(name, NAMES, 1, 0.5)), None)
    return f" Did you mean '{near}'?" if near else ""


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

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in NAMES and not args[0].startswith("-"):
            raise click.UsageError(f"No such command {args[0]!r}.{_meant(args)}", context)
        return super().resolve_command(context, args)

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
