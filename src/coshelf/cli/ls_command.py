"""``coshelf ls``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

import click

from coshelf.cli.durations import time_left
from coshelf.cli.key_text import text_of_key
from coshelf.cli.shelves import SHELF, opened_unread
from coshelf.cli.values import bytes_of
from coshelf.inspection.preview import Preview
from coshelf.mapping.shelf import Shelf
from coshelf.system import clock
from coshelf.transfer.json_lines import key_notation

__all__ = ["ls_command"]

_STEPS = 500  # of a preview
_FLUSH = 1_000


@click.command("ls", short_help="List keys.")
@click.argument("shelf", type=SHELF)
@click.argument("glob", required=False)
@click.option("--prefix", help="Only str keys that begin with this.")
@click.option("-l", "--long", "is_long", is_flag=True, help="With size, type, beginning of each value, and time left.")
@click.option("-r", "--reverse", is_flag=True, help="From the last key to the first.")
@click.option("-n", "--limit", type=click.IntRange(min=0), help="At most this many keys.")
@click.option("--literal", is_flag=True, help="Write all keys as Python literals, for -k.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each entry.")
def ls_command(
    shelf: str,
    glob: str | None,
    prefix: str | None,
    is_long: bool,
    reverse: bool,
    limit: int | None,
    literal: bool,
    as_json: bool,
) -> None:
    """List the keys of SHELF in order, one a line. With GLOB, list the keys that match.

    In a glob "*" stops at "/", and "**" does not. A key is written as "get" reads it: a str as it is, and any other key
    as a Python literal. A str that would be read as another key is a literal, too. Values are not unpickled.
    """
    out = sys.stdout.buffer
    with opened_unread(shelf, "r") as source:
        found: Iterator[tuple[Any, Preview | None, float | None]]
        if is_long or as_json:
            found = _with_previews(source, glob, prefix, reverse)
        else:
            found = ((key, None, None) for key in source.keys(glob, prefix=prefix, reverse=reverse))
        for number, (key, value, expires) in enumerate(islice(found, limit)):
            out.write(bytes_of(_line(key, value, expires, literal=literal, as_json=as_json)) + b"\n")
            if not number % _FLUSH:
                out.flush()
    out.flush()


def _with_previews(
    source: Shelf[Any, Any], glob: str | None, prefix: str | None, reverse: bool
) -> Iterator[tuple[Any, Preview, float | None]]:
    for record in source.records(glob, prefix=prefix, reverse=reverse):
        yield record.key, record.preview(length=60, steps=_STEPS), record.expires


def _line(key: Any, value: Preview | None, expires: float | None, *, literal: bool, as_json: bool) -> str:
    if value is None:
        return text_of_key(key, literal=literal)
    if as_json:
        times = {} if expires is None else {"expires": expires}
        return json.dumps({"key": key_notation(key), **value.as_dict(), **times})
    left = "" if expires is None else f"  (expires in {time_left(expires - clock.now() / 1_000_000)})"
    return f"{value.size:>12,}  {value.type:20}  {text_of_key(key, literal=literal)}  {value.text}{left}"
