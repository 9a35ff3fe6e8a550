"""Where a watch goes on: a position of the engine, or a point between two changes of one commit.

The changes of a commit are told in the order of their keys. So a point within a commit is named by the position before
it, its own position, and the last key that was told.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from coshelf.contract import Engine, Position

__all__ = ["Point", "point_of", "within"]


class Point(NamedTuple):
    """Where a watch goes on.

    Attributes:
        after: the position from which the engine is to be read.
        commit: the position of the commit of which a part was told; None if all of it was.
        key: the last encoded key of it that was told.
    """

    after: Position
    commit: Position | None = None
    key: bytes = b""


def within(after: Position, commit: Position, key: bytes) -> str:
    """The version of a change after which other changes of its commit follow."""
    return json.dumps([after, commit, key.hex()], separators=(",", ":"))


def point_of(since: Position, engine: Engine) -> Point:
    """The point that a version names. A number may be given as text, as from a command line or a browser.

    Raises TypeError and ValueError if it cannot be a version.
    """
    if isinstance(since, bool) or not isinstance(since, (int, str)):
        raise TypeError(f"a version of a shelf is a number or a text, not {type(since).__name__}")
    if isinstance(since, int):
        return Point(since)
    if since.startswith("["):
        return _parsed(since)
    if since.isascii() and since.isdecimal() and isinstance(engine.position(), int):
        return Point(int(since))
    return Point(since)


def _parsed(since: str) -> Point:
    try:
        after, commit, key = json.loads(since)
        if any(isinstance(each, bool) or not isinstance(each, (int, str)) for each in (after, commit)):
            raise TypeError("a position is a number or a text")
        return Point(after, commit, bytes.fromhex(key))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{since!r:.100} is no version of a shelf: {error}") from error
