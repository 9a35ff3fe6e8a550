"""Contenders that take turns: each in a process of its own, in another order each round."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contenders import CONTENDERS, OURS, WORKLOADS

__all__ = ["Crew", "Setting", "environment_of", "measure", "say", "summary", "turned"]

HERE = Path(__file__).resolve().parent
SITE = next((path for path in sys.path if path.endswith("site-packages")), "")


@dataclass(frozen=True)
class Setting:
    """Where and how contenders are measured.

    Args:
        place: a directory on the disk to be measured.
        others: the interpreters of those contenders that need another one.
        before: the ``src`` of an earlier coshelf; empty if there is none.
        clock: "wall", or "processor" for the processor time of a contender's process. On a busy machine only ratios
            of processor times mean something, but they leave out all waiting.
    """

    place: str
    others: Mapping[str, str]
    before: str = ""
    clock: str = "wall"


class Failed(Exception):
    """A contender cannot do a workload."""


class Crew:
    """The workers of one size and kind of value.

    Args:
        names: the contenders.
        setting: where and how; the place is for their stores.
        count: the number of keys.
        kind: the kind of value, of ``data.KINDS``.

    Attributes:
        workers: the processes, by contender.
        missing: why a contender has none.
    """

    def __init__(self, names: Sequence[str], setting: Setting, count: int, kind: str) -> None:
        self.workers: dict[str, subprocess.Popen[str]] = {}
        self.missing: dict[str, str] = {}
        self._before = setting.before
        self._commands: dict[str, list[str]] = {}
        for name in names:
            directory = tempfile.mkdtemp(dir=setting.place)
            python = setting.others.get(name, sys.executable)
            worker_of = [name, directory, str(count), kind, setting.clock]
            self._commands[name] = [python, str(HERE / "worker.py"), *worker_of]
            worker = self._start(name)
            if worker.stdout and worker.stdout.readline():
                self.workers[name] = worker
            else:
                worker.wait()
                self.missing[name] = "not installed here"

    def ask(self, name: str, what: str, turn: int = 0) -> Any:
        """What the worker of a contender replies. A `Failed` if it cannot do that."""
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
        second.communicate()
        if not shared:
            self.ask(name, "open")
        return "yes" if found == expected else f"{found} of {expected}"

    def end(self) -> None:
        for worker in self.workers.values():
            with contextlib.suppress(BrokenPipeError):  # it has ended before
                worker.communicate()

    def _start(self, name: str) -> subprocess.Popen[str]:
        command = self._commands[name]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environment_of(name, foreign=command[0] != sys.executable, before=self._before),
        )  # fmt: skip


def environment_of(name: str, *, foreign: bool = False, before: str = "") -> dict[str, str]:
    """The environment of a contender's process. A foreign interpreter has packages of its own."""
    source = before if name == "coshelf, before" else str(HERE.parent / "src")
    paths = [str(HERE), source, *([] if foreign else [SITE])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **CONTENDERS[name].environment}


def _ask(worker: subprocess.Popen[str], what: str, turn: int) -> Any:
    assert worker.stdin is not None and worker.stdout is not None
    try:
        print(json.dumps([what, turn]), file=worker.stdin, flush=True)
    except BrokenPipeError:
        raise Failed(f"its process ended with {worker.wait()}") from None
    line = worker.stdout.readline()
    if not line:
        raise Failed(f"its process ended with {worker.wait()}")
    reply = json.loads(line)
    if isinstance(reply, dict) and "failed" in reply:
        raise Failed(reply["failed"])
    return reply


def measure(names: Sequence[str], setting: Setting, count: int, kind: str, rounds: int) -> dict[str, Any]:
    """One table: medians and quartiles in microseconds an operation, for each contender and workload."""
    names = [name for name in names if CONTENDERS[name].largest >= count]
    place = tempfile.mkdtemp(prefix="coshelf-bench-", dir=setting.place)
    crew = Crew(names, replace(setting, place=place), count, kind)
    notes = _Notes(crew)
    try:
        for name in crew.workers:
            notes.attempt(name, "load", 0)
        for turn in range(rounds):
            for what in WORKLOADS:
                for name in turned(list(crew.workers), turn):
                    if what in CONTENDERS[name].works:
                        notes.attempt(name, what, turn)
            say(f"  {count:,} keys, {kind}: round {turn + 1} of {rounds}")
    finally:
        crew.end()
        shutil.rmtree(place)
    return {"keys": count, "kind": kind, "rounds": rounds, **notes.figures()}


class _Notes:
    """What the workers of a crew have replied."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._took: dict[str, dict[str, list[float]]] = {}
        self._late: dict[str, list[dict[str, float]]] = {}
        self._failed: dict[str, dict[str, str]] = {}
        self._visible: dict[str, str] = {}

    def attempt(self, name: str, what: str, turn: int) -> None:
        """Let a contender do a workload. The run goes on without a peer that fails, but not without ours."""
        failed = self._failed.get(name, {})
        if what in failed or "load" in failed:
            return
        try:
            self._note(name, what, turn, self._crew.ask(name, what, turn))
        except Failed as error:
            if name in OURS:
                raise
            self._failed.setdefault(name, {})[what] = str(error)

    def _note(self, name: str, what: str, turn: int, reply: Any) -> None:
        if what == "latencies":
            self._late.setdefault(name, []).append(reply)
        elif what != "load":
            seconds, operations = reply
            self._took.setdefault(name, {}).setdefault(what, []).append(seconds / operations * 1e6)
        if what == "set" and turn == 0:
            self._visible[name] = "" if name == "pickle alone" else self._crew.confirm(name, turn)

    def figures(self) -> dict[str, Any]:
        """Medians and quartiles of the rounds; of the quantiles of single sets the medians."""
        late = {
            name: {part: statistics.median(each[part] for each in of) for part in of[0]}
            for name, of in self._late.items()
        }
        return {
            "took": {name: {what: summary(all_) for what, all_ in of.items()} for name, of in self._took.items()},
            "latencies": late,
            "visible": self._visible,
            "missing": self._crew.missing,
            "failed": self._failed,
        }


def turned(names: list[str], turn: int) -> list[str]:
    """Another order each round: the first contender of a round runs on a colder machine."""
    at = turn % len(names)
    return names[at:] + names[:at]


def summary(values: list[float]) -> dict[str, float]:
    """The median and the quartiles."""
    if len(values) < 2:
        return {"median": values[0], "low": values[0], "high": values[0]}
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "low": low, "high": high}


def say(words: str) -> None:
    """Tell on stderr how far the measurement is."""
    print(words, file=sys.stderr, flush=True)
