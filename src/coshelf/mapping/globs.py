"""Globs over str keys: ``*`` stops at ``/``, ``**`` crosses it, ``?`` is one character, ``[abc]`` one of a set.

For a key that does not match, a glob also returns a range of keys around it that cannot match either. A scan skips that
range, so its cost depends on the number of matches.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import takewhile
from typing import NamedTuple

__all__ = ["Glob"]

_SPECIAL = re.compile(r"([\\^\]\[&~|])")


class Glob:
    """A compiled pattern. Every match begins with ``literal``."""

    def __init__(self, pattern: str) -> None:
        if not isinstance(pattern, str):
            raise TypeError(f"a glob is a str, not {type(pattern).__name__}")
        tokens = list(_tokens(pattern))
        self.pattern = pattern
        self.literal = _literal(tokens)
        self.is_literal = len(self.literal) == sum(len(token.text) for token in tokens)
        self._whole = _compile(pattern, tokens)
        # Before the first "**", the segments between slashes are matched one by one.
        crossing = next((at for at, token in enumerate(tokens) if token.text == "**"), None)
        segments = _split(tokens[:crossing])
        self._open_ended = crossing is not None
        if self._open_ended:
            segments.pop()  # the "**" decides where this segment ends
        self._segments = [(_literal(segment), _compile(pattern, segment)) for segment in segments]

    def matches(self, key: str) -> bool:
        """Whether the whole key matches."""
        return self._whole.fullmatch(key) is not None

    def dead_range(self, key: str) -> tuple[str, str | None] | None:
        """For a key that does not match: ``(start, stop)`` around it in which nothing matches, or None.

        If ``stop`` is None, nothing from ``start`` on matches.
        """
        parts = key.split("/")
        above = ""
        for at, (literal, expression) in enumerate(self._segments):
            part = parts[at]
            last = at == len(parts) - 1
            if not expression.fullmatch(part):
                if not part.startswith(literal):
                    if key[len(above) :] < literal:  # compares the whole rest: keys are ordered by all characters
                        return above, above + literal
                    return above + (_successor(literal) or part), _after(above)
                return None if last else (above + part + "/", above + part + "0")
            if last:
                return None  # too few segments: later keys may have more
            above += part + "/"
        if self._open_ended:
            return None
        # The key has more segments than the pattern: nothing below the last one that matched can match.
        return above, _after(above)


class _Token(NamedTuple):
    """A piece of a pattern and its regular expression; None for a literal character."""

    text: str
    expression: str | None


def _tokens(pattern: str) -> Iterator[_Token]:
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            if pattern.startswith("*", at):
                at += len(pattern) - at - len(pattern[at:].lstrip("*"))
                yield _Token("**", ".*")
            else:
                yield _Token("*", "[^/]*")
        elif character == "?":
            yield _Token("?", "[^/]")
        elif character == "[" and (end := pattern.find("]", at + 1 + pattern.startswith("!", at))) >= 0:
            yield _Token(pattern[at - 1 : end + 1], _set(pattern[at:end]))
            at = end + 1
        else:
            yield _Token(character, None)


def _set(chosen: str) -> str:
    """One of a set of characters, but never a slash."""
    negated = chosen.startswith("!")
    members = _SPECIAL.sub(r"\\\1", chosen[1:] if negated else chosen)
    # A hyphen is a range between two characters, and itself anywhere else.
    members = re.sub(r"^-|-$|(?<=-)-|-(?=-)", r"\\-", members)
    return f"(?!/)[{'^' if negated else ''}{members}]"


def _split(tokens: list[_Token]) -> list[list[_Token]]:
    segments: list[list[_Token]] = [[]]
    for token in tokens:
        if token == ("/", None):
            segments.append([])
        else:
            segments[-1].append(token)
    return segments


def _literal(tokens: list[_Token]) -> str:
    return "".join(token.text for token in takewhile(lambda token: token.expression is None, tokens))


def _compile(pattern: str, tokens: list[_Token]) -> re.Pattern[str]:
    expression = "".join(re.escape(token.text) if token.expression is None else token.expression for token in tokens)
    try:
        return re.compile(expression, re.DOTALL)
    except re.error as error:
        raise ValueError(f"bad glob {pattern!r}: {error}") from error


def _after(above: str) -> str | None:
    """The first str after all that begin with ``above``, which is empty or ends in a slash; None if it is empty."""
    return above[:-1] + "0" if above else None


def _successor(literal: str) -> str | None:
    """The first str after all that begin with ``literal``; None if there is none."""
    last = ord(literal[-1])
    return literal[:-1] + chr(last + 1) if last < sys.maxunicode else None
