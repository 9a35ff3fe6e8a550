"""Keys that are difficult for engines, and keys in random orders."""

from __future__ import annotations

import random
from collections.abc import Iterable

from coshelf.keys import encode

__all__ = ["long_keys", "shuffled_in_parts"]


def long_keys(limit: int | None) -> list[bytes]:
    """Keys that are difficult for an engine whose own keys are short, sorted.

    Some are prefixes of others. They are equal for their first 600 bytes. They end just before, at and after multiples
    of 493 bytes (docs/format.md, "Long keys").
    """
    longest = encode("k" * 1999)
    lengths = [1, 2, 255, 491, 492, 493, 494, 495, 510, 511, 512, 600, 984, 985, 986, 987, 988, 1478, 1479, 1480, 2000]
    keys = {longest[:length] + end for length in lengths for end in (b"", b"\x00", b"\x00\x00", b"\xff")}
    keys |= {longest[:length] + end + longest[:900] for length in (492, 493, 600, 986) for end in (b"\x00", b"a", b"z")}
    keys |= {longest[:600] + encode(number) + longest[:1390] for number in (-1, 0, 0.5, 300)}
    return sorted(key for key in keys if limit is None or len(key) <= limit)


def shuffled_in_parts(keys: Iterable[bytes], *, parts: int, seed: int) -> list[list[bytes]]:
    """The keys in several lists, in a random order that depends only on ``seed``."""
    shuffled = list(keys)
    random.Random(seed).shuffle(shuffled)
    return [shuffled[part::parts] for part in range(parts)]
