"""Processes add one to the same number, as often as they can.

``counting.py CONTENDER DIRECTORY PROCESSES SECONDS`` prints the increments per second of all processes together, and
whether the number is exact at the end.
"""

from __future__ import annotations

import json
import multiprocessing as mp
import sys
import time
from multiprocessing.synchronize import Barrier
from typing import Any

from contenders import CONTENDERS


def count(name: str, directory: str, seconds: float, ready: Barrier, results: Any) -> None:
    """Increment for so long. Put the number of increments."""
    contender, done = CONTENDERS[name](directory), 0
    contender.open()
    ready.wait()
    end = time.monotonic() + seconds
    while not done or time.monotonic() < end:
        for _ in range(10):
            contender.increment("counter")
        done += 10
    results.put(done)
    contender.close()


def main() -> None:
    name, directory, processes, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    contender = CONTENDERS[name](directory)
    contender.open()
    contender.set("counter", 0)
    contender.settle()
    contender.close()
    context = mp.get_context("spawn")
    results, ready = context.Queue(), context.Barrier(processes)
    crew = [context.Process(target=count, args=(name, directory, seconds, ready, results)) for _ in range(processes)]
    for process in crew:
        process.start()
    for process in crew:
        process.join()
    if any(process.exitcode for process in crew):
        raise SystemExit("a process that counts has failed")
    done = sum(results.get() for _ in crew)
    contender.open()
    print(json.dumps({"rate": done / seconds, "exact": contender.get("counter") == done}))
    contender.close()


if __name__ == "__main__":
    main()
