"""By how many bytes the memory of a process grows while it does one thing with many entries.

``memory.py CONTENDER DIRECTORY WORK COUNT``, with WORK "update", "load by sets" or "scan", opens a coshelf, whatever
the contender. It prints the growth of the anonymous memory, at its peak.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import coshelf
from data import value


def resident() -> int:
    """Bytes of anonymous memory of this process."""
    with open("/proc/self/status", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("RssAnon")).split()[1]) * 1024


def grown(work: Callable[[], object]) -> int:
    """The growth while ``work`` runs. A thread looks at the memory every 10 ms."""
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], resident())

    before, watcher = resident(), threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return max(peak[0], resident()) - before


def works(shelf: coshelf.Shelf[Any, Any], count: int) -> dict[str, Callable[[], object]]:
    """What can be measured. The keys are made before the measurement."""
    names = [f"key{number:07d}" for number in range(count)]

    def update() -> None:
        shelf.update((key, value("small dict", number, 0)) for number, key in enumerate(names))

    def load_by_sets() -> None:
        for number, key in enumerate(names):
            shelf[key] = value("small dict", number, 0)

    def scan() -> None:
        assert sum(1 for _ in shelf.items()) > count

    return {"update": update, "load by sets": load_by_sets, "scan": scan}


def main() -> None:
    name, directory, what, count = *sys.argv[1:4], int(sys.argv[4])
    if what == "scan":  # what an update in this process has freed would hide the growth
        subprocess.run([sys.executable, __file__, name, directory, "update", str(count)], stdout=sys.stderr, check=True)
    with coshelf.open(directory + "/a.shelf") as shelf:
        shelf["first"] = 1
        print(json.dumps(grown(works(shelf, count)[what])))


if __name__ == "__main__":
    main()
