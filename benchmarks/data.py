"""The entries that are stored: keys in random order, and values that contain the round of their writing."""

from __future__ import annotations

import random
from typing import Any

__all__ = ["KINDS", "keys", "value"]

KINDS = ("small dict", "1 KB")


def keys(count: int) -> list[str]:
    """So many keys, always the same ones in the same order. Each hundred of them share a prefix."""
    found = [f"group{number // 100:06d}/{number % 100:02d}" for number in range(count)]
    random.Random(count).shuffle(found)
    return found


def value(kind: str, number: int, turn: int) -> Any:
    """A dict whose pickle has some 100 bytes, or a str of 1 KB."""
    if kind == "1 KB":
        return f"{turn} {number} ".ljust(1024, "x")
    return {"id": number, "turn": turn, "name": "somebody", "tags": ["a", "b"], "score": number / 7}
