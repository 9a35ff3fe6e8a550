"""How soon after a set another process that watches the shelf is told, and what watching costs the writer.

``python benchmarks/watching.py`` writes results/watching.json. Each time begins before the set, so it includes the set.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import coshelf
from coshelf.contract import Engine, OpenOptions
from coshelf.engines import open_engine
from coshelf.keys import FIRST, LAST

__all__ = ["main"]

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "watching.json"
WATCHER = HERE / "scripts" / "watcher.py"
CHANGES = 1_000
ALL = ((FIRST, LAST),)
SETS = 2_000
FLUSHED = 10_000
ROUNDS = 7


def latency(url: str) -> dict[str, float]:
    """From before a set to the return of a read in another process, in microseconds."""
    with tempfile.TemporaryDirectory(prefix="coshelf-bench-", dir=HERE) as place:
        target, chance = url.format(place), random.Random(0)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, str(WATCHER), target, str(CHANGES)]
        with (
            coshelf.open(target) as shelf,
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as watcher,
        ):
            assert watcher.stdout is not None
            watcher.stdout.readline()
            for number in range(CHANGES):
                time.sleep(chance.uniform(0.001, 0.01))
                shelf[str(number % 10)] = time.monotonic_ns()
            took = [nanoseconds / 1_000 for nanoseconds in json.loads(watcher.stdout.readline())]
    return {"median": statistics.median(took), "0.99": statistics.quantiles(took, n=100)[98]}


def cost(*, is_watched: bool) -> tuple[float, float]:
    """Microseconds of a set, and milliseconds of a flush of 10,000 entries, in a shelf of 100,000."""
    with tempfile.TemporaryDirectory(prefix="coshelf-bench-", dir=HERE) as place, ExitStack() as stack:
        path = os.path.join(place, "a.shelf")
        shelf = stack.enter_context(coshelf.open(path, flush_interval=1_000.0))
        keys = [f"key{number:06}" for number in range(100_000)]
        shelf.update(dict.fromkeys(keys, "x" * 100))
        if is_watched:
            engine: Engine = open_engine(path, OpenOptions(flush_interval=1_000.0))
            stack.callback(engine.close)
            reader = stack.enter_context(engine.changes(ALL, engine.position()))
            reader.read(0)
        shelf["first"] = 0
        shelf.sync()
        time.sleep(0.2)

        def timed(count: int) -> float:
            start = time.perf_counter()
            for number in range(count):
                shelf[keys[number * 7 % len(keys)]] = "y" * 80
            return (time.perf_counter() - start) / count * 1e6

        took = min(timed(SETS) for _ in range(3))
        timed(FLUSHED)
        start = time.perf_counter()
        shelf.sync()
        return took, (time.perf_counter() - start) * 1e3


def main() -> None:
    found: dict[str, object] = {"latency, lmdb": latency("{}/a.shelf")}
    pairs = [(cost(is_watched=False), cost(is_watched=True)) for _ in range(ROUNDS)]
    for at, what in enumerate(("set", "flush of 10,000 entries")):
        alone, watched = (statistics.median(pair[which][at] for pair in pairs) for which in (0, 1))
        found[what] = {"alone": alone, "watched": watched, "ratio": watched / alone}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
