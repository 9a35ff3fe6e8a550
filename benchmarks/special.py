"""Measurements that need a script of their own: many processes, threads, held snapshots, memory, growth."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["measure"]

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE / "scripts"
SITE = next((path for path in sys.path if path.endswith("site-packages")), "")


def _run(script: str, name: str, directory: str, *arguments: object, python: str = "") -> Any:
    """Run one of the scripts in a process of its own, and return the result that it prints."""
    place = os.path.join(directory, "data")
    os.makedirs(place, exist_ok=True)
    paths = [str(HERE), str(HERE.parent / "src"), *([] if python else [SITE])]
    ran = subprocess.run(
        [python or sys.executable, str(SCRIPTS / script), name, place, *map(str, arguments)],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, check=False,
    )  # fmt: skip
    if ran.returncode:
        return {"failed": ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else str(ran.returncode)}
    return json.loads(ran.stdout.strip().splitlines()[-1])


def measure(
    place: str, growth: int, seconds: float, others: dict[str, str], say: Callable[[str], None]
) -> dict[str, Any]:
    """All measurements. The largest store has ``growth`` keys. The snapshot is held for ``seconds``."""

    def run(script: str, name: str, *arguments: object, again: str | None = None) -> Any:
        directory = again or tempfile.mkdtemp(prefix="coshelf-bench-", dir=place)
        try:
            return _run(script, name, directory, *arguments, python=others.get(name, ""))
        finally:
            if again is None:
                shutil.rmtree(directory)

    found: dict[str, Any] = {"crowd": {}, "growth": {}, "memory": {}}
    for name in ("coshelf", "diskcache", "sqlitedict", "shelve on sqlite3", "pickleshare"):
        found["crowd"][name] = run("crowd.py", name)
    say("  eight processes: done")
    found["held"] = run("held.py", "coshelf", seconds)
    say("  held iterator and snapshot: done")
    found["threads"] = run("threads.py", "coshelf")
    kept = tempfile.mkdtemp(prefix="coshelf-bench-", dir=place)
    try:
        for what in ("update", "scan"):
            found["memory"][what] = run("memory.py", "coshelf", what, again=kept)
        found["opening"] = run("opening.py", "coshelf", again=kept)
    finally:
        shutil.rmtree(kept)
    found["memory"]["load by sets"] = run("memory.py", "coshelf", "load by sets")
    found["bare"] = statistics.median(_bare() for _ in range(9))
    found["imported"] = statistics.median(_bare("import coshelf") for _ in range(9))
    say("  threads, memory, opening: done")
    for name in ("coshelf", "shelve on gdbm", "rocksdict"):
        count = 10_000
        while count <= growth:
            found["growth"].setdefault(name, {})[str(count)] = run("growth.py", name, count)
            say(f"  growth: {name}, {count:,} keys")
            count *= 10
    return found


def _bare(code: str = "pass") -> float:
    """Seconds from the start to the end of an interpreter that runs the code."""
    import time

    begun = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent / "src"), SITE])}
    subprocess.run([sys.executable, "-S", "-c", code], env=environment, check=True)
    return time.perf_counter() - begun
