"""``coshelf del``."""

from __future__ import annotations

import sys
from collections.abc import KeysView
from typing import Any

import click

from coshelf.cli.errors import SOMETHING_LEFT
from coshelf.cli.examples import examples
from coshelf.cli.key_text import text_of_key
from coshelf.cli.output import say, show
from coshelf.cli.shelves import KEY, KEY_FORM, SHELF, TIMEOUT, key_of, opened_unread, shown_target
from coshelf.keys import shown
from coshelf.mapping.reading import Readable

__all__ = ["del_command"]


@click.command(
    "del",
    short_help="Delete entries, all in one commit.",
    epilog=examples("coshelf del recipes.shelf soups/leek", "coshelf del recipes.shelf --prefix drafts/ --dry-run"),
)
@click.argument("shelf", type=SHELF)
@click.argument("keys", metavar="KEY...", type=KEY, nargs=-1)
@KEY_FORM
@click.option("--prefix", help="Delete all str keys that begin with this.")
@click.option("--tag", help="Delete all entries that have this tag.")
@click.option("--dry-run", is_flag=True, help="List what would be deleted; delete nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@TIMEOUT
def del_command(
    shelf: str,
    keys: tuple[str, ...],
    key_form: str | None,
    prefix: str | None,
    tag: str | None,
    dry_run: bool,
    yes: bool,
    timeout: float,
) -> None:
    """Delete entries from SHELF, all in one commit.

    Keys that do not exist are named, and the exit code is 1. On a terminal the command asks first.
    """
    if bool(keys) + (prefix is not None) + (tag is not None) != 1:
        raise click.UsageError("name keys, or give --prefix or --tag")
    names = [key_of(key, key_form) for key in keys]
    with opened_unread(shelf, "r" if dry_run else "w", timeout=timeout) as target:
        if not yes and not dry_run and sys.stdin.isatty():
            what = f"{len(names)} named entries" if names else f"{len(_chosen(target, prefix, tag)):,} entries"
            click.confirm(f"Delete {what} from {shown_target(shelf)}?", abort=True, err=True)
        if dry_run:
            found = [name for name in names if name in target] if names else list(_chosen(target, prefix, tag))
            for name in found:
                show(text_of_key(name, literal=key_form == "literal"))
        else:
            with target.transaction(timeout) as transaction:
                found = (
                    [name for name in names if name in transaction]
                    if names
                    else list(_chosen(transaction, prefix, tag))
                )
                for name in dict.fromkeys(found):  # it may be named twice
                    del transaction[name]
    missing = [name for name in names if name not in found]
    for name in missing:
        say(f"{shown(name)} is not in {shown_target(shelf)}")
    say(f"{len(found):,} {'would be deleted' if dry_run else 'deleted'}")
    if missing:
        sys.exit(SOMETHING_LEFT)


def _chosen(shelf: Readable[Any, Any], prefix: str | None, tag: str | None) -> KeysView[Any]:
    """The keys that begin with a prefix, or those of the entries with a tag."""
    return shelf.keys(prefix=prefix) if tag is None else shelf.tagged(tag)
