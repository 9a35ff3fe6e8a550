"""Measures FanoutCache, Deque and Index of coshelf.diskcache beside those of diskcache.

The two take turns. Each round uses new directories; the results are medians of the rounds. The row with four processes
counts all calls of all processes from their common start until the last call returns.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diskcache

from coshelf import diskcache as door
from crew import say
from machine import described

RESULTS = Path(__file__).resolve().parent / "results" / "doors_persist.json"
CONTENDERS: dict[str, Any] = {"diskcache": diskcache, "coshelf.diskcache": door}
PROCESSES = 4
VALUE = {"page": 1, "url": "https://example.org/page/1", "words": ["a", "b"]}
CALLS = 1_000


@contextmanager
def _directory() -> Iterator[str]:
    place = tempfile.mkdtemp(prefix="coshelf-bench-")
    try:
        yield place
    finally:
        shutil.rmtree(place)


def _seconds_of(calls: int, call: Callable[[int], object]) -> float:
    """Seconds for a call, on the average."""
    begin = time.perf_counter()
    for number in range(calls):
        call(number)
    return (time.perf_counter() - begin) / calls


def _deque(package: Any) -> dict[str, float]:
    with _directory() as place:
        deque = package.Deque(directory=place)
        found = {"Deque.append": _seconds_of(CALLS, lambda _: deque.append(VALUE))}
        found["Deque.peekleft"] = _seconds_of(CALLS, lambda _: deque.peekleft())
        found["deque[i]"] = _seconds_of(100, lambda number: deque[number * 10])
        found["iter(deque), a value"] = _seconds_of(1, lambda _: list(deque)) / CALLS
        found["Deque.rotate(10)"] = _seconds_of(20, lambda _: deque.rotate(10))
        found["Deque.popleft"] = _seconds_of(CALLS, lambda _: deque.popleft())
        found["Deque.extend, a value"] = _seconds_of(1, lambda _: deque.extend([VALUE] * CALLS)) / CALLS
        deque.maxlen = CALLS
        found["Deque.append, full"] = _seconds_of(CALLS, lambda _: deque.append(VALUE))
        deque.cache.close()
    return found


def _index(package: Any) -> dict[str, float]:
    with _directory() as place:
        index = package.Index(place)
        found = {"Index set, new": _seconds_of(CALLS, lambda number: index.__setitem__(number, VALUE))}
        found["Index set"] = _seconds_of(CALLS, lambda number: index.__setitem__(number, VALUE))
        found["Index get"] = _seconds_of(CALLS, lambda number: index[number])
        found["Index.items, an item"] = _seconds_of(1, lambda _: list(index.items())) / CALLS
        found["Index.popitem"] = _seconds_of(CALLS, lambda _: index.popitem())
        found["Index.update, an item"] = _seconds_of(1, lambda _: index.update(dict.fromkeys(range(CALLS), 1))) / CALLS
        index.cache.close()
    return found


def _fanout(package: Any) -> dict[str, float]:
    with _directory() as place:
        cache = package.FanoutCache(place)
        found = {"FanoutCache.set": _seconds_of(CALLS, lambda number: cache.set(number, VALUE))}
        found["FanoutCache.get"] = _seconds_of(CALLS, cache.get)
        cache.close()
    return found


def _mix(name: str, place: str, seed: int, start: Any, ends: Any, given_up: Any) -> None:
    """One set of ten calls, nine gets: as caches are used."""
    cache = CONTENDERS[name].FanoutCache(place)
    cache.set(seed, VALUE, retry=True)
    start.wait()
    lost = 0
    for number in range(CALLS):
        key = (number * 7 + seed * 13) % 200
        if number % 10 == 0:
            lost += not cache.set(key, VALUE)
        else:
            cache.get(key)
    ends[seed] = time.monotonic()
    with given_up.get_lock():
        given_up.value += lost


def _four(name: str) -> dict[str, float]:
    with _directory() as place:
        CONTENDERS[name].FanoutCache(place).close()
        spawn = multiprocessing.get_context("spawn")
        start, given_up, ends = spawn.Barrier(PROCESSES + 1), spawn.Value("i", 0), spawn.Array("d", PROCESSES)
        shared = start, ends, given_up
        crew = [spawn.Process(target=_mix, args=(name, place, seed, *shared)) for seed in range(PROCESSES)]
        for process in crew:
            process.start()
        start.wait()
        begin = time.monotonic()
        for process in crew:
            process.join()
        seconds = max(ends[number] for number in range(PROCESSES)) - begin
        mixed = f"FanoutCache, {PROCESSES} processes"
        return {
            f"{mixed}, get and set": seconds / (PROCESSES * CALLS),
            f"{mixed}: sets that gave up": given_up.value / 1e6,
        }


def measured(rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds by row and contender."""
    found: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds):
        for name, package in CONTENDERS.items() if number % 2 else reversed(CONTENDERS.items()):
            for part in (_deque(package), _index(package), _fanout(package), _four(name)):
                for row, seconds in part.items():
                    found.setdefault(row, {}).setdefault(name, []).append(seconds * 1e6)
        say(f"round {number + 1} of {rounds}")
    return {row: {name: statistics.median(times) for name, times in of.items()} for row, of in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--save", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    rows = measured(arguments.rounds)
    for row, times in rows.items():
        print(f"{row:45} " + "  ".join(f"{name} {time:8.1f}" for name, time in times.items()))
    if arguments.save:
        RESULTS.write_text(
            json.dumps({"machine": described(tempfile.gettempdir()), "microseconds": rows}, indent=1) + "\n", "utf-8"
        )


if __name__ == "__main__":
    main()
