"""Durable sets by one thread and by sixteen threads of one process.

``threads.py CONTENDER DIRECTORY SECONDS`` opens a coshelf, whatever the contender. It prints the sets per second.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import coshelf


def rate(shelf: coshelf.Shelf[Any, Any], count: int, seconds: float) -> float:
    """Sets per second of so many threads together, during so many seconds."""
    done, end = [0] * count, time.monotonic() + seconds

    def work(index: int) -> None:
        while not done[index] or time.monotonic() < end:
            shelf[f"thread{index}"] = done[index]
            done[index] += 1

    threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds


def main() -> None:
    directory, seconds = sys.argv[2], float(sys.argv[3])
    with coshelf.open(directory + "/a.shelf", durability="commit") as shelf:
        print(json.dumps({str(count): rate(shelf, count, seconds) for count in (1, 16)}))


if __name__ == "__main__":
    main()
