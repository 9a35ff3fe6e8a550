"""What commands have in common: the shelf and the keys that are named on the command line."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from coshelf.codecs.raw_pickles import RawPickles
from coshelf.codecs.unread import UnreadValues
from coshelf.engines.contract import Flag
from coshelf.errors import CoshelfError
from coshelf.opening import open as open_shelf
from coshelf.opening import open_with_codec
from coshelf.shelf import Shelf

__all__ = [
    "ENCRYPT",
    "JSON",
    "KEY",
    "LITERAL_KEY",
    "SHELF",
    "SIGN",
    "TIMEOUT",
    "key_of",
    "opened",
    "opened_raw",
    "opened_unread",
    "target_of",
    "text_of_key",
]

_F = TypeVar("_F", bound=Callable[..., Any])

_COMPLETIONS = 50
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def target_of(name: str) -> str:
    """A directory is one of the files engine."""
    return f"files:{name}" if not _URL.match(name) and os.path.isdir(name) else name


def opened(
    name: str,
    flag: Flag,
    *,
    sign: str | None = None,
    encrypt: str | None = None,
    trust: bool = False,
    timeout: float = 60,
) -> Shelf[Any, Any]:
    """A shelf as commands open it: plain data is loaded, unless the user says otherwise, whosever it is."""
    secret = () if encrypt is None else _content(encrypt)
    if sign is None:
        return open_shelf(target_of(name), flag, trust=trust, encrypt=secret, timeout=timeout)
    return open_shelf(target_of(name), flag, sign=_content(sign), encrypt=secret, timeout=timeout)


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def opened_unread(name: str, flag: Flag, *, timeout: float = 60) -> Shelf[Any, Any]:
    """A shelf whose values are neither read nor written, so that it takes no secret."""
    return open_with_codec(target_of(name), flag, UnreadValues(), timeout=timeout)


def opened_raw(name: str, flag: Flag, *, timeout: float = 60) -> Shelf[Any, Any]:
    """A shelf whose values are their pickles."""
    return open_with_codec(target_of(name), flag, RawPickles(), timeout=timeout)


def key_of(text: str, *, literal: bool) -> Any:
    """The key that is named: the text itself, or what it says as a Python literal."""
    if not literal:
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError) as error:
        raise click.BadParameter(f"{text!r} is no Python literal such as 15, ('a', 1) or b'x'") from error


def text_of_key(key: Any, *, literal: bool = False) -> str:
    """A key in a list: as it is typed, if it can be, and as a Python literal otherwise."""
    return key if isinstance(key, str) and key.isprintable() and key and not literal else repr(key)


class _ShelfName(click.types.StringParamType):
    name = "shelf"

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


class _KeyName(click.types.StringParamType):
    """Completed by the keys of the shelf that stands before it."""

    name = "key"

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        try:
            with opened_unread(context.params["shelf"], "r", timeout=1) as shelf:
                found = zip(shelf.keys(prefix=incomplete), range(_COMPLETIONS), strict=False)
                return [CompletionItem(key) for key, _ in found if key.isprintable()]
        except (CoshelfError, OSError, KeyError, ValueError):
            return []  # nothing to offer; the command itself will say why


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


def LITERAL_KEY(command: _F) -> _F:  # noqa: N802
    """The option ``--literal-key``."""
    return click.option(
        "-k", "--literal-key", "literal", is_flag=True, help="KEY is a Python literal: 15, ('a', 1), b'x', None."
    )(command)
