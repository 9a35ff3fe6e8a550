"""After a power cut no entry that returned misses its blob, none is torn, and none stays that nothing names."""

from __future__ import annotations

import os

import pytest
from checker import Checker
from cutting import check_cuts, cut, places
from history import DURABLE, in_intervals
from recording import record, without_stalls
from stores import INTERVAL
from writer import run_of

BOUNDED = [(seed, 100) for seed in range(51, 53)]
LONG = [(seed, 400) for seed in range(151, 162)]
PATIENCE = INTERVAL + 0.4  # as in test_power_cut.py


@pytest.mark.parametrize(
    ("seed", "count"), [*BOUNDED, *[pytest.param(*given, marks=pytest.mark.long) for given in LONG]]
)
def test_every_blob_of_what_had_returned_is_there_after_a_cut_anywhere(seed: int, count: int, scratch: str) -> None:
    store = "shelf of buffers"
    recording = record(os.path.join(scratch, "root"), store, str(seed))
    assert check_cuts(recording, str(seed), seed, count, scratch, store=store) > count * 0.8


@pytest.mark.parametrize(
    ("seed", "count"), [(61, 100), *[pytest.param(seed, 400, marks=pytest.mark.long) for seed in range(161, 166)]]
)
def test_no_blob_but_those_of_the_last_interval_is_lost_by_a_cut_anywhere(seed: int, count: int, scratch: str) -> None:
    store = "shelf of buffers in intervals"
    recording = without_stalls(record(os.path.join(scratch, "root"), store, str(seed)))
    promise = in_intervals(run_of(str(seed)), PATIENCE)
    assert check_cuts(recording, str(seed), seed, count, scratch, promise=promise, store=store) > count * 0.8


def test_blobs_that_are_not_synced_are_found_missing_or_torn(scratch: str) -> None:
    """These tests can fail."""
    recording = record(os.path.join(scratch, "root"), "shelf of buffers that are not synced", "51")
    drawn = places(recording.events, 51, 100, recording.after("done 1"))
    with Checker() as checker:
        found = cut(recording, "shelf of buffers", "51", drawn, DURABLE, scratch, checker)
        assert any("blob" in cut.wrong for cut in found)
