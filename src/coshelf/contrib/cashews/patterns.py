"""Patterns of cashews: ``*`` stands for any text, and every other character for itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction

__all__ = ["matching", "page_of_keys"]


def page_of_keys(shelf: Shelf[Any, Any], pattern: str, after: str | None, most: int) -> list[str]:
    """Up to ``most`` keys that match, in order, from behind ``after`` on; as of one instant."""
    return list(islice(matching(shelf, pattern, after), most))


def matching(entries: Shelf[Any, Any] | Transaction[Any, Any], pattern: str, after: str | None = None) -> Iterator[str]:
    """The keys that match, in order, from behind ``after`` on. Keys with another beginning are not looked at."""
    prefix, star, _ = pattern.partition("*")
    if not star:
        return iter([pattern] if pattern in entries and (after is None or after < pattern) else [])
    fits = _test(pattern)
    return (key for key in entries.keys(prefix=prefix, start=after) if key != after and fits(key))


def _test(pattern: str) -> Callable[[str], object]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL).fullmatch
