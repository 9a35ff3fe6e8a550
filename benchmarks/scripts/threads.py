"""Durable sets by one thread and by sixteen threads of one process.

``threads.py CONTENDER DIRECTORY`` opens a coshelf, whatever the contender, and prints the sets per second.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import coshelf


def rate(shelf: coshelf.Shelf[Any, Any], count: int) -> float:
    """Sets per second of so many threads together, during three seconds."""
    done, end = [0] * count, time.time() + 3

    def work(index: int) -> None:
        while time.time() < end:
            shelf[f"thread{index}"] = done[index]
            done[index] += 1

    threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / 3


def main() -> None:
    directory = sys.argv[2]
    with coshelf.open(directory + "/a.shelf", durability="commit") as shelf:
        found: dict[int, list[float]] = {1: [], 16: []}
        for _ in range(3):
            for count, rates in found.items():
                rates.append(rate(shelf, count))
    print(json.dumps({str(count): sorted(rates)[1] for count, rates in found.items()}))


if __name__ == "__main__":
    main()
