"""Processes that write a shelf while its server has trouble, and what they were told.

Each counts one counter up together with the others, and has entries of its own. It notes what was acknowledged, what
failed for certain, and what nobody knows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import coshelf
from coshelf.errors import Conflict, OutcomeUnknown, Unavailable

__all__ = ["Told", "Writers", "check_nothing_lost"]

_PATIENCE = 60.0
_ENOUGH = 5  # calls that succeed in a row, so that the trouble is over


@dataclass
class Told:
    """What one writer was told.

    Attributes:
        counted: how often counting was acknowledged.
        unknown: how often it may have happened.
        failed: how often a write failed for certain.
        last: of its own entries, the last number that was acknowledged.
        attempted: of its own entries, the last number that was tried.
        longest: seconds that its longest call took.
        after: how many calls succeeded after the last failure.
    """

    counted: int = 0
    unknown: int = 0
    failed: int = 0
    last: dict[str, int] = field(default_factory=dict)
    attempted: dict[str, int] = field(default_factory=dict)
    longest: float = 0.0
    after: int = 0


def write(url: str, name: str, seconds: float) -> Told:
    """Write until the time is over, and until the trouble is."""
    told = Told()
    shelf: coshelf.Shelf[Any, Any] = coshelf.open(url, "w", timeout=8)
    print("ready", flush=True)
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end or (told.after < _ENOUGH and time.monotonic() < end + _PATIENCE / 2):
        number += 1
        mine = f"{name}/{number % 7}"
        told.attempted[mine] = number
        if _attempt(told, lambda mine=mine, value=number: shelf.__setitem__(mine, value)) is True:
            told.last[mine] = number
        outcome = _attempt(told, lambda: shelf.modify("count", lambda count: count + 1))
        told.counted += outcome is True
        told.unknown += outcome is None
    return told


def _attempt(told: Told, call: Any) -> bool | None:
    began = time.monotonic()
    try:
        call()
    except OutcomeUnknown:
        told.after = 0
        return None
    except (Unavailable, Conflict):
        told.failed += 1
        told.after = 0
        return False
    finally:
        told.longest = max(told.longest, time.monotonic() - began)
    told.after += 1
    return True


class Writers:
    """Writers at work."""

    def __init__(self, url: str, number: int, seconds: float) -> None:
        self.processes = [
            subprocess.Popen(
                [sys.executable, __file__, url, f"writer{which}", str(seconds)], stdout=subprocess.PIPE, text=True
            )
            for which in range(number)
        ]
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

    def finish(self) -> list[Told]:
        """What they were told, once all have ended."""
        all_told = []
        for process in self.processes:
            assert process.stdout is not None
            out = process.stdout.read()  # communicate() would miss what has come together with the first line
            assert process.wait(_PATIENCE) == 0
            all_told.append(Told(**json.loads(out)))
        return all_told


@contextmanager
def writing(url: str, number: int, seconds: float) -> Iterator[Writers]:
    """Writers, none of which outlives the block."""
    writers = Writers(url, number, seconds)
    try:
        yield writers
    finally:
        for process in writers.processes:
            process.kill()
            process.communicate()


def check_nothing_lost(shelf: coshelf.Shelf[Any, Any], all_told: list[Told]) -> None:
    """What was acknowledged is there, and the counter has each count once."""
    for told in all_told:
        for key, number in told.last.items():
            assert number <= shelf[key] <= told.attempted[key], key
    counted = sum(told.counted for told in all_told)
    unknown = sum(told.unknown for told in all_told)
    assert counted <= shelf["count"] <= counted + unknown


if __name__ == "__main__":
    print(json.dumps(vars(write(sys.argv[1], sys.argv[2], float(sys.argv[3])))))
