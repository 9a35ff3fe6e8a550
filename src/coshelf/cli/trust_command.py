"""``coshelf trust``."""

from __future__ import annotations

import click

from coshelf.cli.examples import examples
from coshelf.cli.output import say
from coshelf.cli.shelves import shown_target
from coshelf.trust.granting import revoke, trust_shelf

__all__ = ["trust_command"]


@click.command(
    "trust",
    short_help="Trust a shelf, so that any object is loaded.",
    epilog=examples("coshelf trust recipes.shelf", "coshelf trust recipes.shelf --revoke"),
)
@click.argument("path")
@click.option("--revoke", "is_revoked", is_flag=True, help="Do not trust it any longer.")
def trust_command(path: str, is_revoked: bool) -> None:
    """Trust the values in the shelf at PATH. After that, any object is loaded, which can run code.

    A shelf that you made on this machine is trusted already. Trust a shelf only if you trust all its writers.
    """
    if is_revoked:
        say(f"{shown_target(path)}: {'no longer trusted' if revoke(path) else 'was not trusted'}")
    else:
        trust_shelf(path)
        say(f"{shown_target(path)}: trusted")
