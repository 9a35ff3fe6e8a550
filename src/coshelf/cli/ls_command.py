"""``coshelf ls``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

import click

from coshelf.cli.durations import time_left
from coshelf.cli.examples import examples
from coshelf.cli.key_text import text_of_key
from coshelf.cli.shelves import SHELF, opened_unread
from coshelf.cli.values import bytes_of
from coshelf.inspection.preview import Preview
from coshelf.mapping.record import Record
from coshelf.mapping.shelf import Shelf
from coshelf.screen import plain
from coshelf.system import clock
from coshelf.transfer.json_lines import key_notation

__all__ = ["ls_command"]

_STEPS = 500  # of a preview
_FLUSH = 1_000


@click.command(
    "ls", short_help="List keys.", epilog=examples("coshelf ls recipes.shelf", "coshelf ls -l recipes.shelf 'soups/*'")
)
@click.argument("shelf", type=SHELF)
@click.argument("glob", required=False)
@click.option("--prefix", help="Only str keys that begin with this.")
@click.option("--tag", help="Only entries that have this tag.")
@click.option("-l", "--long", "is_long", is_flag=True, help="With size, type, beginning of value, time left and tags.")
@click.option("-r", "--reverse", is_flag=True, help="From the last key to the first.")
@click.option("-n", "--limit", type=click.IntRange(min=0), help="At most this many keys.")
@click.option("--literal", is_flag=True, help="Write all keys as Python literals, for -k.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each entry.")
def ls_command(
    shelf: str,
    glob: str | None,
    prefix: str | None,
    tag: str | None,
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
        lines: Iterator[str]
        if is_long or as_json:
            line = _json_line if as_json else partial(_long_line, literal=literal)
            lines = map(line, _records(source, glob, prefix, tag, reverse))
        else:
            lines = (text_of_key(key, literal=literal) for key in _keys(source, glob, prefix, tag, reverse))
        for number, text in enumerate(islice(lines, limit)):
            out.write(bytes_of(text) + b"\n")
            if not number % _FLUSH:
                out.flush()
    out.flush()


def _keys(
    source: Shelf[Any, Any], glob: str | None, prefix: str | None, tag: str | None, reverse: bool
) -> Iterator[Any]:
    selected = source.keys(glob, prefix=prefix, reverse=reverse)
    if tag is None:
        return iter(selected)
    tagged = source.tagged(tag)
    return (key for key in (reversed(tagged) if reverse else tagged) if key in selected)


def _records(
    source: Shelf[Any, Any], glob: str | None, prefix: str | None, tag: str | None, reverse: bool
) -> Iterator[Record[Any, Any]]:
    if tag is None:
        yield from source.records(glob, prefix=prefix, reverse=reverse)
        return
    for key in _keys(source, glob, prefix, tag, reverse):
        with suppress(KeyError):  # it was deleted meanwhile
            yield source.record(key)


def _json_line(record: Record[Any, Any]) -> str:
    times = {} if record.expires is None else {"expires": record.expires}
    tags = {"tags": list(record.tags)} if record.tags else {}
    return json.dumps({"key": key_notation(record.key), **_preview(record).as_dict(), **times, **tags})


def _long_line(record: Record[Any, Any], *, literal: bool) -> str:
    value, expires = _preview(record), record.expires
    left = "" if expires is None else f"  (expires in {time_left(expires - clock.now() / 1_000_000)})"
    tags = f"  [{plain(', '.join(record.tags))}]" if record.tags else ""
    return f"{value.size:>12,}  {value.type:20}  {text_of_key(record.key, literal=literal)}  {value.text}{left}{tags}"


def _preview(record: Record[Any, Any]) -> Preview:
    return record.preview(length=60, steps=_STEPS)
