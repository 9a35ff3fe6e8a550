"""``coshelf get``."""

from __future__ import annotations

import sys
from typing import Any

import click

from coshelf.cli.errors import SOMETHING_LEFT
from coshelf.cli.examples import examples
from coshelf.cli.output import is_terminal, say, show, write, write_json
from coshelf.cli.shelves import (
    ENCRYPT,
    JSON,
    KEY,
    KEY_FORM,
    SHELF,
    SIGN,
    key_of,
    opened,
    opened_raw,
    opened_unread,
    shown_target,
)
from coshelf.cli.values import json_line, written
from coshelf.errors import UnreadableValue, UntrustedValue
from coshelf.inspection.preview import Preview, instructions, payload_of
from coshelf.keys import shown
from coshelf.mapping.record import Record
from coshelf.transfer.json_lines import line_of, same_in_json

__all__ = ["get_command"]


@click.command(
    "get",
    short_help="Write a value to standard output.",
    epilog=examples("coshelf get recipes.shelf hello", "coshelf get recipes.shelf photo > photo.jpg"),
)
@click.argument("shelf", type=SHELF)
@click.argument("key", type=KEY)
@KEY_FORM
@click.option("--preview", is_flag=True, help="Show type, size, form, names and beginning. Nothing is unpickled.")
@click.option("--opcodes", is_flag=True, help="List the instructions of the pickle. Nothing is unpickled.")
@click.option("--pickle", "as_pickle", is_flag=True, help="Write the pickle itself, byte for byte; not to a terminal.")
@click.option(
    "--trust-pickle", is_flag=True, help="Unpickle any value, and write its repr. This can run code of any kind."
)
@SIGN
@ENCRYPT
@JSON
def get_command(
    shelf: str,
    key: str,
    key_form: str | None,
    preview: bool,
    opcodes: bool,
    as_pickle: bool,
    trust_pickle: bool,
    sign: str | None,
    encrypt: str | None,
    as_json: bool,
) -> None:
    """Write the value of KEY in SHELF to standard output.

    Text, bytes, and JSON that is stored as JSON are written byte for byte. Other plain data is written as JSON if JSON
    returns exactly that value, and as a Python literal otherwise. Any other value is not unpickled: the error describes
    it. Exit code 1: the key does not exist.
    """
    if sum((preview, opcodes, as_pickle, trust_pickle)) > 1 or (as_json and (opcodes or as_pickle)):
        raise click.UsageError("--preview, --opcodes, --pickle and --trust-pickle exclude each other")
    if as_pickle and is_terminal():
        raise click.UsageError("a pickle is not written to a terminal: send it to a file or a pipe")
    name = key_of(key, key_form)
    try:
        if preview:
            with opened_unread(shelf, "r") as source:
                _tell(source.preview(name), as_json=as_json)
        elif opcodes:
            with opened_unread(shelf, "r") as source:
                _list_instructions(source.record(name))
        elif as_pickle:
            with opened_raw(shelf, "r") as source:
                write(source[name])
        else:
            with opened(shelf, "r", sign=sign, encrypt=encrypt, trust=trust_pickle) as source:
                record = source.record(name)
                value = _value(record)
                try:
                    out = _line(name, value) if as_json else _stored_json(record) or written(value)
                except RecursionError:
                    raise UnreadableValue(
                        f"the value for key {shown(name)} is nested too deep to be written\n"
                        "  hint: --preview shows its beginning, --pickle writes the pickle unchanged",
                        name,
                    ) from None
            write(out)
    except KeyError:
        say(f"{shown(name)} is not in {shown_target(shelf)}")
        sys.exit(SOMETHING_LEFT)


def _value(record: Record[Any, Any]) -> Any:
    try:
        return record.decode()
    except UntrustedValue as error:
        if not error.name:
            raise
        raise UntrustedValue(
            f"the value for key {shown(record.key)} is not plain data, but {record.preview().text}\n"
            "  hint: --preview and --opcodes show more, --pickle writes it unchanged, --trust-pickle unpickles it",
            error.name,
            record.key,
        ) from None


def _stored_json(record: Record[Any, Any]) -> bytes | None:
    """The line of a value that is stored as JSON: exactly the stored bytes. None for any other value."""
    return json_line(record.payload()) if record.codec == "json" else None


def _line(name: Any, value: Any) -> bytes:
    if not same_in_json(value):
        raise click.UsageError(f"{type(value).__name__} cannot be written as JSON exactly: leave --json out")
    return line_of(name, value=value).encode()


def _tell(found: Preview, *, as_json: bool) -> None:
    if as_json:
        write_json(found.as_dict())
        return
    for name, said in found.as_dict().items():
        if said:
            text = ", ".join(said) if isinstance(said, tuple) else f"{said:,}" if name == "size" else said
            show(f"{name.replace('_', ' '):10} {text}")


def _list_instructions(record: Record[Any, Any]) -> None:
    said, start = payload_of(record.raw)
    if start is None:
        raise click.UsageError(f"the record is not a pickle, but {said}")
    try:
        for each in instructions(record.raw, start, len(record.raw)):
            show(str(each))
    except ValueError as error:
        say(f"not a complete pickle: {error}")
        sys.exit(SOMETHING_LEFT)
