"""Kill, reboot, open: a killed writer's commits are there until the machine goes down, and then what was durable is.

The reboot is another boot id and, since memory is gone with it, a delta of which only some pages had been written.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import reboot
from checker import Checker
from disk import PAGE
from history import in_intervals
from recording import run
from writer import run_of

WHICH = "41"
NEVER_SYNCED = 1e6
KILLS = random.Random(1).sample(range(3, 2 * len(run_of(WHICH))), 40)  # at one of the messages: two for each operation
ANY_BOOT = "shelf that takes up the delta of any boot"
STORES = ["shelf", "shelf in intervals", "shelf flushed when asked"]

PARTS = 8

pytestmark = pytest.mark.long


def _killed(scratch: str, store: str, kill: int) -> tuple[str, int, int, int]:
    """A killed writer's directory, and how many of its operations were durable, had returned, and had begun."""
    root = os.path.join(scratch, f"{store} {kill}")
    os.makedirs(os.path.join(root, "shelf"))
    ran = run(root, store, WHICH, ["sendto"], f"sendto:signal=KILL:when={kill}")
    assert ran.status == -signal.SIGKILL, ran.errors
    done = ran.number("done")
    durable = {number for number in in_intervals(run_of(WHICH), NEVER_SYNCED).syncs if number <= done}
    return root, done if store == "shelf" else max(durable, default=0), done, ran.number("begun")


def _lose_memory(root: str, seed: int) -> None:
    """Of what was never synced, leave what the kernel had come to write: of each page something or nothing."""
    chance = random.Random(seed)
    kept = chance.choice([0.0, 0.5, 0.9, 1.0])
    for directory, _, names in os.walk(os.path.join(root, "shelf")):
        if "delta" in names:
            with open(os.path.join(directory, "delta"), "r+b") as file:
                for page in range(min(256, os.fstat(file.fileno()).st_size // PAGE)):
                    if chance.random() >= kept:
                        os.pwrite(file.fileno(), bytes(PAGE), page * PAGE)


@pytest.fixture(scope="module")
def next_boot() -> Iterator[Checker]:
    """A checker that is run as after a reboot."""
    if reason := reboot.why_unusable():
        pytest.skip(f"cannot run anything as after a reboot: {reason}")
    with Checker(reboot.command()) as checker:
        yield checker


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("store", STORES)
def test_everything_that_had_returned_is_there_after_a_kill(store: str, part: int, scratch: str) -> None:
    with Checker() as checker:
        for kill in KILLS[part::PARTS]:
            root, _, done, begun = _killed(scratch, store, kill)
            _, wrong = checker.ask(root, store, WHICH, done, begun, rebooted=False)
            assert not wrong, f"{wrong}, killed at message {kill}, {done} of {begun} having returned"


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("store", STORES)
def test_everything_durable_is_there_after_a_kill_and_a_reboot(
    store: str, part: int, scratch: str, next_boot: Checker
) -> None:
    lost = 0
    for kill in KILLS[part::PARTS]:
        root, durable, done, begun = _killed(scratch, store, kill)
        _lose_memory(root, kill)
        found, wrong = next_boot.ask(root, store, WHICH, durable, begun, rebooted=False)
        assert not wrong, f"{wrong}, killed at message {kill}, {durable} of {begun} being durable"
        lost += done - found
    assert store != "shelf flushed when asked" or lost > 0, "nothing was lost: there was no reboot"


def test_shelf_that_does_not_notice_a_reboot_is_convicted(scratch: str, next_boot: Checker) -> None:
    """These tests can fail."""
    findings = []
    for kill in KILLS[:6]:
        root, durable, _, begun = _killed(scratch, ANY_BOOT, kill)
        _lose_memory(root, kill)
        findings.append(next_boot.ask(root, ANY_BOOT, WHICH, durable, begun, rebooted=False)[1])
    assert any(findings)


def test_each_program_run_as_after_a_reboot_reads_a_boot_id_of_its_own(next_boot: Checker) -> None:
    def read(*interpreter: str) -> str:
        program = f"print(open({reboot.BOOT_ID!r}).read())"
        return subprocess.run([*interpreter, "-c", program], capture_output=True, text=True, check=True).stdout

    before = read(sys.executable)
    assert len({before, read(*reboot.command()), read(*reboot.command())}) == 3
    assert read(sys.executable) == before
