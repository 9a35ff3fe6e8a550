"""Writers of the bank that are killed and replaced, with readers beside them, and an audit after each death.

Run by a worker: ``storm.main(path, Storm(...))`` says how many died at which failpoint.
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import failpoint_names
from children import end, fork, has_ended, kill

import coshelf
from bank import WRITERS, Auditor, Writer, refuse_equal_versions

__all__ = ["Storm", "main"]

_NAMES = WRITERS[:3]
_LONGEST_CALM = 0.03  # seconds until the next kill


@dataclass(frozen=True, slots=True)
class Storm:
    """``deaths``: after how many it ends. ``points``: names of failpoints, all of them if none is given."""

    seed: int
    deaths: int
    durability: str
    flush_interval: float
    points: Sequence[str] = ()

    def open(self, path: str, flag: Any = "c") -> coshelf.Shelf[Any, Any]:
        return coshelf.open(
            path, flag, durability=self.durability, flush_interval=self.flush_interval, timeout=60
        )  # fmt: skip


def main(path: str, storm: Storm) -> None:
    print(json.dumps(_Storm(path, storm).rage()), flush=True)


class _Storm:
    def __init__(self, path: str, storm: Storm) -> None:
        self._path = path
        self._storm = storm
        self._chance = random.Random(storm.seed)
        self._points = storm.points or failpoint_names.names()
        self._writers: dict[str, int] = {}
        self._armed: dict[str, str] = {}  # writers that are to die at a failpoint
        self._died_at: Counter[str] = Counter()

    def rage(self) -> dict[str, Any]:
        with self._storm.open(self._path):
            pass
        reader = self._start_reader()
        for name in _NAMES:
            self._start_writer(name)
        deaths = 0
        while deaths < self._storm.deaths:
            dead = self._wait_for_death()
            if self._chance.random() < 0.15:  # kill all: the next process that opens finds what they left
                for name in [name for name in _NAMES if name not in dead]:
                    kill(self._writers[name])
                    dead.append(name)
                kill(reader)
                end(fork(self._audit))
                reader = self._start_reader()
            else:
                end(fork(self._audit))
            deaths += len(dead)
            if self._chance.random() < 0.1:
                refuse_equal_versions(self._path)
            for name in dead:
                self._start_writer(name)
            code = has_ended(reader)
            assert code is None, f"the reader ended with {code}"
        for pid in (reader, *self._writers.values()):
            kill(pid)
        end(fork(self._audit))
        with self._storm.open(self._path):
            pass
        return {"commits": refuse_equal_versions(self._path), "died at": self._died_at}

    def _start_writer(self, name: str) -> None:
        steps = ""
        self._armed.pop(name, None)
        if self._chance.random() < 0.6:
            point = self._armed[name] = self._chance.choice(self._points)
            steps = f"{point}=kill@{self._chance.choice((1, 1, 2, 3, 7))}"
        self._writers[name] = fork(lambda: self._write(name, steps))

    def _write(self, name: str, steps: str) -> None:
        if steps:
            failpoint_names.arm(steps)
        while True:
            with self._storm.open(self._path) as shelf:
                Writer(shelf, self._path, name).take_turns(40)

    def _start_reader(self) -> int:
        return fork(self._read_on)

    def _read_on(self) -> None:
        with self._storm.open(self._path, self._chance.choice("rc")) as shelf:
            auditor = Auditor(shelf, self._path, self._chance)
            while True:
                auditor.audit()

    def _audit(self) -> None:
        with self._storm.open(self._path, self._chance.choice("rc")) as shelf:
            auditor = Auditor(shelf, self._path, self._chance)
            auditor.audit()
            auditor.audit()

    def _wait_for_death(self) -> list[str]:
        """Until a writer has died at its failpoint, or, when it has been calm for too long, kill one."""
        calm = time.monotonic() + self._chance.random() * _LONGEST_CALM
        while time.monotonic() < calm:
            dead = []
            for name, pid in self._writers.items():
                code = has_ended(pid)
                if code is not None:
                    assert code == -signal.SIGKILL and name in self._armed, f"a writer ended with {code}"
                    self._died_at[self._armed[name]] += 1
                    dead.append(name)
            if dead:
                return dead
            time.sleep(0.0005)
        victim = self._chance.choice(_NAMES)
        kill(self._writers[victim])
        return [victim]
