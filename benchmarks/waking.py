"""How long after a set a process that waits for the key has the value, and what waiting costs.

``python benchmarks/waking.py`` writes results/waking.json. The time begins before the set, so the set is in it.
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
from pathlib import Path
from typing import Any

import coshelf

__all__ = ["main"]

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "waking.json"
WAKES = 300
PICKLESHARE_WAKES = 10  # its waits last from 0.2 s to a second
IDLE = 10.0

_WAITER = """
import importlib, json, resource, sys, time
kind, target, count, idle = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])

def used():
    found = resource.getrusage(resource.RUSAGE_SELF)
    return found.ru_utime + found.ru_stime

if kind == "coshelf":
    import coshelf
    wait = coshelf.open(target).wait
else:
    wait = importlib.import_module(kind).PickleShareDB(target).waitget
print("ready", flush=True)
took = []
for number in range(count):
    begun = wait(f"box/{number}")
    took.append((time.monotonic_ns() - begun) / 1e9)
before, begun = used(), time.monotonic()
try:
    wait("never", idle)
except (KeyError, TimeoutError):
    pass
print(json.dumps({"took": took, "share of a core": (used() - before) / (time.monotonic() - begun)}))
"""


def measure(kind: str, url: str, count: int) -> dict[str, Any]:
    """Wake a process so many times, at irregular instants."""
    with tempfile.TemporaryDirectory(prefix="coshelf-bench-", dir=HERE) as place:
        target = url.format(place)
        chance = random.Random(0)
        writer = coshelf.open(target if kind == "coshelf" else f"files:{target}")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-c", _WAITER, kind, target, str(count), str(IDLE)]
        with writer, subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as waiter:
            assert waiter.stdout is not None
            waiter.stdout.readline()
            for number in range(count):
                time.sleep(chance.uniform(0.005, 0.025) if count == WAKES else chance.uniform(0.5, 1.5))
                writer[f"box/{number}"] = time.monotonic_ns()
            found = json.loads(waiter.stdout.readline())
    took = found.pop("took")
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    return {"wakes": count, "median": statistics.median(took), "0.99": cuts[98], **found}


def main() -> None:
    results = {
        "coshelf, lmdb": measure("coshelf", "{}/a.shelf", WAKES),
        "coshelf, files": measure("coshelf", "files:{}/a", WAKES),
        "coshelf.pickleshare, waitget": measure("coshelf.pickleshare", "{}/a", WAKES),
    }
    try:
        results["pickleshare, waitget"] = measure("pickleshare", "{}/a", PICKLESHARE_WAKES)
    except json.JSONDecodeError:
        print("pickleshare is not installed", file=sys.stderr)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"written to {RESULTS}", file=sys.stderr)


if __name__ == "__main__":
    main()
