"""A watcher of the lmdb engine is told all commits, in order, once and whole, whatever becomes of the writers."""

from __future__ import annotations

import random
import re
import threading
from pathlib import Path

import pytest
from lmdb_proof import ALL, Writer, fenced, opened, refute

import coshelf
from coshelf.contract import Change, Engine

SOURCE = Path(coshelf.__file__).parent
OTHERS = ("backup-", "compact-", "blob", "delta-made", "delta-published")
POINTS = sorted(
    name
    for name in {name for file in SOURCE.rglob("*.py") for name in re.findall(r'reach\("([^"]+)"\)', file.read_text())}
    if not name.startswith(OTHERS)
)
LONG = (pytest.mark.long, pytest.mark.timeout(3_600))
MODES = ({"COSHELF_NATIVE": "1"}, {"COSHELF_NATIVE": "0"})


class Watch(threading.Thread):
    """Collects changes until it is told to stop, with pauses, so that flushes overtake it."""

    def __init__(self, engine: Engine, pause: float = 0.0) -> None:
        super().__init__(daemon=True)
        self._engine = engine
        self._reader = engine.changes(ALL, engine.position())
        self._pause = pause
        self._is_over = threading.Event()
        self._errors: list[BaseException] = []
        self.found: list[Change] = []

    def run(self) -> None:
        try:
            while not self._is_over.is_set():
                self.found += self._reader.read(None)
                self._is_over.wait(self._pause)
        except BaseException as error:
            self._errors.append(error)
            raise

    def end(self) -> list[Change]:
        """All changes up to now."""
        self._is_over.set()
        self._reader.wake()
        self.join()
        assert not self._errors
        found = self.found + fenced(self._engine, self._reader)
        self._reader.close()
        return [change for change in found if not change.key.startswith(b"0~fence")]


def campaign(
    path: Path, seed: int, rounds: int, modes: tuple[dict[str, str], ...], kills: tuple[str, ...] = ("",)
) -> int:
    """Let writers write and be killed, round after round, while a thread watches. Return how many changes came."""
    chance = random.Random(seed)
    writers: list[Writer] = []
    coshelf.open(path).close()
    with opened(path, flush_interval=0.02) as engine:
        watch = Watch(engine, pause=chance.choice((0.0, 0.002, 0.1)))
        watch.start()
        for number in range(rounds):
            some = []
            for each in range(2):
                variables = chance.choice(modes)
                point = chance.choice(kills)
                if point:
                    variables = {**variables, "COSHELF_FAILPOINTS": f"{point}=kill@{chance.randrange(1, 6)}"}
                some.append(Writer(path, f"w{number}-{each}", seed, 60 if rounds < 5 else 150, **variables))
            if not any(kills):
                for writer in some:
                    writer.kill_after(chance.randrange(10, 100 if rounds < 5 else 300))
            for writer in some:
                writer.end()
            writers += some
        changes = watch.end()
    refute(changes, writers, path, {})
    return len(changes)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=LONG), pytest.param(3, marks=LONG)])
@pytest.mark.parametrize("mode", MODES, ids=["module", "python"])
def test_writers_that_are_killed_at_random(tmp_path: Path, mode: dict[str, str], seed: int) -> None:
    assert campaign(tmp_path / "w", seed, 2 if seed == 1 else 30, (mode,)) > 10


@pytest.mark.parametrize("seed", [4, pytest.param(5, marks=LONG)])
def test_writers_with_and_without_the_module(tmp_path: Path, seed: int) -> None:
    assert campaign(tmp_path / "w", seed, 2 if seed == 4 else 40, MODES) > 10


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("mode", MODES, ids=["module", "python"])
def test_writers_that_are_killed_at_a_failpoint(tmp_path: Path, mode: dict[str, str], point: str) -> None:
    assert campaign(tmp_path / "w", 6, 5, (mode,), (point,)) >= 1


@pytest.mark.parametrize("mode", MODES, ids=["module", "python"])
def test_writers_that_are_killed_anywhere_in_a_flush(tmp_path: Path, mode: dict[str, str]) -> None:
    assert campaign(tmp_path / "w", 7, 3, (mode,), tuple(POINTS)) >= 1
