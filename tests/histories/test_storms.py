"""Writers killed at any instant and at every failpoint: what had returned is there, whole, once, and in order.

What the shelf must hold follows from how far each writer got (``bank.py``), so every reading is compared as a whole.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict

import failpoint_names
import pytest
from storm import Storm
from support import Crew, Worker

SETTINGS = [("interval", 0.01), ("interval", 1.0), ("commit", 1.0)]
LONG = range(100, 130)

SCRIPT = """
import storm
signal.alarm(110)  # longer than what other workers do
storm.main(path, storm.Storm(**__import__("json").loads(sys.argv[2])))
"""


def start(crew: Crew, path: str, storm: Storm, before: str = "") -> Worker:
    print(storm)
    return crew.start(textwrap.dedent(before) + SCRIPT, path, json.dumps(asdict(storm)))


@pytest.mark.parametrize("seed", [1, *[pytest.param(seed, marks=pytest.mark.long) for seed in LONG]])
@pytest.mark.parametrize(("durability", "flush_interval"), SETTINGS)
def test_kill_storm(crew: Crew, path: str, durability: str, flush_interval: float, seed: int) -> None:
    """Beside the writers a reader makes snapshots and scans all the time: none may mix two states, nor go back."""
    found = json.loads(start(crew, path, Storm(seed, 40, durability, flush_interval)).finish()[-1])
    assert found["commits"] > 200
    assert found["died at"]


# Each takes away something that the engine's promises rest on.
SABOTAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "a flush that leaves nothing in the delta": ("""
        from coshelf.engines.lmdb.delta.rows import Delta
        Delta.newer = lambda *_: []
    """, ()),
    "a flush that counts one commit too many": ("""
        from coshelf.engines.lmdb.base_writer import BaseWriter
        finish = BaseWriter.finish
        BaseWriter.finish = lambda self, last, *nonce: finish(self, last + 1, *nonce)
    """, ()),
    "a large commit that does not take its number": ("""
        from coshelf.engines.lmdb.delta.rows import Delta
        def take_number(self):
            with self.begin() as reading:
                return self.number(reading) + 1
        Delta.take_number = take_number
    """, ("direct-committed",)),
    "an opener that never takes up what was left": ("""
        from coshelf.engines.lmdb.files import sidecars
        sidecars.belongs = lambda *_: False
    """, ()),
}  # fmt: skip


@pytest.mark.parametrize(("sabotage", "points"), SABOTAGES.values(), ids=SABOTAGES)
def test_storm_convicts(crew: Crew, path: str, sabotage: str, points: tuple[str, ...]) -> None:
    worker = start(crew, path, Storm(1, 100, "interval", 0.01, points), sabotage)
    worker.process.wait()
    convicted = "bank.py" in worker.errors() and "AssertionError" in worker.errors()
    assert convicted or "the base has commits that it never had" in worker.errors(), worker.errors()


def test_failpoints_are_found_in_the_source() -> None:
    assert {"commit-applied", "flush-committed", "direct-numbered"} <= set(failpoint_names.names())
