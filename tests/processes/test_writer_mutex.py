"""A writer that sleeps at a free mutex of LMDB gets its turn: at the base, and at a delta that is a table.

The holder of LMDB's mutex is told by a bit that others sleep. That bit is gone if the one who was woken last is killed
before it looked at the mutex, and another took it first: too rare to wait for it, so here the bit is taken away.
"""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path

import pytest
from support import Crew

import coshelf
from coshelf.engines.lmdb.files.sidecar_directory import base_path, delta_path
from coshelf.engines.lmdb.files.sidecar_files import lock_path
from coshelf.engines.lmdb.locks.writer_mutex import WriterMutex
from coshelf.system.memory.c_library import GLIBC, c_library, mutex_layout

SCRIPTS = Path(__file__).parent / "scripts" / "writer_mutex"

pytestmark = pytest.mark.skipif(mutex_layout() is None, reason="the mutex of another C library or machine")

_SLEEPERS = 0x80000000
_COUNT_OF_SLEEPERS = 4  # bytes behind the word, in musl

HOLDER = SCRIPTS / "holder_of_the_mutex.py"

SLEEPER = SCRIPTS / "sleeper.py"


def _wait_for_sleepers(lock_file: str, *, forget: bool = False) -> None:
    """Return when somebody sleeps at the mutex in this file; if asked to, take the bit away that says so."""
    with open(lock_file, "r+b") as file, mmap.mmap(file.fileno(), mmap.PAGESIZE) as page:
        mutex = WriterMutex(file.fileno())
        try:
            assert mutex.place is not None
            while not mutex.word[0] & _SLEEPERS:
                time.sleep(0.001)
            if forget:
                struct.pack_into("I", page, mutex.place, mutex.word[0] & ~_SLEEPERS)
                if c_library() != GLIBC:
                    struct.pack_into("I", page, mutex.place + _COUNT_OF_SLEEPERS, 0)
        finally:
            mutex.close()


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("file", ["base", "delta"])
def test_a_writer_that_nobody_wakes_gets_its_turn(crew: Crew, path: str, file: str) -> None:
    with coshelf.open(path):  # all the time, so that no file is made anew
        sleeper = crew.start(SLEEPER, path)
        sleeper.expect("ready")
        holder = crew.start(HOLDER, path, file)
        holder.expect("holding")
        sleeper.tell()
        _wait_for_sleepers(lock_path({"base": base_path(path), "delta": delta_path(path, 0)}[file]), forget=True)
        holder.tell()
        holder.expect("let go")
        sleeper.expect("done")
        sleeper.tell()
        sleeper.finish()
        holder.tell()
        holder.finish()


@pytest.mark.usefixtures("tables")
def test_a_process_that_has_waited_can_fork_without_a_warning(crew: Crew, path: str) -> None:
    """From Python 3.12 on threads that are there at a fork are one, and what it warns of is true."""
    with coshelf.open(path) as shelf:
        shelf["first"] = 1  # which makes the delta
        sleeper = crew.start(SCRIPTS / "fork_after_waiting.py", path)
        sleeper.expect("ready")
        holder = crew.start(HOLDER, path, "delta")
        holder.expect("holding")
        sleeper.tell()
        _wait_for_sleepers(lock_path(delta_path(path, 0)))
        holder.tell()
        holder.expect("let go")
        sleeper.finish()
        holder.tell()
        holder.finish()
