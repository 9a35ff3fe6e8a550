"""The commands, each in a module of its own."""

from __future__ import annotations

import click

from coshelf.cli.backup_command import backup_command
from coshelf.cli.check_command import check_command
from coshelf.cli.compact_command import compact_command
from coshelf.cli.del_command import del_command
from coshelf.cli.edit_command import edit_command
from coshelf.cli.export_command import export_command
from coshelf.cli.get_command import get_command
from coshelf.cli.import_command import import_command
from coshelf.cli.info_command import info_command
from coshelf.cli.ls_command import ls_command
from coshelf.cli.salvage_command import salvage_command
from coshelf.cli.set_command import set_command
from coshelf.cli.stats_command import stats_command
from coshelf.cli.trust_command import trust_command

__all__ = ["coshelf"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="coshelf")
def coshelf() -> None:
    """A dict on disk that every process shares.

    Data goes to standard output, all else to standard error. Exit codes: 0 done, 1 something was left or differs,
    2 wrong usage, 3 the shelf or file cannot be read or written.
    """


for _command in (
    backup_command,
    check_command,
    compact_command,
    del_command,
    edit_command,
    export_command,
    get_command,
    import_command,
    info_command,
    ls_command,
    salvage_command,
    set_command,
    stats_command,
    trust_command,
):
    coshelf.add_command(_command)
