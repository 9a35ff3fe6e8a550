"""Keys on the command line: how they are printed and read. A printed key is read as the same key."""

from __future__ import annotations

import ast
import math
import re
import warnings
from typing import Any

from coshelf.keys import is_key_type
from coshelf.screen import is_plain, plain

__all__ = ["literal_of", "read_key", "read_literal", "text_of_key"]

# The beginnings of literals of keys. Most names begin otherwise, and are not parsed.
_COULD_BE_LITERAL = re.compile(r"[ \t\f]*(?:[-+.0-9('\"]|[bBrRuU]{1,2}['\"]|None|True|False)")


def text_of_key(key: Any, *, literal: bool = False) -> str:
    """A key for a list: a str as it is, if it is read as that str again, and a Python literal otherwise.

    >>> [text_of_key(key) for key in ("soups/leek", "None", None, "15", 15, " a")]
    ['soups/leek', "'None'", 'None', "'15'", '15', "' a'"]
    """
    if literal or not isinstance(key, str) or not is_plain(key) or key.strip() != key or key[:1] in ("", "-"):
        return literal_of(key)
    return key if read_key(key) is key else literal_of(key)


def read_key(text: str) -> Any:
    """The key for a text on the command line: the value of a Python literal if it can be a key, else the text itself.

    >>> [read_key(text) for text in ("soups/leek", "'None'", "None", "('a', 1)", "[1]")]
    ['soups/leek', 'None', None, ('a', 1), '[1]']
    """
    if not _COULD_BE_LITERAL.match(text):
        return text
    try:
        found = read_literal(text)
    except ValueError:
        return text
    return found if is_key_type(found) else text


def read_literal(text: str) -> Any:
    """The value of a text as a Python literal. Raises ValueError if it is not one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings of escapes that Python does not have
            return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"{plain(text)!r} is not a Python literal") from error


def literal_of(key: Any) -> str:
    """A key as a Python literal on one line, of visible characters only."""
    if isinstance(key, tuple):
        inner = ", ".join(literal_of(part) for part in key)
        return f"({inner},)" if len(key) == 1 else f"({inner})"
    if isinstance(key, float) and math.isinf(key):
        return "1e999" if key > 0 else "-1e999"  # Python has no other literal for them
    try:
        return plain(repr(key))
    except ValueError:  # an int of more digits than Python writes
        return hex(key)
