"""``coshelf browse``."""

from __future__ import annotations

import os
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

import click

from coshelf.cli.examples import examples
from coshelf.cli.output import is_terminal, say, show
from coshelf.cli.shelves import ENCRYPT, SHELF, SIGN, TIMEOUT, opened_by_default, opened_unread, shown_target
from coshelf.contract import Flag
from coshelf.errors import DamagedShelf, WrongKey
from coshelf.inspection.files import salvage
from coshelf.mapping.shelf import Shelf
from coshelf.system.files.paths import expanded

__all__ = ["browse_command"]


@click.command(
    "browse",
    short_help="Show a shelf in your browser.",
    epilog=examples("coshelf browse recipes.shelf", "coshelf browse recipes.shelf --write --no-open"),
)
@click.argument("shelf", type=SHELF)
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="The port; a free one if it is not given.")
@click.option("--write", is_flag=True, help="Allow the pages to change the shelf.")
@click.option("--no-open", is_flag=True, help="Only print the address. Do not open it in a browser.")
@SIGN
@ENCRYPT
@TIMEOUT
def browse_command(
    shelf: str, port: int, write: bool, no_open: bool, sign: str | None, encrypt: str | None, timeout: float
) -> None:
    """Show the keys and values of SHELF in your browser, until Ctrl-C.

    The pages are for this machine alone, and for the browser that opens the address that is printed. Nothing is
    unpickled to show it. The shelf is opened for reading unless you give --write.

    Of a damaged file, a copy of what can be read is shown. Of an encrypted shelf without --encrypt-with, keys and sizes
    are shown.
    """
    from coshelf.viewer.web.server import run

    def opening(address: str) -> None:
        if is_terminal() and not no_open:
            # In a thread: a browser in the terminal, such as lynx, returns at its end, and has to be served until then.
            Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    with suppress(KeyboardInterrupt), _shown(shelf, "w" if write else "r", sign, encrypt, timeout) as (source, rescued):
        run(source, "127.0.0.1", port, write=write, started=show, opening=opening, rescued=rescued)


@contextmanager
def _shown(
    name: str, flag: Flag, sign: str | None, encrypt: str | None, timeout: float
) -> Iterator[tuple[Shelf[Any, Any], str | None]]:
    """The shelf, or what can be read of it; and what each page says in the second case."""
    try:
        shelf = opened_by_default(name, flag, sign=sign, encrypt=encrypt, timeout=timeout)
    except WrongKey:
        if flag != "r" or encrypt is not None:
            raise
        with opened_unread(name, "r", timeout=timeout) as unread:
            yield unread, None
    except DamagedShelf as error:
        if flag != "r" or not os.path.isfile(expanded(name)):  # only single files of LMDB can be salvaged
            raise
        say(str(error).splitlines()[0])
        with _rescued(name, sign, encrypt) as found:
            yield found
    else:
        with shelf:
            yield shelf, None


@contextmanager
def _rescued(name: str, sign: str | None, encrypt: str | None) -> Iterator[tuple[Shelf[Any, Any], str]]:
    """A copy of what can be read of a damaged file."""
    with tempfile.TemporaryDirectory(prefix="coshelf-browse-") as directory:
        path = os.path.join(directory, "rescued.shelf")
        report = salvage(name, path)
        lost = f"{report.lost:,}" if report.lost_is_known else f"at least {report.lost:,}"
        words = f"{shown_target(name)} is damaged. This is a copy of the {report.entries:,} entries that can be read"
        say(f"{words}; {lost} are lost\n  hint: coshelf salvage makes such a copy that stays")
        with opened_by_default(path, "r", sign=sign, encrypt=encrypt) as shelf:
            yield shelf, f"{words}; {lost} are lost. To keep a copy, use `coshelf salvage`."
