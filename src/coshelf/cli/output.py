"""The output of commands: data to standard output, all else to standard error. Screens get no control characters."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from coshelf.screen import is_plain, plain

__all__ = ["is_terminal", "json_text", "say", "show", "write", "write_json"]

_LINES = "\n\t"


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


def say(text: str) -> None:
    """Write a line for people to standard error."""
    click.echo(plain(text, keep=_LINES), err=True)


def show(text: str) -> None:
    """Write a line for people to standard output."""
    write(plain(text, keep=_LINES).encode("utf-8", "backslashreplace") + b"\n")


def write(data: bytes) -> None:
    """Write bytes to standard output as they are."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def write_json(value: Any) -> None:
    """Write a line of JSON to standard output."""
    write(json.dumps(value).encode() + b"\n")


def json_text(text: str) -> str:
    """JSON for a screen: characters that cannot be shown are escapes of JSON, so that the value stays the same."""
    if is_plain(text):
        return text
    return "".join(each if each in _LINES or is_plain(each) else json.dumps(each)[1:-1] for each in text)
