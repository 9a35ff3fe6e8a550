"""``coshelf del``."""

from __future__ import annotations

import sys

import click

from coshelf.cli.errors import SOMETHING_LEFT
from coshelf.cli.key_text import text_of_key
from coshelf.cli.output import say, show
from coshelf.cli.shelves import KEY, KEY_FORM, SHELF, TIMEOUT, key_of, opened_unread, shown_target
from coshelf.keys import shown

__all__ = ["del_command"]


@click.command("del", short_help="Delete entries, all in one commit.")
@click.argument("shelf", type=SHELF)
@click.argument("keys", metavar="KEY...", type=KEY, nargs=-1)
@KEY_FORM
@click.option("--prefix", help="Delete all str keys that begin with this.")
@click.option("--dry-run", is_flag=True, help="List what would be deleted; delete nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@TIMEOUT
def del_command(
    shelf: str,
    keys: tuple[str, ...],
    key_form: str | None,
    prefix: str | None,
    dry_run: bool,
    yes: bool,
    timeout: float,
) -> None:
    """Delete entries from SHELF, all in one commit.

    Keys that do not exist are named, and the exit code is 1. On a terminal the command asks first.
    """
    if bool(keys) == (prefix is not None):
        raise click.UsageError("name keys, or give --prefix")
    names = [key_of(key, key_form) for key in keys]
    with opened_unread(shelf, "r" if dry_run else "w", timeout=timeout) as target:
        if not yes and not dry_run and sys.stdin.isatty():
            what = f"{len(names)} named entries" if names else f"{len(target.keys(prefix=prefix)):,} entries"
            click.confirm(f"Delete {what} from {shown_target(shelf)}?", abort=True, err=True)
        if dry_run:
            found = [name for name in names if name in target] if names else list(target.keys(prefix=prefix))
            for name in found:
                show(text_of_key(name, literal=key_form == "literal"))
        else:
            with target.transaction(timeout) as transaction:
                found = (
                    [name for name in names if name in transaction] if names else list(transaction.keys(prefix=prefix))
                )
                for name in dict.fromkeys(found):  # it may be named twice
                    del transaction[name]
    missing = [name for name in names if name not in found]
    for name in missing:
        say(f"{shown(name)} is not in {shown_target(shelf)}")
    say(f"{len(found):,} {'would be deleted' if dry_run else 'deleted'}")
    if missing:
        sys.exit(SOMETHING_LEFT)
