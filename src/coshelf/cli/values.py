"""Values on the command line: how they are written, and how they are read."""

from __future__ import annotations

import ast
import json
import sys
from typing import Any

import click

from coshelf.keys import shown
from coshelf.transfer.json_lines import same_in_json

__all__ = ["bytes_of", "is_terminal", "parsed", "written"]


def bytes_of(text: str) -> bytes:
    """Text as it was typed, bytes that are not UTF-8 included."""
    return text.encode("utf-8", "surrogateescape")


def is_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()


def written(value: Any) -> bytes:
    """A value for standard output: text and bytes as they are, JSON where that is exact, else as Python writes it."""
    if isinstance(value, (bytes, bytearray)):
        return repr(value).encode() + b"\n" if is_terminal() else bytes(value)
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass") + (b"\n" if is_terminal() else b"")
    if same_in_json(value):
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
    return repr(value).encode("utf-8", "surrogatepass") + b"\n"


def parsed(data: bytes, form: str) -> Any:
    """The value that bytes stand for in a form: text, bytes, json or literal. Raises a usage error if they cannot."""
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
