"""Single sets while a second process holds an iterator half way and a snapshot.

``held.py CONTENDER DIRECTORY SECONDS COUNT`` makes a store of COUNT entries. It prints the microseconds of a set alone
and of a set during the hold, and the bytes on disk.
"""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import sys
import time
from multiprocessing.synchronize import Event

from contenders import CONTENDERS, Contender
from data import keys, value


def hold(directory: str, count: int, ready: Event, stop: Event) -> None:
    """Hold an iterator and a snapshot until ``stop`` is set, then check what they read."""
    import coshelf

    with coshelf.open(directory + "/a.shelf") as shelf:
        walk, snapshot = iter(shelf.items()), shelf.snapshot()
        for _ in range(10):
            next(walk)
        first = keys(count)[0]
        before = snapshot[first]
        ready.set()
        stop.wait()
        assert sum(1 for _ in walk) == count - 10
        assert snapshot[first] == before
        snapshot.close()


def sets(contender: Contender, names: list[str], length: float) -> tuple[float, int]:
    """Set for so many seconds. Return the microseconds of one set, and the number of sets."""
    done, took, end = 0, 0.0, time.perf_counter() + length
    while not done or time.perf_counter() < end:
        at = done % len(names)
        begun = time.perf_counter()
        for key in names[at : at + 1_000]:
            contender.set(key, value("small dict", done, 1))
            done += 1
        took += time.perf_counter() - begun
    return took / done * 1e6, done


def size(directory: str) -> int:
    """Bytes on disk."""
    return sum(os.lstat(f"{directory}/{name}").st_blocks * 512 for name in os.listdir(directory))


def main() -> None:
    name, directory, seconds, count = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
    names = keys(count)
    contender = CONTENDERS[name](directory)
    contender.open()
    contender.update({key: value("small dict", number, 0) for number, key in enumerate(names)})
    contender.settle()
    loaded = size(directory)
    alone, _ = sets(contender, names, seconds / 4)
    before = size(directory)
    context = mp.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    process = context.Process(target=hold, args=(directory, count, ready, stop))
    process.start()
    ready.wait()
    held, done = sets(contender, names, seconds)
    after = size(directory)
    stop.set()
    process.join()
    figures = {
        "alone": alone,
        "held": held,
        "sets": done,
        "seconds": seconds,
        "right": process.exitcode == 0,
        "bytes": [loaded, before, after],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
