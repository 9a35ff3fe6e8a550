"""Shared by all commands: the shelf and the keys that are named on the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from coshelf.cli.key_text import read_key, read_literal, text_of_key
from coshelf.contract import Flag
from coshelf.engines.urls import without_secrets
from coshelf.errors import CoshelfError, ShelfNotFound
from coshelf.mapping.shelf import Shelf
from coshelf.opening import open as open_shelf
from coshelf.opening import open_with_codec
from coshelf.screen import plain
from coshelf.system.files.paths import expanded
from coshelf.values.front_doors import RAW_PICKLES, UNREAD_VALUES

__all__ = [
    "ENCRYPT",
    "JSON",
    "KEY",
    "KEY_FORM",
    "SHELF",
    "SIGN",
    "TIMEOUT",
    "key_of",
    "opened",
    "opened_by_default",
    "opened_raw",
    "opened_unread",
    "shown_target",
    "target_of",
]

_F = TypeVar("_F", bound=Callable[..., Any])

_COMPLETIONS = 50
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def target_of(name: str) -> str:
    """The target for a name: a directory is opened by the files engine."""
    return f"files:{name}" if not _URL.match(name) and os.path.isdir(expanded(name)) else name


def opened(
    name: str,
    flag: Flag,
    *,
    sign: str | None = None,
    encrypt: str | None = None,
    trust: bool = False,
    timeout: float = 60,
) -> Shelf[Any, Any]:
    """A shelf as commands open it: only plain data is loaded, even of a trusted shelf, unless the user wants more."""
    secret = () if encrypt is None else _content(encrypt)
    with _telling_of_order(name):
        if sign is None:
            return open_shelf(target_of(name), flag, trust=trust, encrypt=secret, timeout=timeout)
        return open_shelf(target_of(name), flag, sign=_content(sign), encrypt=secret, timeout=timeout)


@contextmanager
def _telling_of_order(name: str) -> Iterator[None]:
    """Say so if no shelf is at ``name``, and the argument for the key is the path of a file."""
    try:
        yield
    except ShelfNotFound as error:
        context = click.get_current_context(silent=True)
        key = None if context is None else context.params.get("key")
        if isinstance(key, str) and os.path.isfile(expanded(key)):
            raise ShelfNotFound(
                f"{name} is not a shelf, and {key} is a file\n  hint: SHELF comes before KEY"
            ) from error
        raise


def opened_by_default(
    name: str, flag: Flag, *, sign: str | None = None, encrypt: str | None = None, timeout: float = 60
) -> Shelf[Any, Any]:
    """A shelf as programs open it: a trusted one can load any object."""
    secret = () if encrypt is None else _content(encrypt)
    return open_shelf(
        target_of(name), flag, sign=() if sign is None else _content(sign), encrypt=secret, timeout=timeout
    )


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def opened_unread(name: str, flag: Flag, *, timeout: float = 60) -> Shelf[Any, Any]:
    """A shelf whose values are neither read nor written, so that it needs no secret."""
    return open_with_codec(target_of(name), flag, UNREAD_VALUES, timeout=timeout)


def opened_raw(name: str, flag: Flag, *, timeout: float = 60) -> Shelf[Any, Any]:
    """A shelf whose values are their pickles."""
    return open_with_codec(target_of(name), flag, RAW_PICKLES, timeout=timeout)


def key_of(text: str, form: str | None) -> Any:
    """The key for a text: as :func:`read_key` reads it, or in the given form."""
    if form == "str":
        return text
    if form is None:
        return read_key(text)
    try:
        return read_literal(text)
    except ValueError as error:
        raise click.BadParameter(f"{error} such as 15, ('a', 1) or b'x'") from error


def shown_target(name: str) -> str:
    """A shelf's name for a message: no password, and no control character."""
    return plain(without_secrets(name))


class _ShelfName(click.types.StringParamType):
    name = "shelf"

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


class _KeyName(click.types.StringParamType):
    """Completed by the keys of the shelf that is named before it."""

    name = "key"

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        try:
            with opened_unread(context.params["shelf"], "r", timeout=1) as shelf:
                found = zip(shelf.keys(prefix=incomplete), range(_COMPLETIONS), strict=False)
                return [CompletionItem(key) for key, _ in found if text_of_key(key) == key]
        except (CoshelfError, OSError, KeyError, ValueError):
            return []  # nothing to offer; the command itself prints the error


SHELF = _ShelfName()
KEY = _KeyName()


def JSON(command: _F) -> _F:  # noqa: N802 (as click names what decorates a command)
    """The option ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON to standard output.")(command)


def TIMEOUT(command: _F) -> _F:  # noqa: N802
    """The option ``--timeout``."""
    return click.option(
        "--timeout", type=click.FloatRange(min=0), default=60, show_default=True, help="Seconds to wait for a lock."
    )(command)


def SIGN(command: _F) -> _F:  # noqa: N802
    """The option ``--sign-with``."""
    return click.option(
        "--sign-with",
        "sign",
        type=click.Path(exists=True, dir_okay=False),
        help="A file with the secret that values are signed with.",
    )(command)


def ENCRYPT(command: _F) -> _F:  # noqa: N802
    """The option ``--encrypt-with``."""
    return click.option(
        "--encrypt-with",
        "encrypt",
        type=click.Path(exists=True, dir_okay=False),
        help="A file with the secret that values are encrypted with.",
    )(command)


def KEY_FORM(command: _F) -> _F:  # noqa: N802
    """The options ``--literal-key`` and ``--str-key``."""
    literal = click.option(
        "-k",
        "--literal-key",
        "key_form",
        flag_value="literal",
        help="KEY is a Python literal: 15, ('a', 1), b'x', None.",
    )
    exact = click.option("-s", "--str-key", "key_form", flag_value="str", help="KEY is a str, exactly as you type it.")
    return literal(exact(command))
