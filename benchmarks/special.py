"""Measurements that need a script of their own: many processes, threads, a held snapshot, memory, imports.

The contenders of each measurement take turns, in every round in another order.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contenders import OURS
from crew import Setting, environment_of, say, turned

__all__ = ["Plan"]

SCRIPTS = Path(__file__).resolve().parent / "scripts"
TWO = ("coshelf", "coshelf, no module")
SHARING = ("diskcache", "diskcache-community", "pysciqlop-cache", "sqlitedict", "shelve on sqlite3", "pickleshare")
COUNTING = ("diskcache", "diskcache-community", "pysciqlop-cache")


@dataclass(frozen=True)
class Plan:
    """What is measured, and how long.

    Args:
        names: the contenders; a measurement leaves out the others.
        setting: where and how. Processes that work together are measured by the wall clock in any case.
        rounds: how often each contender has its turn.
        seconds: how long processes or threads work together.
        held: how many seconds an iterator and a snapshot are held.
        many: the number of entries for the measurement of memory, and ten times that of the held snapshot.
    """

    names: Sequence[str]
    setting: Setting
    rounds: int
    seconds: float
    held: float
    many: int

    def measure(self) -> dict[str, Any]:
        """All measurements: for each contender the figures of its script, medians of the rounds."""
        found: dict[str, Any] = {}
        found["crowd"] = self._in_turns("crowd.py", (*TWO, *SHARING), 4, 4, self.seconds)
        say("  eight processes: done")
        found["one reader"] = self._in_turns("crowd.py", TWO, 1, 0, self.seconds)
        found["four readers"] = self._in_turns("crowd.py", TWO, 4, 0, self.seconds)
        say("  readers: done")
        found["counting"] = self._in_turns("counting.py", (*TWO, *COUNTING), 4, self.seconds)
        say("  four processes count: done")
        found["threads"] = self._in_turns("threads.py", TWO, self.seconds)
        found["gate"] = self._in_turns("stranger.py", TWO)
        say("  threads, gate: done")
        found["held"] = self._run("held.py", TWO[0], self.held, self.many // 10)
        say("  held iterator and snapshot: done")
        found["memory"] = {
            what: {name: self._run("memory.py", name, what, self.many) for name in self._chosen(TWO)}
            for what in ("update", "scan", "load by sets")
        }
        found["many"] = self.many
        found["imports"] = self._imports()
        say("  memory, imports: done")
        return found

    def _chosen(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if name in self.names]

    def _in_turns(self, script: str, names: Sequence[str], *arguments: object) -> dict[str, Any]:
        """The figures of each contender, by its name; a reason if it cannot do that."""
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in self._chosen(names)}
        for turn in range(self.rounds):
            for name in turned(list(found), turn):
                found[name].append(self._run(script, name, *arguments))
        return {name: _medians(of) for name, of in found.items()}

    def _run(self, script: str, name: str, *arguments: object) -> Any:
        """Run one of the scripts in a process and a directory of its own. Return the result that it prints."""
        place = tempfile.mkdtemp(prefix="coshelf-bench-", dir=self.setting.place)
        python = self.setting.others.get(name, sys.executable)
        try:
            ran = subprocess.run(
                [python, str(SCRIPTS / script), name, place, *map(str, arguments)], capture_output=True, text=True,
                env=environment_of(name, foreign=name in self.setting.others, before=self.setting.before), check=False,
            )  # fmt: skip
        finally:
            shutil.rmtree(place)
        if ran.returncode:
            if name in OURS:
                raise RuntimeError(f"{script}, {name}:\n{ran.stderr}")
            return {"failed": ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else str(ran.returncode)}
        return json.loads(ran.stdout.strip().splitlines()[-1])

    def _imports(self) -> dict[str, float]:
        """Seconds from the start to the end of an interpreter that imports coshelf, and of one that imports nothing.

        Each has the bytecode that an installed package has. Without it, most of an import is compiling.
        """
        names = [*TWO, "coshelf, before"] if self.setting.before else TWO
        codes = {"nothing": ("pass", TWO[0]), **{name: ("import coshelf", name) for name in names}}
        took: dict[str, list[float]] = {way: [] for way in codes}
        with tempfile.TemporaryDirectory() as bytecode:
            for code, name in codes.values():
                _started(code, name, bytecode, self.setting.before)
            for turn in range(4 * self.rounds):
                for way in turned(list(codes), turn):
                    took[way].append(_started(*codes[way], bytecode, self.setting.before))
        return {way: statistics.median(each) for way, each in took.items()}


def _medians(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Of numbers the median; of what a round says of its errors, the sum or the first."""
    failed = next((each for each in rounds if "failed" in each), None)
    if failed is not None:
        return failed
    found: dict[str, Any] = {}
    for what, first in rounds[0].items():
        values = [each[what] for each in rounds]
        if isinstance(first, bool):
            found[what] = all(values)
        elif what == "errors":
            found[what] = sum(values)
        elif isinstance(first, str):
            found[what] = next(filter(None, values), "")
        else:
            found[what] = statistics.median(values)
    return found


def _started(code: str, name: str, bytecode: str, before: str = "") -> float:
    environment = {**environment_of(name, before=before), "PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-S", "-c", code], env=environment, check=True)
    return time.perf_counter() - begun
