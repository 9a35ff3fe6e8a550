"""A kill at any system call loses nothing that had returned, and leaves nothing that hinders the next one."""

from __future__ import annotations

import os
import random
import signal

import pytest
import strace
from checker import Checker
from recording import run


def kills(scratch: str) -> list[str]:
    """Every call that the short run makes once its program is loaded, as strace wants to have it."""
    root = os.path.join(scratch, "counted")
    os.makedirs(os.path.join(root, "shelf"))
    ran = run(root, "shelf", "short", ["all"])
    assert ran.status == 0 and ran.said[-1] == "closed", ran.errors
    calls = sorted(ran.calls, key=lambda call: call.started)
    first = next(place for place, call in enumerate(calls) if call.name == "sendto")
    counted = strace.counts(calls, "")
    return [f"{name}:signal=KILL:when={number}" for name, number in counted[first:] if name != "brk"]


def check(scratch: str, kill: str, checker: Checker) -> None:
    root = os.path.join(scratch, kill)
    os.makedirs(os.path.join(root, "shelf"))
    ran = run(root, "shelf", "short", [kill.partition(":")[0]], kill)
    if ran.status == 0 and kill.startswith(("mmap:", "munmap:")):  # how often memory is asked for differs between runs
        return
    assert ran.status == -signal.SIGKILL, f"{kill}: {ran.status} {ran.errors}"
    _, wrong = checker.ask(root, "shelf", "short", ran.number("done"), ran.number("begun"), rebooted=False)
    assert not wrong, f"{wrong}\nwith {kill}, after: {'; '.join(ran.said)}"


@pytest.mark.parametrize("part", range(2))
def test_killed_at_a_call_here_and_there(part: int, scratch: str) -> None:
    some = random.Random(1).sample(kills(scratch), 18)
    with Checker() as checker:
        for kill in some[part::2]:
            check(scratch, kill, checker)


@pytest.mark.long
@pytest.mark.parametrize("part", range(8))
def test_killed_at_every_call(part: int, scratch: str) -> None:
    every = kills(scratch)
    assert len(every) > 200
    with Checker() as checker:
        for kill in every[part::8]:
            check(scratch, kill, checker)
