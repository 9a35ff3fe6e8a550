"""``coshelf watch``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from coshelf.cli.durations import DURATION
from coshelf.cli.errors import SOMETHING_LEFT
from coshelf.cli.examples import examples
from coshelf.cli.key_text import text_of_key
from coshelf.cli.output import say, write
from coshelf.cli.shelves import SHELF, opened_unread, shown_target
from coshelf.cli.values import bytes_of
from coshelf.errors import ReadOnlyShelf
from coshelf.inspection.preview import Preview
from coshelf.mapping.change import Change
from coshelf.mapping.watch import Watch
from coshelf.system.waiting.polling import has_failed
from coshelf.transfer.json_lines import key_notation

__all__ = ["watch_command"]

_STEPS = 500  # of a preview
_LOOK = 1.0  # seconds between two looks whether standard output is still read

Changes = Watch[Any, Any]


@click.command(
    "watch",
    short_help="Print changes as they come.",
    epilog=examples(
        "coshelf watch recipes.shelf 'soups/*' --timeout 10", "coshelf watch recipes.shelf --count 1 --json"
    ),
)
@click.argument("shelf", type=SHELF)
@click.argument("glob", required=False)
@click.option("--prefix", help="Only str keys that begin with this.")
@click.option("--since", metavar="VERSION", help="Begin after this version, instead of now.")
@click.option("--latest", is_flag=True, help="Print several changes of one key that wait as one, the last of them.")
@click.option("--timeout", type=DURATION, help="End after so long without a change.")
@click.option("-n", "--count", type=click.IntRange(min=1), help="End after so many changes.")
@click.option("--literal", is_flag=True, help="Write all keys as Python literals, for -k.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each change.")
def watch_command(
    shelf: str,
    glob: str | None,
    prefix: str | None,
    since: str | None,
    latest: bool,
    timeout: float | None,
    count: int | None,
    literal: bool,
    as_json: bool,
) -> None:
    """Print a line for each change that a commit of any process makes to SHELF; with GLOB, to the keys that match.

    A line has the kind (set, deleted, expired, gap), the key and the beginning of the value. With --json it also has
    the version, for --since. Values are not unpickled. Ctrl-C ends it. Exit code 1: --timeout ended it before --count
    changes had come.
    """
    conditions = {"glob": glob, "prefix": prefix, "since": since, "latest": latest}
    left = count
    try:
        with _watching(shelf, conditions) as watch:
            say(f"watching {shown_target(shelf)} from version {watch.version}")
            for change in _changes(watch, timeout):
                write(bytes_of(_json_line(change) if as_json else _line(change, literal=literal)) + b"\n")
                left = None if left is None else left - 1
                if left == 0:
                    return
    except KeyboardInterrupt:
        return
    if left is not None:
        sys.exit(SOMETHING_LEFT)


@contextmanager
def _watching(name: str, conditions: dict[str, Any]) -> Iterator[Changes]:
    """The watch. Where it has to tell the writers that it is there, the shelf is opened for writing."""
    with opened_unread(name, "r") as source:
        try:
            watch = source.watch(**conditions)
        except ReadOnlyShelf:
            pass
        else:
            with watch:
                yield watch
            return
    with opened_unread(name, "w") as source, source.watch(**conditions) as watch:
        yield watch


def _changes(watch: Changes, timeout: float | None) -> Iterator[Change[Any, Any]]:
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        left = _LOOK if end is None else min(end - time.monotonic(), _LOOK)
        change = watch.next(max(left, 0))
        if change is not None:
            yield change
            end = None if timeout is None else time.monotonic() + timeout
        elif left <= 0:
            return
        else:
            _refuse_unread_output()


def _refuse_unread_output() -> None:
    """Raise BrokenPipeError if the program that reads standard output has ended."""
    if has_failed(sys.stdout.fileno()):
        raise BrokenPipeError


def _json_line(change: Change[Any, Any]) -> str:
    key = {} if change.kind == "gap" else {"key": key_notation(change.key)}
    value = _preview(change)
    return json.dumps({**key, "kind": change.kind, "version": change.version, **(value.as_dict() if value else {})})


def _line(change: Change[Any, Any], *, literal: bool) -> str:
    if change.kind == "gap":
        return "gap"
    value = _preview(change)
    end = f"  {value.text}" if value is not None else ""
    return f"{change.kind:7}  {text_of_key(change.key, literal=literal)}{end}"


def _preview(change: Change[Any, Any]) -> Preview | None:
    try:
        record = change.record
    except KeyError:  # it is gone, and the engine has the latest state alone
        return None
    return None if record is None else record.preview(length=60, steps=_STEPS)
