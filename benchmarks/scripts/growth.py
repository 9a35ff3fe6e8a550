"""Gets, sets, prefixes and ``len`` in a store of a given size.

``growth.py CONTENDER DIRECTORY COUNT`` prints microseconds: medians of five turns, and one ``len``.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable

from contenders import CONTENDERS
from data import keys, value


def each(work: Callable[[int], None], operations: int) -> float:
    """Microseconds of one operation: the median of five turns."""
    found = []
    for turn in range(5):
        begun = time.perf_counter()
        work(turn)
        found.append((time.perf_counter() - begun) / operations * 1e6)
    return sorted(found)[2]


def main() -> None:
    name, directory, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    contender = CONTENDERS[name](directory)
    contender.open()
    names = keys(count)
    for at in range(0, count, 10_000):
        some = names[at : at + 10_000]
        contender.update({key: value("small dict", at + number, 0) for number, key in enumerate(some)})
    contender.settle()
    chosen = [random.Random(turn).sample(names, min(10_000, count)) for turn in range(5)]

    def gets(turn: int) -> None:
        for key in chosen[turn]:
            contender.get(key)

    def sets(turn: int) -> None:
        for key in chosen[turn]:
            contender.set(key, 1)

    def prefixes(turn: int) -> None:
        for key in chosen[turn][:50]:
            found = contender.prefix(key[:12])
            assert found is not None
            assert sum(1 for _ in found) == 100

    result = {"get": each(gets, len(chosen[0]))}
    if contender.prefix(names[0][:12]) is not None:
        result["prefix of 100"] = each(prefixes, 50)
    result["set"] = each(sets, len(chosen[0]))
    contender.settle()
    begun = time.perf_counter()
    contender.count()
    result["len"] = (time.perf_counter() - begun) * 1e6
    print(json.dumps(result))


if __name__ == "__main__":
    main()
