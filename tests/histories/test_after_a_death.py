"""After a death the base's write lock is taken once before what the base shows is trusted.

LMDB lets readers see a commit only after it is durable. Who dies in between leaves a commit that nobody sees until the
next writer takes the lock; a transaction that had read the base before that would take back what the dead one had done.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from support import Crew

SCRIPTS = Path(__file__).parent / "scripts" / "after_a_death"

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="stopping behind a system call needs strace")

VICTIM = SCRIPTS / "killed_in_a_commit.py"

SURVIVOR = SCRIPTS / "survivor.py"


def what_the_survivor_says(crew: Crew, path: str, *barrier: str) -> list[str]:
    """A transaction is killed when LMDB has just written its meta page, which makes it durable."""
    survivor = crew.start(SURVIVOR, path, *barrier)
    survivor.expect("ready")
    meta = meta_pages(path)
    writes = "pwrite64,pwritev2"  # pwrite() of glibc, and of musl
    delay = ("-e", f"trace={writes}", "-e", f"inject={writes}:delay_exit=30000000:when=1")
    victim = crew.start(VICTIM, path, within=("strace", "-f", "-qq", "-o", os.devnull, *delay))
    pid = int(victim.hear())
    while meta_pages(path) == meta:
        assert victim.process.poll() is None, victim.errors()
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    victim.kill()  # strace, which would sit out the delay; with it gone the death takes place
    while not is_dead(pid):
        time.sleep(0.001)
    survivor.tell()
    return survivor.finish()


def is_dead(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def meta_pages(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(8192)


def test_a_transaction_has_what_the_dead_had_made_durable(crew: Crew, path: str) -> None:
    """Nobody has seen it when the transaction begins, and it is not lost."""
    assert what_the_survivor_says(crew, path) == ["0 False", "1", "2 1 True"]


def test_without_the_barrier_an_update_is_lost(crew: Crew, path: str) -> None:
    assert what_the_survivor_says(crew, path, "no barrier") == ["0 False", "0", "1 1 True"]
