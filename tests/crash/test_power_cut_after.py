"""Power cuts after something else had gone wrong before: a writer was killed, or a call failed."""

from __future__ import annotations

import os
import random

import pytest
import strace
from cutting import check_cuts
from recording import record, run

NAMES = ["writev", "pwrite64", "fdatasync", "fsync", "link", "unlink", "fallocate", "openat"]


def calls_of_a_run(scratch: str) -> list[str]:
    """The calls of the short run that concern the shelf's directory, in their order, as strace counts them."""
    root = os.path.join(scratch, "counted")
    os.makedirs(os.path.join(root, "shelf"))
    ran = run(root, "shelf", "short", strace.DISK_CALLS)
    found = strace.counts(ran.calls, os.path.join(root, "shelf"), NAMES)
    return [f"{name}:when={number}" for name, number in found]


def until_the_name_is_synced(calls: list[str]) -> list[str]:
    """What follows the link to the shelf's name: opening the directory, and its sync."""
    link = next(place for place, call in enumerate(calls) if call.startswith("link:"))  # the mark is linked, too
    return calls[link + 1 : link + 3]


def cut_after(inject: str, seed: int, scratch: str) -> int:
    directory = os.path.join(scratch, inject.replace(":", "-"))
    os.mkdir(directory)
    recording = record(os.path.join(directory, "root"), "shelf", "short", inject)
    return check_cuts(recording, "short", seed, 40, directory, inject)


@pytest.mark.parametrize("part", [0, *[pytest.param(part, marks=pytest.mark.long) for part in range(1, 8)]])
def test_cut_after_a_writer_was_killed_and_another_went_on(part: int, scratch: str) -> None:
    calls = calls_of_a_run(scratch)
    names = [call for call in calls if call.startswith(("fsync:", "link:", "unlink:"))]
    others = [call for call in calls if call not in names]
    for seed, call in enumerate([*names, *random.Random(1).sample(others, 4)][part::8]):
        if call not in until_the_name_is_synced(calls):
            assert cut_after(f"{call}:signal=KILL", seed, scratch) > 15


@pytest.mark.parametrize("what", ["signal=KILL", "error=EIO"])
def test_cut_after_the_maker_did_not_come_to_sync_the_name(what: str, scratch: str) -> None:
    for call in until_the_name_is_synced(calls_of_a_run(scratch)):
        cut_after(f"{call}:{what}", 1, scratch)


@pytest.mark.long
@pytest.mark.parametrize("part", range(6))
@pytest.mark.parametrize("what", ["signal=KILL", "error=EIO"])
def test_cut_after_a_kill_or_a_failure_anywhere(what: str, part: int, scratch: str) -> None:
    calls = calls_of_a_run(scratch)
    known = until_the_name_is_synced(calls)
    chosen = [call for call in calls if call not in known and (what == "signal=KILL" or not call.startswith("unlink"))]
    assert len(chosen[part::6]) > 5
    for seed, call in enumerate(chosen[part::6]):
        cut_after(f"{call}:{what}", seed, scratch)
