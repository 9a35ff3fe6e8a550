"""``coshelf set``."""

from __future__ import annotations

import sys

import click

from coshelf.cli.durations import DURATION
from coshelf.cli.errors import SOMETHING_LEFT
from coshelf.cli.examples import examples
from coshelf.cli.output import say
from coshelf.cli.shelves import (
    ENCRYPT,
    KEY,
    KEY_FORM,
    SHELF,
    SIGN,
    TIMEOUT,
    key_of,
    opened,
    opened_raw,
    opened_unread,
    shown_target,
)
from coshelf.cli.values import bytes_of, parsed
from coshelf.errors import ShelfNotFound
from coshelf.keys import shown
from coshelf.mapping.lapsing import MISSING
from coshelf.transfer.pickles import entry
from coshelf.transfer.report import Left

__all__ = ["set_command"]


@click.command(
    "set",
    short_help="Store a value.",
    epilog=examples("coshelf set recipes.shelf hello 15", "coshelf set recipes.shelf photo --bytes < photo.jpg"),
)
@click.argument("shelf", type=SHELF)
@click.argument("key", type=KEY)
@click.argument("value", required=False)
@KEY_FORM
@click.option("--json", "form", flag_value="json", help="The value is JSON.")
@click.option("--literal", "form", flag_value="literal", help="The value is a Python literal: {'a': (1, 2)}, b'x'.")
@click.option("--bytes", "form", flag_value="bytes", help="The value is bytes, of any kind.")
@click.option("--pickle", "form", flag_value="pickle", help="The value is one pickle. It is stored and not loaded.")
@click.option("--new", "only_new", is_flag=True, help="Store only if the key does not exist; exit code 1 if it exists.")
@click.option("--tag", "tags", multiple=True, help="A tag of the entry; may be given several times.")
@click.option("--expire", type=DURATION, help="The entry expires after this time: seconds, or 15m, 2h, 7d.")
@SIGN
@ENCRYPT
@TIMEOUT
def set_command(
    shelf: str,
    key: str,
    value: str | None,
    key_form: str | None,
    form: str | None,
    only_new: bool,
    tags: tuple[str, ...],
    expire: float | None,
    sign: str | None,
    encrypt: str | None,
    timeout: float,
) -> None:
    """Store VALUE under KEY in SHELF. The shelf is made if it is missing.

    VALUE is text, or bytes if SHELF has codec bytes. Without VALUE, or with "-", the value is standard input, byte for
    byte. "set" stores what "get" writes.
    """
    name = key_of(key, key_form)
    if value is None and sys.stdin.isatty():
        say("the value is what you type, up to Ctrl-D at the beginning of a line")
    data = sys.stdin.buffer.read() if value in (None, "-") else bytes_of(value)
    if form == "pickle":
        if sign is not None or encrypt is not None:
            raise click.UsageError("a pickle is stored as it is, so it is neither signed nor encrypted")
        found = entry(name, data)
        if isinstance(found, Left):
            raise click.UsageError(f"standard input, of {len(data):,} bytes, is not a complete pickle")
        target, stored = opened_raw(shelf, "c", timeout=timeout), found.pickle
    else:
        stored = parsed(data, form or _form_in(shelf))
        target = opened(shelf, "c", sign=sign, encrypt=encrypt, timeout=timeout)
    given = MISSING if expire is None else expire
    with target:
        if not only_new:
            target.set(name, stored, expire=given, tags=tags)
            return
        if target.add(name, stored, expire=given, tags=tags):
            return
    say(f"{shown(name)} is in {shown_target(shelf)} already")
    sys.exit(SOMETHING_LEFT)


def _form_in(shelf: str) -> str:
    """The default form of a value for a shelf."""
    try:
        with opened_unread(shelf, "r") as source:
            return "bytes" if source.info().codec == "bytes" else "text"
    except ShelfNotFound:
        return "text"
