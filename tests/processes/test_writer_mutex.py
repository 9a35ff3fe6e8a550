"""Who sleeps at a mutex that is free gets its turn.

The holder of LMDB's mutex is told by a bit that others sleep. That bit is gone if the one who was woken last is killed
before it looked at the mutex, and another took it first: too rare to wait for it, so here the bit is taken away.
"""

from __future__ import annotations

import mmap
import platform
import struct
import time

import pytest
from support import Crew

import coshelf
from coshelf.engines.lmdb.files.sidecar_directory import base_path, delta_path
from coshelf.engines.lmdb.files.sidecar_files import lock_path
from coshelf.engines.lmdb.locks.writer_mutex import WriterMutex

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or platform.machine() not in ("x86_64", "aarch64"),
    reason="the mutex of another C library or machine",
)

_SLEEPERS = 0x80000000

HOLDER = """
from coshelf.engines.lmdb.registry import REGISTRY

with coshelf.open(path) as shelf:
    (environment,) = REGISTRY._open.values()
    file = {"base": environment.base, "delta": environment.current_delta()}[sys.argv[2]]
    transaction = file.lmdb.begin(write=True)
    say("holding")
    hear()
    transaction.abort()
    say("let go")
    hear()
"""

SLEEPER = """
with coshelf.open(path, flush_interval=1000) as shelf:
    shelf["before"] = 1
    say("ready")
    hear()
    shelf["a"] = 2
    shelf.sync()
    say("done")
    hear()
    assert shelf["a"] == 2
"""


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
        finally:
            mutex.close()


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


def test_a_process_that_has_waited_can_fork_without_a_warning(crew: Crew, path: str) -> None:
    """From Python 3.12 on threads that are there at a fork are one, and what it warns of is true."""
    with coshelf.open(path):
        sleeper = crew.start(
            """
            from coshelf.engines.lmdb.locks import writer_mutex

            writer_mutex._PERIOD = 1000

            def names():
                return [thread.name for thread in threading.enumerate()]

            with coshelf.open(path, flush_interval=1000) as shelf:
                say("ready")
                hear()
                shelf["a"] = 2
                assert "coshelf-waker" in names()
                pid = os.fork()
                if not pid:
                    assert shelf["a"] == 2
                    shelf["b"] = 3
                    os._exit(0)
                assert "coshelf-waker" not in names()
                assert reap(pid) == 0
                assert shelf["b"] == 3
            """,
            path,
        )
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
