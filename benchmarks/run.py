"""Measures all contenders in turns, and writes the figures to one JSON file. ``report.py`` makes a page of them."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import special
from contenders import CONTENDERS
from data import KINDS

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "latest.json"
WORKLOADS = ("set", "get", "batch", "items", "keys", "count", "reopen")
ORDERED = ("coshelf", "coshelf, durability=commit", "rocksdict")
SIZES = (100_000, 1_000_000, 10_000)  # the last is for pickleshare, which is too slow with more


class Crew:
    """The workers of one size and kind of value."""

    def __init__(self, names: list[str], place: str, count: int, kind: str, others: dict[str, str]) -> None:
        self.workers: dict[str, subprocess.Popen[str]] = {}
        self.missing: dict[str, str] = {}
        self._arguments: dict[str, list[str]] = {}
        for name in names:
            directory = tempfile.mkdtemp(dir=place)
            python = others.get(name, sys.executable)
            self._arguments[name] = [python, str(HERE / "worker.py"), name, directory, str(count), kind]
            worker = self._start(name)
            line = worker.stdout.readline() if worker.stdout else ""
            if line:
                self.workers[name] = worker
            else:
                worker.wait()
                self.missing[name] = "not installed here"

    def _start(self, name: str) -> subprocess.Popen[str]:
        source = str(HERE.parent / "src")
        site = next(path for path in sys.path if path.endswith("site-packages"))
        environment = {**os.environ, "PYTHONPATH": source}
        if self._arguments[name][0] != sys.executable:
            environment["PYTHONPATH"] = source
        else:
            environment["PYTHONPATH"] = os.pathsep.join([source, site])
        return subprocess.Popen(
            self._arguments[name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environment,
        )  # fmt: skip

    def ask(self, name: str, what: str, turn: int = 0) -> Any:
        return _ask(self.workers[name], what, turn)

    def confirm(self, name: str, turn: int) -> str:
        """Whether a second process sees every entry that was set in a turn."""
        shared = CONTENDERS[name].shared
        if not shared:
            self.ask(name, "close")
        second = self._start(name)
        assert second.stdout is not None
        second.stdout.readline()
        expected, found = _ask(second, "sets", turn), _ask(second, "check", turn)
        _end(second)
        if not shared:
            self.ask(name, "open")
        return "yes" if found == expected else f"{found} of {expected}"

    def end(self) -> None:
        for worker in self.workers.values():
            _end(worker)


def _ask(worker: subprocess.Popen[str], what: str, turn: int) -> Any:
    assert worker.stdin is not None and worker.stdout is not None
    worker.stdin.write(json.dumps([what, turn]) + "\n")
    worker.stdin.flush()
    line = worker.stdout.readline()
    if not line:
        raise RuntimeError(f"{worker.args!r} ended with {worker.wait()} at {what}")
    return json.loads(line)


def _end(worker: subprocess.Popen[str]) -> None:
    worker.communicate()


def measure(count: int, kind: str, given: argparse.Namespace, others: dict[str, str]) -> dict[str, Any]:
    """One table: medians and quartiles in microseconds an operation, for each contender and workload."""
    names = [name for name in given.contenders if CONTENDERS[name].largest >= count and not _is_left_out(name, count)]
    place = tempfile.mkdtemp(prefix="coshelf-bench-", dir=given.place)
    took: dict[str, dict[str, list[float]]] = {}
    crew = Crew(names, place, count, kind, others)
    visible: dict[str, str] = {}
    try:
        for name in crew.workers:
            crew.ask(name, "load")
        for turn in range(given.rounds):
            for what in (*WORKLOADS, "prefix", "transaction"):
                for name in _turned(list(crew.workers), turn):
                    if (what == "prefix" and name not in ORDERED) or (what == "transaction" and name != "coshelf"):
                        continue
                    seconds, operations = crew.ask(name, what, turn)
                    took.setdefault(name, {}).setdefault(what, []).append(seconds / operations * 1e6)
                    if what == "set" and turn == 0:
                        visible[name] = "" if name == "pickle alone" else crew.confirm(name, turn)
            _say(f"  {count:,} keys, {kind}: round {turn + 1} of {given.rounds}")
        late = {name: crew.ask(name, "latencies", 99) for name in crew.workers}
        crew.end()
    finally:
        shutil.rmtree(place)
    return {
        "keys": count,
        "kind": kind,
        "rounds": given.rounds,
        "took": {name: {what: _summary(all_) for what, all_ in of.items()} for name, of in took.items()},
        "latencies": late,
        "visible": visible,
        "missing": crew.missing,
    }


def _is_left_out(name: str, count: int) -> bool:
    return name == "coshelf, durability=commit" and count > SIZES[0]


def _turned(names: list[str], turn: int) -> list[str]:
    """Another order each round: the first contender of a round runs on a colder machine."""
    at = turn % len(names)
    return names[at:] + names[:at]


def _summary(values: list[float]) -> dict[str, float]:
    if len(values) < 2:
        return {"median": values[0], "low": values[0], "high": values[0]}
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "low": low, "high": high}


def _machine(place: str) -> dict[str, str]:
    file_system = subprocess.run(["stat", "-f", "-c", "%T", place], capture_output=True, text=True, check=False)
    return {
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "file system": file_system.stdout.strip(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--kinds", nargs="*", default=KINDS)
    parser.add_argument("--contenders", nargs="*", default=list(CONTENDERS))
    parser.add_argument("--place", default=str(HERE), help="a directory on the disk to be measured")
    parser.add_argument("--sqlite-python", default="", help="a Python that has dbm.sqlite3 (3.13), for that row")
    parser.add_argument("--growth", type=int, default=1_000_000, help="the largest size of the growth plot")
    parser.add_argument("--skip-special", action="store_true", help="measure the tables only")
    parser.add_argument("--seconds", type=float, default=60, help="how long the iterator and the snapshot are held")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    others = {"shelve on sqlite3": given.sqlite_python} if given.sqlite_python else {}
    results: dict[str, Any] = {"machine": _machine(given.place), "tables": []}
    for kind in given.kinds:
        for count in given.sizes:
            if kind == KINDS[1] and count > SIZES[0]:
                continue  # each store would have a gigabyte
            results["tables"].append(measure(count, kind, given, others))
    if not given.skip_special:
        results["special"] = special.measure(given.place, given.growth, given.seconds, others, _say)
    given.results.parent.mkdir(exist_ok=True)
    given.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    _say(f"written to {given.results}")


if __name__ == "__main__":
    main()
