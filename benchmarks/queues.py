"""Measures queues: four producers and four consumers, and how many items a second go from the ones to the others.

Each contender runs by itself, and they take turns. The clock runs from the first put until each item was taken and, if
the contender has such a thing, acknowledged. Contenders without blocking calls look again after a millisecond.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import queue
import shutil
import statistics
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diskcache
import persistqueue

import coshelf
from crew import say
from machine import described

RESULTS = Path(__file__).resolve().parent / "results" / "queues.json"
WORKERS = 4  # producers, and consumers
PAUSE = 0.001  # seconds
ITEM = {"page": 1, "url": "https://example.org/page/1", "tries": 0}
END = "end"


class Contender(ABC):
    """A queue, as one process or thread has it."""

    def __init__(self, place: str) -> None:
        self.place = place

    @abstractmethod
    def put(self, item: Any) -> None: ...

    @abstractmethod
    def take(self) -> Any:
        """The next item, acknowledged; waits for it."""

    def close(self) -> None:
        """Close it. Most need not be closed."""
        return


class Take(Contender):
    """coshelf with ``take``: an item comes back if its taker dies."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self._shelf: coshelf.Shelf[Any, Any] = coshelf.open(place + "/a.shelf")
        self._queue = self._shelf.queue("jobs")

    def put(self, item: Any) -> None:
        self._queue.put(item)

    def take(self) -> Any:
        with self._queue.take() as item:
            return item

    def close(self) -> None:
        self._shelf.close()


class Get(Take):
    """coshelf with ``get``."""

    def take(self) -> Any:
        return self._queue.get()


class AckQueue(Contender):
    """persist-queue's SQLiteAckQueue."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self._queue = persistqueue.SQLiteAckQueue(place, multithreading=True, auto_commit=True)

    def put(self, item: Any) -> None:
        self._queue.put(item)

    def take(self) -> Any:
        while True:
            try:
                item = self._queue.get(block=False)
            except persistqueue.Empty:
                time.sleep(PAUSE)
                continue
            self._queue.ack(item)
            return item


class DiskCache(Contender):
    """diskcache's push and pull."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self._cache = diskcache.Cache(place, timeout=60)

    def put(self, item: Any) -> None:
        self._cache.push(item)

    def take(self) -> Any:
        while True:
            key, item = self._cache.pull()
            if key is not None:
                return item
            time.sleep(PAUSE)

    def close(self) -> None:
        self._cache.close()


CONTENDERS: dict[str, tuple[type[Contender], str]] = {
    "coshelf, take": (Take, "processes"),
    "coshelf, get": (Get, "processes"),
    "diskcache": (DiskCache, "processes"),
    "coshelf, take, in threads": (Take, "threads"),
    "persist-queue, in threads": (AckQueue, "threads"),  # two processes may be given the same item
}


def produce(make: Callable[[], Contender], count: int, start: Any) -> None:
    """Put items."""
    contender = make()
    start.wait()
    for _ in range(count):
        contender.put(ITEM)


def consume(make: Callable[[], Contender], start: Any, ends: Any) -> None:
    """Take items until the end."""
    contender, count = make(), 0
    start.wait()
    while contender.take() != END:
        count += 1
    ends.put((count, time.monotonic()))


def rate(name: str, directory: str, items: int) -> float:
    """Items a second."""
    kind, how = CONTENDERS[name]
    place = tempfile.mkdtemp(dir=directory)
    shared = kind(place)
    make: Callable[[], Contender] = (lambda: shared) if how == "threads" else (lambda: kind(place))
    is_thread = how == "threads"
    start: Any = (threading if is_thread else multiprocessing).Barrier(2 * WORKERS + 1)
    ends: Any = queue.Queue() if is_thread else multiprocessing.Queue()
    worker_type: Any = threading.Thread if is_thread else multiprocessing.Process
    producers = [worker_type(target=produce, args=(make, items // WORKERS, start)) for _ in range(WORKERS)]
    consumers = [worker_type(target=consume, args=(make, start, ends)) for _ in range(WORKERS)]
    for worker in (*producers, *consumers):
        worker.start()
    start.wait()
    begun = time.monotonic()
    for worker in producers:
        worker.join()
    for _ in consumers:
        shared.put(END)
    counts = [ends.get() for _ in consumers]
    for worker in consumers:
        worker.join()
    shared.close()
    shutil.rmtree(place)
    taken: int = sum(count for count, _ in counts)
    if taken != items // WORKERS * WORKERS:
        raise SystemExit(f"{name}: {taken} items were taken, not {items}")
    return taken / float(max(end for _, end in counts) - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--items", type=int, default=20_000, help="for coshelf; the others have a tenth")
    parser.add_argument("--directory", default=None, help="on the disk to be measured")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    multiprocessing.set_start_method("fork")
    directory = tempfile.mkdtemp(dir=given.directory)
    results: dict[str, Any] = {"machine": described(directory), "items": given.items}
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for number in range(given.rounds):
        names = list(CONTENDERS)
        names = names[number % len(names) :] + names[: number % len(names)]
        for name in names:
            items = given.items if name.startswith("coshelf") else given.items // 10
            rates[name].append(rate(name, directory, items))
            say(f"{number + 1}: {name}: {rates[name][-1]:,.0f} items a second")
    shutil.rmtree(directory)
    results["rates"] = {
        name: {"median": statistics.median(found), "least": min(found), "most": max(found)}
        for name, found in rates.items()
    }
    given.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for name, found in rates.items():
        say(f"{statistics.median(found):>12,.0f}  {name}")


if __name__ == "__main__":
    main()
