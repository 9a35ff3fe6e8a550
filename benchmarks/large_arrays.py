"""How long it takes to open, share and write large arrays, and to go through a thousand of them.

``python benchmarks/large_arrays.py`` writes results/arrays.json. The stores take turns, in another order each round.
The figures are medians of the rounds. The files are on a disk, and in the page cache when they are read.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import operator
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from array_stores import STORES, Array, ArrayStore, is_here, made
from crew import turned
from machine import described

__all__ = ["main"]

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "arrays.json"
MIB = 1 << 20
PROCESSES = 4

READERS = (
    "coshelf",
    'numpy.load(mmap_mode="r")',
    'joblib, mmap_mode="r"',
    "coshelf, get(copy=True)",
    "numpy.save, numpy.load",
    "diskcache",
)
WRITERS = (
    "numpy.save, numpy.load",
    "coshelf",
    "coshelf, without zlib-ng",
    "numpy.save, fsync of file and directory",
    'coshelf, durability="commit"',
    'coshelf, durability="commit", without zlib-ng',
)
PEERS = {
    "coshelf": WRITERS[0],
    "coshelf, without zlib-ng": WRITERS[0],
    'coshelf, durability="commit"': WRITERS[3],
    'coshelf, durability="commit", without zlib-ng': WRITERS[3],
}
"""The numpy way with the same durability, to which the speed is relative."""
PASSES = (
    "coshelf",
    "coshelf, update()",
    'coshelf, durability="commit"',
    "coshelf, in the record (protocol=4)",
    "coshelf, in the record, update()",
    "numpy.save, numpy.load",
    "numpy.save, fsync of file and directory",
    "joblib",
    "diskcache",
)


@contextlib.contextmanager
def places(names: list[str], place: str) -> Iterator[dict[str, ArrayStore]]:
    """A store of each name, in a directory that is removed at the end."""
    directory = tempfile.mkdtemp(prefix="coshelf-bench-", dir=place)
    stores = {name: made(name, os.path.join(directory, str(number))) for number, name in enumerate(names)}
    try:
        yield stores
    finally:
        for store in stores.values():
            store.close()
        shutil.rmtree(directory)


def here(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if is_here(name)]


def timed(function: Callable[[], object]) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def array_of(size: int, seed: int = 0) -> Array:
    """An array of so many bytes. Its numbers are random, so they hardly compress."""
    found: Array = np.random.default_rng(seed).random(size // 8)
    return found


def summary(took: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    return {name: {what: statistics.median(times) for what, times in of.items()} for name, of in took.items()}


def opening(size: int, rounds: int, place: str) -> dict[str, Any]:
    """Seconds until a read returns the array, and until all of it is touched."""
    took: dict[str, dict[str, list[float]]] = {}
    array = array_of(size)
    names = here(READERS)
    with places(names, place) as stores:
        for store in stores.values():
            store.write("a", array)
            store.settle(["a"])
        total = float(array.sum())
        del array
        for turn in range(rounds + 1):
            for name in turned(names, turn):
                store, mine = stores[name], took.setdefault(name, {"open": [], "open and touch": []})
                times = [timed(lambda store=store: store.read("a")) for _ in range(_often(name))]  # type: ignore[misc]
                begun = time.perf_counter()
                found = store.read("a")
                assert float(found.sum()) == total
                touched = time.perf_counter() - begun
                del found
                if turn:  # the first round warms up
                    mine["open"] += times
                    mine["open and touch"].append(touched)
        fresh: list[float] = []
        joining: list[float] = []
        shelf = stores["coshelf"]
        for times, others in ((joining, True), (fresh, False)):
            if not others:
                shelf.close()
            for _ in range(10 * rounds):
                again = STORES["coshelf"](shelf.directory)
                times.append(timed(lambda again=again: (again.open(), again.read("a"))))  # type: ignore[misc]
                again.close()
        shelf.open()
    return {
        "bytes": size,
        "rounds": rounds,
        "took": summary(took),
        "with open(), others have it open": statistics.median(joining),
        "with open()": statistics.median(fresh),
    }


def _often(name: str) -> int:
    return 50 if name == "coshelf" or "mmap" in name else 1


def sharing(size: int, place: str) -> dict[str, Any]:
    """Bytes of memory of several processes when each has touched the whole array. Shared pages count once."""
    array = array_of(size)
    found = {}
    for name in here(READERS):
        with places([name], place) as stores:
            store = stores[name]
            store.write("a", array)
            store.settle(["a"])
            if name != "coshelf":
                store.close()
            command = [sys.executable, str(HERE / "array_holder.py"), name, store.directory, "a"]
            holders = [
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                for _ in range(PROCESSES)
            ]
            for holder in holders:
                _line(holder)
            before = sum(map(_proportional, holders))
            begun = time.perf_counter()
            for holder in holders:
                _step(holder)
            for holder in holders:
                _line(holder)
            took = time.perf_counter() - begun
            after = sum(map(_proportional, holders))
            for holder in holders:
                holder.communicate()
            if name != "coshelf":
                store.open()
        found[name] = {"before": before, "after": after, "arrays": (after - before) / size, "seconds": took}
    return {"bytes": size, "processes": PROCESSES, "used": found}


def _line(holder: subprocess.Popen[str]) -> str:
    assert holder.stdout is not None
    line = holder.stdout.readline()
    if not line:
        raise RuntimeError(f"{holder.args!r} ended with {holder.wait()}")
    return line


def _step(holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    holder.stdin.write("\n")
    holder.stdin.flush()


def _proportional(holder: subprocess.Popen[str]) -> int:
    """The proportional set size of a process, in bytes: a page that N processes share counts as 1/N."""
    for line in Path(f"/proc/{holder.pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no proportional set size of process {holder.pid}")


def writing(size: int, rounds: int, place: str) -> dict[str, Any]:
    """Seconds of writing an array under a new name: until the call returns, and until the array is durable."""
    array = array_of(size)
    took: dict[str, dict[str, list[float]]] = {}
    names = here(WRITERS)
    with places(names, place) as stores:
        for turn in range(rounds + 1):
            for name in turned(names, turn):
                store, key = stores[name], f"a{turn}"
                os.sync()
                begun = time.perf_counter()
                store.write(key, array)
                returned = time.perf_counter() - begun
                store.settle([key])
                durable = time.perf_counter() - begun
                if turn:  # the first round warms up
                    mine = took.setdefault(name, {"returned": [], "durable": []})
                    mine["returned"].append(returned)
                    mine["durable"].append(durable)
                store.remove(key)
                if store.store is not None:
                    store.settle([])
    # Ratios within a round: the load of disk and machine differs more between rounds than the stores do.
    speed = {
        name: {what: statistics.median(map(operator.truediv, took[peer][what], of[what])) for what in of}
        for name, of in took.items()
        if (peer := PEERS.get(name)) is not None
    }
    return {"bytes": size, "rounds": rounds, "took": summary(took), "speed": speed}


def passes(count: int, size: int, rounds: int, place: str) -> dict[str, Any]:
    """Seconds of a pass over so many arrays: writing, until durable, reading, and reading with a sum of each."""
    arrays = {f"a{number:04d}": array_of(size, number) for number in range(count)}
    took: dict[str, dict[str, list[float]]] = {}
    names = here(PASSES)
    for turn in range(rounds):
        for name in turned(names, turn):
            mine = took.setdefault(name, {what: [] for what in ("write", "durable", "read", "sum")})
            os.sync()
            with places([name], place) as stores:
                store = stores[name]
                begun = time.perf_counter()
                store.write_all(arrays)
                mine["write"].append(time.perf_counter() - begun)
                store.settle(list(arrays))
                mine["durable"].append(time.perf_counter() - begun)
                begun = time.perf_counter()
                for key, array in arrays.items():
                    assert store.read(key)[-1] == array[-1]
                mine["read"].append(time.perf_counter() - begun)
                begun = time.perf_counter()
                for key in arrays:
                    store.read(key).sum()
                mine["sum"].append(time.perf_counter() - begun)
            gc.collect()
    return {"count": count, "bytes": size, "rounds": rounds, "took": summary(took)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=800_000_000, help="bytes of the largest array")
    parser.add_argument("--count", type=int, default=1000, help="how many arrays a pass has")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--place", default=str(HERE), help="a directory on the disk to be measured")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--only", nargs="*", default=["opening", "sharing", "writing", "passes"])
    given = parser.parse_args()
    results: dict[str, Any] = {"machine": described(given.place)}
    sizes = [size for size in (MIB, 16 * MIB, 100_000_000) if size < given.largest] + [given.largest]
    if "opening" in given.only:
        results["opening"] = opening(given.largest, given.rounds, given.place)
    if "sharing" in given.only:
        results["sharing"] = sharing(given.largest, given.place)
    if "writing" in given.only:
        # Small arrays are measured more often: other work of the disk is a larger part of their time.
        rounds = {MIB: 12 * given.rounds, 16 * MIB: 6 * given.rounds, 100_000_000: 2 * given.rounds}
        results["writing"] = [writing(size, rounds.get(size, given.rounds), given.place) for size in sizes]
    if "passes" in given.only:
        results["passes"] = passes(given.count, MIB, min(given.rounds, 3), given.place)
    given.results.parent.mkdir(exist_ok=True)
    given.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"written to {given.results}", file=sys.stderr)


if __name__ == "__main__":
    main()
