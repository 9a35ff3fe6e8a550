"""Values on the command line: how they are printed and read."""

from __future__ import annotations

import ast
import json
from typing import Any

import click

from coshelf.cli.output import is_terminal, json_text
from coshelf.keys import shown
from coshelf.screen import plain
from coshelf.transfer.json_lines import same_in_json
from coshelf.values.repetition import is_repetitive

__all__ = ["bytes_of", "json_line", "parsed", "refuse_repetitive", "written"]

_LINES = "\n\t"


def bytes_of(text: str) -> bytes:
    """Text as it was typed, with bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def written(value: Any) -> bytes:
    """A value for standard output: text and bytes as they are, JSON if that is exact, else a Python literal.

    For a terminal, control characters are escaped, and a line end is added.
    """
    to_screen = is_terminal()
    if isinstance(value, (bytes, bytearray)) and not to_screen:
        return bytes(value)
    if isinstance(value, str):
        text = f"{plain(value, keep=_LINES)}\n" if to_screen else value
    elif same_in_json(value):
        return json_line(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    else:
        refuse_repetitive(value)
        text = repr(value) + "\n"
        text = plain(text, keep=_LINES) if to_screen else text
    return text.encode("utf-8", "surrogatepass")


def refuse_repetitive(value: Any) -> None:
    """Raise a usage error if the text of a value of plain data would be endless."""
    if is_repetitive(value):
        raise click.UsageError(
            "the value holds the same parts millions of times, so its text would be too long: --preview shows its"
            " beginning, --pickle writes it unchanged"
        )


def json_line(data: bytes) -> bytes:
    """JSON for standard output: unchanged, or for a terminal with escapes for what cannot be shown."""
    return json_text(data.decode("utf-8", "replace")).encode() + b"\n" if is_terminal() else data + b"\n"


def parsed(data: bytes, form: str) -> Any:
    """The value for bytes in a form: text, bytes, json or literal. Raises a usage error if they have another form."""
    if form == "bytes":
        return data
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError(
            f"the value is not UTF-8 ({error.reason} at byte {error.start}): give --bytes"
        ) from error
    try:
        if form == "json":
            return json.loads(text)
        return ast.literal_eval(text.strip()) if form == "literal" else text
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        name = "JSON" if form == "json" else "a Python literal"
        raise click.UsageError(f"the value {shown(text)} is not {name}: {error}") from error
