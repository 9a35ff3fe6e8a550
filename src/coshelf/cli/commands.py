"""The commands, each in a module of its own."""

from __future__ import annotations

import click

from coshelf.cli.export_command import export_command
from coshelf.cli.import_command import import_command
from coshelf.cli.trust_command import trust_command

__all__ = ["coshelf"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="coshelf")
def coshelf() -> None:
    """A dict on disk that every process shares.

    Data goes to standard output, all else to standard error. Exit codes: 0 done, 1 something was left or differs,
    2 wrong usage, 3 the shelf or file cannot be read or written.
    """


coshelf.add_command(import_command)
coshelf.add_command(trust_command)
coshelf.add_command(export_command)
