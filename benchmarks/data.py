"""What is stored: keys in no order, and values that say in which round they were written."""

from __future__ import annotations

import random
from typing import Any

__all__ = ["KINDS", "keys", "value"]

KINDS = ("small dict", "1 KB")


def keys(count: int) -> list[str]:
    """So many keys, always the same ones in the same order. A hundred each share their first letters."""
    found = [f"group{number // 100:06d}/{number % 100:02d}" for number in range(count)]
    random.Random(count).shuffle(found)
    return found


def value(kind: str, number: int, turn: int) -> Any:
    """A dict of some 100 bytes as a pickle, or a str of 1 KB."""
    if kind == "1 KB":
        return f"{turn} {number} ".ljust(1024, "x")
    return {"id": number, "turn": turn, "name": "somebody", "tags": ["a", "b"], "score": number / 7}
