"""How soon after a set a process that waits for the key has the value, and how much processor time waiting takes.

``python benchmarks/waking.py`` writes results/waking.json. The time begins before the set, so it includes the set.
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
WAITER = HERE / "scripts" / "waiter.py"
WAKES = 300
PICKLESHARE_WAKES = 10  # one of its waits lasts from 0.2 s to a second
IDLE = 10.0


def measure(kind: str, url: str, count: int) -> dict[str, Any]:
    """Wake a process ``count`` times, at irregular instants."""
    with tempfile.TemporaryDirectory(prefix="coshelf-bench-", dir=HERE) as place:
        target = url.format(place)
        chance = random.Random(0)
        writer = coshelf.open(target if kind == "coshelf" else f"files:{target}")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, str(WAITER), kind, target, str(count), str(IDLE)]
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
