"""Globs, matched in the simplest way."""

from __future__ import annotations

__all__ = ["matches"]


def matches(pattern: str, text: str) -> bool:
    """Whether a glob selects a str. Only ``**`` and ``/`` itself match a ``/``."""
    if not pattern:
        return not text
    if pattern.startswith("**"):
        return any(matches(pattern[2:], text[i:]) for i in range(len(text) + 1))
    if pattern.startswith("*"):
        run = text.find("/") if "/" in text else len(text)
        return any(matches(pattern[1:], text[i:]) for i in range(run + 1))
    if not text:
        return False
    if pattern.startswith("["):
        members, _, rest = pattern[1:].partition("]")
        fits = text[0] not in members[1:] + "/" if members.startswith("!") else text[0] in members
        return fits and matches(rest, text[1:])
    fits = text[0] != "/" if pattern[0] == "?" else text[0] == pattern[0]
    return fits and matches(pattern[1:], text[1:])
