"""A kill at any failpoint of the engine loses nothing that had returned; a reboot then, nothing that was durable."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from checker import Checker
from history import in_intervals
from recording import run
from writer import run_of

import coshelf

SOURCE = Path(coshelf.__file__).parent
ELSEWHERE = ("backup-", "compact-", "taken-over-")  # tests/care and tests/diskcache have those
POINTS = sorted(
    name
    for name in {name for file in SOURCE.rglob("*.py") for name in re.findall(r'reach\("([^"]+)"\)', file.read_text())}
    if not name.startswith(ELSEWHERE)
)
TURNS = (1, 2, 3, 5)
RUNS = ("short", "41")
NEVER_SYNCED = 1e6


def _killed(
    root: str, store: str, which: str, kill: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, int, int] | None:
    """How many operations had returned, how many had begun, and how many were durable; None if it was not killed."""
    os.makedirs(os.path.join(root, "shelf"))
    monkeypatch.setenv("COSHELF_FAILPOINTS", kill)
    ran = run(root, store, which, ["fsync"])
    monkeypatch.delenv("COSHELF_FAILPOINTS")
    if ran.status == 0:
        return None
    assert ran.status == -signal.SIGKILL, ran.errors
    promise = in_intervals(run_of(which), NEVER_SYNCED)
    synced = max((number for number in promise.syncs if number <= ran.number("done")), default=0)
    return ran.number("done"), ran.number("begun"), synced


BOTH = [("shelf", True), ("shelf in intervals", False)]
WAYS = [*BOTH, ("shelf", False), ("shelf in intervals", True)]


@pytest.mark.parametrize(
    ("turns", "ways"),
    [
        pytest.param(TURNS[:2], BOTH, id="in turns"),
        *[pytest.param(TURNS, [way], marks=pytest.mark.long, id=f"{way[0]}, rebooted: {way[1]}") for way in WAYS],
    ],
)
def test_killed_at_every_failpoint(
    turns: tuple[int, ...], ways: list[tuple[str, bool]], scratch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = set()
    with Checker() as checker:
        for number, point in enumerate(POINTS):
            for turn in turns:
                which = RUNS[turn % 2]
                store, rebooted = ways[(number + turn) % len(ways)]
                kept = "shelf of buffers" if point.startswith("blob") else "shelf"
                kill = f"{point}=kill@{turn}"
                root = os.path.join(scratch, kill)
                counts = _killed(root, store.replace("shelf", kept), which, kill, monkeypatch)
                if counts is None:
                    break
                reached.add(point)
                done, begun, synced = counts
                least = synced if rebooted and store != "shelf" else done
                _, wrong = checker.ask(root, kept, which, least, begun, rebooted=rebooted)
                assert not wrong, f"{wrong}, with {kill}, {done} of {begun} having returned"
    assert len(POINTS) > 8 and reached == set(POINTS), f"never reached: {set(POINTS) - reached}"


def test_a_shelf_that_empties_before_it_flushes_is_convicted(scratch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests can fail."""
    root = os.path.join(scratch, "broken")
    counts = _killed(root, "shelf that empties before it flushes", "41", "flush-announced=kill@3", monkeypatch)
    assert counts is not None
    with Checker() as checker:
        _, wrong = checker.ask(root, "shelf", "41", counts[0], counts[1], rebooted=False)
    assert wrong
