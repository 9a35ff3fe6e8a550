"""Gets from a shelf of one's own, and from one that a stranger made, so that values come through the gate.

``stranger.py CONTENDER DIRECTORY`` opens a coshelf, whatever the contender. It prints microseconds of a get in both
ways, for some plain values.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import coshelf
from data import KINDS, value

ROUNDS, TIMES = 15, 4_000
VALUES: dict[str, Any] = {
    **{kind: value(kind, 5, 0) for kind in KINDS},
    "100 rows": [value(KINDS[0], number, 0) for number in range(100)],
}


def took(shelf: coshelf.Shelf[Any, Any], key: str, times: int) -> float:
    """Microseconds of a get."""
    begun = time.perf_counter()
    for _ in range(times):
        shelf[key]
    return (time.perf_counter() - begun) / times * 1e6


def main() -> None:
    path = sys.argv[2] + "/a.shelf"
    figures: dict[str, float] = {}
    with coshelf.open(path) as made:
        made.update(VALUES)
    with coshelf.open(path, trust=True) as own, coshelf.open(path, trust=False) as other:
        for kind in VALUES:
            times = TIMES if kind in KINDS else TIMES // 50
            rounds = [(took(own, kind, times), took(other, kind, times)) for _ in range(ROUNDS)]
            figures[f"own, {kind}"], figures[f"stranger's, {kind}"] = map(statistics.median, zip(*rounds, strict=True))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
