"""Processes use one store at the same time: some of them read, the others write.

``crowd.py CONTENDER DIRECTORY READERS WRITERS SECONDS`` prints the operations per second of all processes together,
and the errors.
"""

from __future__ import annotations

import json
import multiprocessing as mp
import random
import sys
import time
from multiprocessing.synchronize import Barrier
from typing import Any

from contenders import CONTENDERS
from data import keys, value

COUNT = 10_000


def work(name: str, directory: str, index: int, writes: bool, seconds: float, ready: Barrier, results: Any) -> None:
    """Read or write for so long. Put the number of operations, the number of errors, and the last error."""
    contender = CONTENDERS[name](directory)
    chance, done, errors, names = random.Random(index), 0, 0, keys(COUNT)
    reason = ""
    try:
        contender.open()
    except Exception as error:
        ready.wait()
        results.put((0, 1, repr(error)))
        return
    ready.wait()
    end = time.monotonic() + seconds
    while not done + errors or time.monotonic() < end:
        for _ in range(10):
            key = names[chance.randrange(COUNT)]
            try:
                if writes:
                    contender.set(key, value("small dict", done, index))
                else:
                    contender.get(key)
                done += 1
            except Exception as error:
                errors, reason = errors + 1, repr(error)
    results.put((done, errors, reason))
    contender.close()


def main() -> None:
    name, directory = sys.argv[1:3]
    readers, writers, seconds = int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
    contender = CONTENDERS[name](directory)
    contender.open()
    contender.update({key: value("small dict", number, 0) for number, key in enumerate(keys(COUNT))})
    contender.settle()
    contender.close()
    context = mp.get_context("spawn")
    results, ready = context.Queue(), context.Barrier(readers + writers)
    crew = [
        context.Process(target=work, args=(name, directory, index, index < writers, seconds, ready, results))
        for index in range(readers + writers)
    ]
    for process in crew:
        process.start()
    found = [results.get() for _ in crew]
    for process in crew:
        process.join()
    figures = {
        "rate": sum(done for done, _, _ in found) / seconds,
        "errors": sum(errors for _, errors, _ in found),
        "reason": next((reason for _, _, reason in found if reason), ""),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
