"""Compares the changes that a watcher was told with what writers have noted, and with the shelf itself."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coshelf
from coshelf.contract import Change, Changes, Engine, OpenOptions
from coshelf.engines import open_engine
from coshelf.keys import FIRST, LAST, decode, encode
from starting import environment

ALL = ((FIRST, LAST),)
PATIENCE = 120.0
WRITER = Path(__file__).parent / "scripts" / "lmdb_writer.py"


@contextlib.contextmanager
def opened(path: Path, **options: Any) -> Iterator[Engine]:
    engine = open_engine(str(path), OpenOptions(**options))
    try:
        yield engine
    finally:
        engine.close()


class Writer:
    """A process that writes, and its journal."""

    def __init__(self, shelf: Path, name: str, seed: int, steps: int, **variables: str) -> None:
        self.name = name
        self.journal = shelf.with_name(f"{name}.journal")
        arguments = [str(shelf), str(self.journal), name, str(seed), str(steps)]
        self._process = subprocess.Popen(
            [sys.executable, str(WRITER), *arguments],
            env={**environment(), **variables},
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill_after(self, lines: int) -> None:
        """Kill it when its journal has so many lines, if it has not ended by then."""
        end = time.monotonic() + PATIENCE
        while self._process.poll() is None and self._lines() < lines:
            assert time.monotonic() < end, "the writer does not go on"
            time.sleep(0.001)
        self._process.kill()

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def _lines(self) -> int:
        return self.journal.read_bytes().count(b"\n") if self.journal.exists() else 0

    def end(self) -> int:
        """Wait for its end. Return its status, which has to be 0 or that of a kill."""
        errors = self._process.communicate(timeout=PATIENCE)[1]
        assert self._process.returncode in (0, -signal.SIGKILL), errors
        return self._process.returncode

    def steps(self, what: str) -> dict[int, tuple[list[str], list[str]]]:
        """What was begun, or done: for each step the keys that it stores, and those that it deletes."""
        if not self.journal.exists():
            return {}
        lines = [json.loads(line) for line in self.journal.read_text().splitlines()]
        return {step: (puts, deletes) for kind, step, puts, deletes in lines if kind == what}


def fenced(engine: Engine, reader: Changes) -> list[Change]:
    """The changes up to now. A fence is stored for that, and left out."""
    from coshelf.contract import Batch

    fence = encode(f"~fence {time.time_ns()} {os.getpid()}")
    engine.commit(Batch(puts={fence: pickle.dumps(0)}))
    found: list[Change] = []
    end = time.monotonic() + PATIENCE
    while not any(change.key == fence for change in found):
        assert time.monotonic() < end, "the fence was not told"
        found += reader.read(1.0)
    return [change for change in found if not change.key.startswith(encode("~fence"))]


def commits_of(changes: list[Change]) -> list[list[Change]]:
    """The changes, one list a commit. Positions grow."""
    commits: list[list[Change]] = []
    for change in changes:
        if commits and commits[-1][0].position == change.position:
            commits[-1].append(change)
        else:
            assert not commits or commits[-1][0].position < change.position, "a commit came out of order, or again"
            commits.append([change])
    return commits


def refute(changes: list[Change], writers: list[Writer], shelf: Path, before: dict[str, Any]) -> None:
    """Raise AssertionError unless the changes are the commits of the writers: all, in order, once and whole.

    ``before`` is what the shelf had at the beginning. What a writer had begun when it was killed may be there or not.
    """
    assert all(change.kind in ("set", "deleted") for change in changes), {change.kind for change in changes}
    told: dict[str, list[int]] = {writer.name: [] for writer in writers}
    model = dict(before)
    by_name = {writer.name: (writer.steps("begun"), writer.steps("done")) for writer in writers}
    for commit in commits_of(changes):
        puts, deletes = {}, set()
        for change in commit:
            key = decode(change.key)
            assert key not in puts and key not in deletes, "one commit told a key twice"
            if change.kind == "set":
                assert change.record is not None
                puts[key] = pickle.loads(change.record)
            else:
                deletes.add(key)
        model.update(puts)
        for key in deletes:
            model.pop(key, None)
        if not puts:
            name = next(iter(deletes)).split("/")[0]
            step = next(
                step for step, (_, gone) in by_name[name][0].items() if set(gone) == deletes and step not in told[name]
                and step > max(told[name], default=0)
            )  # fmt: skip
            told[name].append(step)
            continue
        (name, step, _), *others = set(puts.values())
        assert not others and not deletes, "the changes of several commits came as one"
        assert sorted(puts) == by_name[name][0][step][0], f"step {step} of {name} is torn"
        told[name].append(step)
    for name, steps in told.items():
        begun, done = by_name[name]
        expected = [step for step, (puts, deletes) in begun.items() if puts or deletes]
        certain = [step for step in expected if step in done]
        assert steps == sorted(set(steps)), f"{name}: steps came out of order, or again"
        assert not set(certain) - set(steps), f"{name}: lost {sorted(set(certain) - set(steps))[:5]} of {len(certain)}"
        assert not set(steps) - set(expected)
    with coshelf.open(shelf, "r") as found:
        now = {key: value for key, value in found.items() if not key.startswith("~fence")}
    assert model == now
