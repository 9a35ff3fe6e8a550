"""``python -m coshelf.pickleshare``: the commands of pickleshare."""

from __future__ import annotations

import ast
import os
import pprint
import sys
from typing import Any

from coshelf.dropin.pickleshare_database import PickleShareDB
from coshelf.errors import CoshelfError

__all__ = ["main"]

_USAGE = """\
usage: python -m coshelf.pickleshare COMMAND [DIRECTORY]

  dump [DIRECTORY]     print all keys and values as a Python dict (DIRECTORY: the current one)
  load DIRECTORY       replace all by the dict of Python literals on standard input; no code in it is run
  testwait DIRECTORY   wait until the key '250' is there, and print its value
"""


def main(arguments: list[str]) -> int:
    """Run a command; return its exit code: 0 done, 1 partly or not done, 2 usage, 3 the directory cannot be used."""
    commands = {"dump": _dump, "load": _load, "testwait": _testwait}
    if not arguments:
        print(_USAGE, end="")
        return 0
    command = commands.get(arguments[0])
    wanted = (1, 2) if command is _dump else (2,)
    if command is None or len(arguments) not in wanted:
        print(_USAGE, end="", file=sys.stderr)
        return 2
    directory = arguments[1] if len(arguments) == 2 else "."
    if command is not _load and not os.path.isdir(directory):
        return _failed(f"the directory does not exist: {directory}", 3)
    try:
        return command(directory)
    except (CoshelfError, OSError) as error:
        return _failed(str(error), 3)


def _dump(directory: str) -> int:
    db = PickleShareDB(directory)
    found, unreadable = {}, []
    for key in db:
        try:
            found[key] = db[key]
        except KeyError as error:
            if error.__cause__ is not None:
                unreadable.append(f"{key!r} cannot be read: {error.__cause__!r}")
    print(pprint.pformat(found, sort_dicts=True))
    strange = [f"{key!r} is not a Python literal: load refuses it" for key in found if not _is_literal(found[key])]
    for complaint in unreadable + strange:
        _failed(complaint, 1)
    return 1 if unreadable or strange else 0


def _is_literal(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False


def _load(directory: str) -> int:
    try:
        data = ast.literal_eval(sys.stdin.read())
    except (ValueError, SyntaxError, MemoryError, RecursionError, UnicodeDecodeError) as error:
        return _failed(f"standard input is not a dict of Python literals: {error}; nothing was changed", 1)
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        return _failed("standard input is not a dict with str keys; nothing was changed", 1)
    PickleShareDB(directory).replace_all(data)
    return 0


def _testwait(directory: str) -> int:
    try:
        print(pprint.pformat(PickleShareDB(directory).waitget("250")))
    except KeyError:
        return _failed("the key '250' did not appear within 60 seconds", 1)
    return 0


def _failed(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code
