"""``coshelf edit``."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from typing import Any

import click

from coshelf.cli.draft import Draft, drafted
from coshelf.cli.errors import SOMETHING_LEFT
from coshelf.cli.examples import examples
from coshelf.cli.output import say
from coshelf.cli.shelves import ENCRYPT, KEY, KEY_FORM, SHELF, SIGN, TIMEOUT, key_of, opened, shown_target
from coshelf.cli.values import parsed, refuse_repetitive
from coshelf.keys import shown
from coshelf.transfer.json_lines import same_in_json

__all__ = ["edit_command"]

_SUFFIXES = {"text": ".txt", "json": ".json", "literal": ".py"}


@click.command(
    "edit",
    short_help="Change a value with your editor.",
    epilog=examples("coshelf edit recipes.shelf hello", "coshelf edit recipes.shelf notes --create"),
)
@click.argument("shelf", type=SHELF)
@click.argument("key", type=KEY)
@KEY_FORM
@click.option("--create", is_flag=True, help="Begin with an empty text if the key does not exist.")
@SIGN
@ENCRYPT
@TIMEOUT
def edit_command(
    shelf: str,
    key: str,
    key_form: str | None,
    create: bool,
    sign: str | None,
    encrypt: str | None,
    timeout: float,
) -> None:
    """Change the value of KEY in SHELF with the editor of $VISUAL or $EDITOR.

    Text is shown as it is. Other plain data is shown as JSON if that is exact, and as a Python literal otherwise.

    No other process waits while you edit. If another process has changed the value meanwhile, the newer value stays,
    and your text is kept in a file that the message names. With --encrypt-with you are asked first. Exit code 1: the
    key does not exist, or its value was changed meanwhile.
    """
    name = key_of(key, key_form)
    with opened(shelf, "c" if create else "r", sign=sign, encrypt=encrypt, timeout=timeout) as source:
        before = source.get(name, "" if create else None)
        if name not in source and not create:
            say(f"{shown(name)} is not in {shown_target(shelf)}")
            sys.exit(SOMETHING_LEFT)
        is_new = name not in source
    form, text = _as_text(before)
    with drafted(text, _SUFFIXES[form], is_secret=encrypt is not None) as draft:
        after = _edited(draft, form)
        if (type(after), after) == (type(before), before) and not is_new:
            draft.is_stored = True
            say("unchanged")
            return
        with (
            opened(shelf, "w", sign=sign, encrypt=encrypt, timeout=timeout) as target,
            target.transaction(timeout) as transaction,
        ):
            if (name in transaction) == is_new or (not is_new and transaction[name] != before):
                say(f"another process has changed {shown(name)} in {shown_target(shelf)} meanwhile; its value stays")
                sys.exit(SOMETHING_LEFT)
            if is_new:
                transaction[name] = after
            else:
                transaction.modify(name, lambda _: after, allow_none=True)  # keeps the time at which it expires
        draft.is_stored = True
    say("stored")


def _as_text(value: Any) -> tuple[str, str]:
    if isinstance(value, str):
        return "text", value
    if same_in_json(value):
        return "json", json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    refuse_repetitive(value)
    text = repr(value)
    try:
        if type(value) is not bytearray and parsed(text.encode(), "literal") == value:
            return "literal", text + "\n"
    except click.UsageError:
        pass
    raise click.UsageError(f"a value of type {type(value).__name__} has no text that could be edited")


def _edited(draft: Draft, form: str) -> Any:
    """The value after the user has edited the draft.

    On a terminal, text that is not a value of its form can be edited again. Without a terminal it is an error, and the
    text is kept.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    while True:
        done = subprocess.run([*shlex.split(editor), draft.path], check=False)  # noqa: S603 (the user's own editor)
        if done.returncode:
            raise click.UsageError(f"{editor} ended with {done.returncode}: nothing was stored")
        try:
            return parsed(draft.read(), form)
        except click.UsageError as error:
            if not sys.stdin.isatty() or not click.confirm(f"{error.message}. Edit again?", default=True, err=True):
                raise click.UsageError(f"{error.message}. Nothing was stored") from error
