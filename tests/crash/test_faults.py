"""When the disk fails a call, an operation raises an error of ours or succeeds, and nothing that returned is lost."""

from __future__ import annotations

import os
import random

import pytest
import strace
from checker import Checker
from history import short_run
from recording import run

FAILING = ["pwrite64", "write", "writev", "fsync", "fdatasync", "truncate", "fallocate", "link"]
COUNT = len(short_run())


def fresh(scratch: str, name: str) -> str:
    root = os.path.join(scratch, name)
    os.makedirs(os.path.join(root, "shelf"))
    return root


def faults(scratch: str) -> list[str]:
    """Each call of the short run that can fail, as strace wants to have it: once with each error, and for ever."""
    root = fresh(scratch, "counted")
    ran = run(root, "shelf", "short", strace.DISK_CALLS)
    assert ran.status == 0 and ran.said[-1] == "closed", ran.errors
    found = strace.counts(ran.calls, root, FAILING)
    assert {name for name, _ in found} == {*FAILING}
    return [
        f"{name}:error={error}:when={number}{ever}"
        for name, number in found
        for error in ("ENOSPC", "EIO")
        for ever in ("", "+")
    ]


def check(scratch: str, fault: str, checker: Checker) -> None:
    """Run with one fault, and see what was said and what is there."""
    root = fresh(scratch, fault)
    ran = run(root, "shelf", "short", [fault.partition(":")[0]], fault)
    story = f"with {fault}:\n" + "\n".join([*ran.said, ran.errors])
    assert ran.status == 0 and ran.said[-1] == "closed", story
    assert not ran.errors, story
    done = {int(line.split()[1]) for line in ran.said if line.startswith("done")}
    # An operation that raised has not happened, or it has, and is seen, but could not be made durable.
    done |= {int(line.split()[1]) for line in ran.said if line.startswith("changed") and line.endswith("whole")}
    done |= {int(line.split()[1]) for line in ran.said if line.startswith("stored")}
    assert not [line for line in ran.said if line.startswith("changed") and not line.endswith("whole")], story
    if not fault.endswith("+"):  # the disk works again: so does the shelf, with the same handle or a fresh one
        assert len(done) == COUNT, story
    missing = ",".join(str(number) for number in range(1, COUNT + 1) if number not in done)
    _, wrong = checker.ask(root, "shelf", f"short-{missing}", len(done), len(done), rebooted=False)
    assert not wrong, f"{wrong}\n{story}"


@pytest.mark.parametrize("part", [0, pytest.param(1, marks=pytest.mark.long)])
def test_calls_that_fail_here_and_there_lose_nothing(part: int, scratch: str) -> None:
    some = random.Random(1).sample(faults(scratch), 18)
    with Checker() as checker:
        for fault in some[part::2]:
            check(scratch, fault, checker)


@pytest.mark.long
@pytest.mark.parametrize("part", range(8))
def test_any_call_that_fails_loses_nothing(part: int, scratch: str) -> None:
    every = faults(scratch)
    assert len(every) > 100
    with Checker() as checker:
        for fault in every[part::8]:
            check(scratch, fault, checker)
