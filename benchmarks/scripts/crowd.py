"""Eight processes use one store for three seconds: half of them read, half of them write.

``crowd.py CONTENDER DIRECTORY`` prints the operations per second of all processes together, and the errors.
"""

from __future__ import annotations

import json
import multiprocessing as mp
import random
import sys
import time
from typing import Any

from contenders import CONTENDERS
from data import keys, value

COUNT = 10_000


def work(name: str, directory: str, index: int, end: float, results: Any) -> None:
    """Read or write until the end. Put the number of operations, the number of errors, and the last error."""
    contender = CONTENDERS[name](directory)
    chance, done, errors, names = random.Random(index), 0, 0, keys(COUNT)
    try:
        contender.open()
    except Exception as error:
        results.put((0, 1, repr(error)))
        return
    reason = ""
    while time.time() < end:
        for _ in range(10):
            key = names[chance.randrange(COUNT)]
            try:
                if index % 2:
                    contender.set(key, value("small dict", done, index))
                else:
                    contender.get(key)
                done += 1
            except Exception as error:
                errors, reason = errors + 1, repr(error)
    results.put((done, errors, reason))
    contender.close()


def main() -> None:
    name, directory = sys.argv[1:]
    contender = CONTENDERS[name](directory)
    contender.open()
    contender.update({key: value("small dict", number, 0) for number, key in enumerate(keys(COUNT))})
    contender.settle()
    contender.close()
    context = mp.get_context("spawn")
    results, end = context.Queue(), time.time() + 4
    crew = [context.Process(target=work, args=(name, directory, index, end, results)) for index in range(8)]
    for process in crew:
        process.start()
    found = [results.get() for _ in crew]
    for process in crew:
        process.join()
    figures = {
        "rate": sum(done for done, _, _ in found) / 3.5,
        "errors": sum(errors for _, errors, _ in found),
        "reason": next((reason for _, _, reason in found if reason), ""),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
