"""After a power cut at any instant the shelf opens, is whole, and has all that had returned.

What reached the disk is computed from a recorded run: all that was synced, and any part of the rest (``disk.py``).
"""

from __future__ import annotations

import os

import pytest
from cutting import check_cuts
from history import in_intervals
from recording import Recording, record, without_stalls
from stores import INTERVAL
from writer import run_of

# Enough of the lives of a shelf; each is cut at as many places as its second number says.
BOUNDED = [(seed, 100) for seed in range(1, 3)]
LONG = [(seed, 400) for seed in range(101, 125)]
IN_INTERVALS = [(seed, 100) for seed in range(21, 23)]
LONG_IN_INTERVALS = [(seed, 400) for seed in range(121, 144)]

# One interval and one flush: under strace, and beside other tests, a flush takes its time.
PATIENCE = INTERVAL + 0.4


@pytest.mark.parametrize(
    ("seed", "count"), [*BOUNDED, *[pytest.param(*given, marks=pytest.mark.long) for given in LONG]]
)
def test_everything_that_had_returned_is_there_after_a_cut_anywhere(seed: int, count: int, scratch: str) -> None:
    recording = record(os.path.join(scratch, "root"), "shelf", str(seed))
    # So many must differ that the cuts are not about a few states; 320 of 400 do at the least.
    assert check_cuts(recording, str(seed), seed, count, scratch) > count * 0.7


@pytest.mark.parametrize(
    ("seed", "count"), [*IN_INTERVALS, *[pytest.param(*given, marks=pytest.mark.long) for given in LONG_IN_INTERVALS]]
)
def test_all_but_the_last_interval_is_there_after_a_cut_anywhere(seed: int, count: int, scratch: str) -> None:
    store = "shelf in intervals"
    recording = without_stalls(record(os.path.join(scratch, "root"), store, str(seed)))
    promise = in_intervals(run_of(str(seed)), PATIENCE)
    # So many must differ that the cuts are not about a few states. 69 to 82 of 100 do: the names in the sidecars'
    # directory are lost together with its own, so cuts while a shelf is opened leave the same, and where the flushes
    # fall depends on the machine.
    assert check_cuts(recording, str(seed), seed, count, scratch, promise=promise, store=store) > count * 0.5


@pytest.mark.parametrize("part", [0, *[pytest.param(part, marks=pytest.mark.long) for part in range(1, 6)]])
def test_cut_while_a_shelf_is_made_leaves_a_whole_one_or_none(part: int, scratch: str) -> None:
    recording = record(os.path.join(scratch, "root"), "shelf", "short")
    # Most of these cuts lose or keep the same few names, so many are the same: 25 of 80 differed in one run.
    end = recording.after("done 1")
    made = Recording(recording.tree, recording.events[: end + 4], recording.first)
    assert check_cuts(made, "short", part, 80, scratch) > 18
