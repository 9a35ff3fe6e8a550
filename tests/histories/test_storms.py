"""Writers killed at any instant and at every failpoint: what had returned is there, whole, once, and in order.

What the shelf must hold follows from how far each writer got (``bank.py``), so every reading is compared as a whole.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import failpoint_names
import pytest
from storm import Storm
from support import Crew, Worker

from coshelf import native

# Flushes a second apart are tested with durable commits, too.
SETTINGS = [("interval", 0.01), pytest.param("interval", 1.0, marks=pytest.mark.long), ("commit", 1.0)]
LONG = range(100, 130)

STORMS = Path(__file__).parent / "scripts" / "storms" / "storms.py"


def start(crew: Crew, path: str, storm: Storm, *sabotage: str) -> Worker:
    print(storm)
    return crew.start(STORMS, path, json.dumps(asdict(storm)), *sabotage)


@pytest.mark.parametrize("seed", [1, *[pytest.param(seed, marks=pytest.mark.long) for seed in LONG]])
@pytest.mark.parametrize(("durability", "flush_interval"), SETTINGS)
def test_kill_storm(crew: Crew, path: str, durability: str, flush_interval: float, seed: int) -> None:
    """Beside the writers a reader makes snapshots and scans all the time: none may mix two states, nor go back."""
    found = json.loads(start(crew, path, Storm(seed, 40, durability, flush_interval)).finish()[-1])
    assert found["commits"] > 200
    assert found["died at"]


# Each takes away something that the engine's promises rest on.
SABOTAGES: dict[str, tuple[str, ...]] = {
    "flush_that_copies_nothing": (),
    "flush_that_counts_too_many": (),
    "number_not_taken": ("direct-committed",),
    "nothing_taken_up": (),
    **(dict.fromkeys(("emptied_too_early", "newest_not_seen"), ()) if native.in_use else {}),  # of a log
}
"""What the engine does (scripts/sabotages), and the failpoints at which writers are killed beside."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("sabotage", "points"), SABOTAGES.items(), ids=SABOTAGES)
def test_storm_convicts(crew: Crew, path: str, sabotage: str, points: tuple[str, ...]) -> None:
    # It ends at the first wrong reading. When that comes is chance, so the deaths are many more than it mostly takes.
    worker = start(crew, path, Storm(1, 1_000, "interval", 0.01, points), sabotage)
    worker.process.wait()
    convicted = "bank.py" in worker.errors() and "AssertionError" in worker.errors()
    assert convicted or "the base has commits that it never had" in worker.errors(), worker.errors()


def test_failpoints_are_found_in_the_source() -> None:
    assert {"commit-applied", "flush-committed", "direct-numbered"} <= set(failpoint_names.names())
