"""``coshelf edit``."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from typing import Any

import click

from coshelf.cli.errors import SOMETHING_LEFT
from coshelf.cli.shelves import ENCRYPT, KEY, LITERAL_KEY, SHELF, SIGN, TIMEOUT, key_of, opened
from coshelf.cli.values import parsed
from coshelf.keys import shown
from coshelf.transfer.json_lines import same_in_json

__all__ = ["edit_command"]

_SUFFIXES = {"text": ".txt", "json": ".json", "literal": ".py"}


@click.command("edit", short_help="Change a value with your editor.")
@click.argument("shelf", type=SHELF)
@click.argument("key", type=KEY)
@LITERAL_KEY
@click.option("--create", is_flag=True, help="Begin with an empty text if there is no such key.")
@SIGN
@ENCRYPT
@TIMEOUT
def edit_command(
    shelf: str, key: str, literal: bool, create: bool, sign: str | None, encrypt: str | None, timeout: float
) -> None:
    """Change the value of KEY in SHELF with the editor of $VISUAL or $EDITOR.

    Text is edited as it is, other plain data as JSON where that is exact, and as a Python literal otherwise. Nobody
    waits meanwhile: if somebody else has changed the value by the end, it stays, and what was written is kept in a
    file. Exit code 1: there is no such key, or it was changed meanwhile.
    """
    name = key_of(key, literal=literal)
    with opened(shelf, "c" if create else "r", sign=sign, encrypt=encrypt) as source:
        before = source.get(name, "" if create else None)
        if name not in source and not create:
            click.echo(f"{shown(name)} is not in {shelf}", err=True)
            sys.exit(SOMETHING_LEFT)
        is_new = name not in source
    form, text = _as_text(before)
    path = _in_file(text, _SUFFIXES[form])
    after = _edited(path, form)
    if (type(after), after) == (type(before), before) and not is_new:
        os.unlink(path)
        click.echo("unchanged", err=True)
        return
    with (
        opened(shelf, "w", sign=sign, encrypt=encrypt, timeout=timeout) as target,
        target.transaction(timeout) as transaction,
    ):
        if (name in transaction) == is_new or (not is_new and transaction[name] != before):
            click.echo(f"{shown(name)} in {shelf} was changed by somebody else meanwhile, and stays", err=True)
            click.echo(f"  hint: what you wrote is in {path}", err=True)
            sys.exit(SOMETHING_LEFT)
        transaction[name] = after
    os.unlink(path)
    click.echo("stored", err=True)


def _as_text(value: Any) -> tuple[str, str]:
    if isinstance(value, str):
        return "text", value
    if same_in_json(value):
        return "json", json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    text = repr(value)
    try:
        if type(value) is not bytearray and parsed(text.encode(), "literal") == value:
            return "literal", text + "\n"
    except click.UsageError:
        pass
    raise click.UsageError(f"a value of type {type(value).__name__} has no text that could be edited")


def _in_file(text: str, suffix: str) -> str:
    descriptor, path = tempfile.mkstemp(suffix, "coshelf-edit-")
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode("utf-8", "surrogatepass"))
    return path


def _edited(path: str, form: str) -> Any:
    """What the user makes of it. What is no value of its form can be mended, on a terminal, or is kept."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    while True:
        done = subprocess.run([*shlex.split(editor), path], check=False)  # noqa: S603 (the user's own editor)
        if done.returncode:
            raise click.UsageError(f"{editor} ended with {done.returncode}: nothing was stored. The text is in {path}")
        with open(path, "rb") as file:
            data = file.read()
        try:
            return parsed(data, form)
        except click.UsageError as error:
            if not sys.stdin.isatty() or not click.confirm(f"{error.message}. Edit again?", default=True, err=True):
                raise click.UsageError(f"{error.message}. Nothing was stored. The text is in {path}") from error
