"""Forked processes for the scripts of this directory: started, killed, waited for, interrupted inside the library."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import coshelf

__all__ = ["append", "at_each_step", "end", "fork", "has_ended", "is_asleep", "kill", "noise"]

_PATIENCE = 450  # seconds after which a child that hangs is ended, and says where it was
_PR_SET_PDEATHSIG = 1
_LIBRARY = os.path.dirname(coshelf.__file__) + os.sep
_libc = ctypes.CDLL(None)


def fork(work: Callable[[], object]) -> int:
    """A child that does this and exits with 0, or with 1 and a traceback. It dies with its parent."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.alarm(_PATIENCE)
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(code)


def has_ended(pid: int) -> int | None:
    """The exit code of a child, negative for a signal; None if it lives."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def is_asleep(pid: int) -> bool:
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0] == "S"


def end(pid: int, *, may_be_killed: bool = False) -> None:
    """Wait for a child that must end well, or by SIGKILL if that is allowed."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code == 0 or (may_be_killed and code == -signal.SIGKILL), f"a child ended with {code}"


def kill(pid: int) -> None:
    """SIGKILL, for a child that may have ended well meanwhile."""
    os.kill(pid, signal.SIGKILL)
    end(pid, may_be_killed=True)


def append(descriptor: int, line: str) -> None:
    """Write a line in one call. If a kill cuts it, it is the last one of its file, and lacks its end."""
    os.write(descriptor, line.encode() + b"\n")


def at_each_step(act: Callable[[], None]) -> None:
    """From now on act whenever a call into C returns inside the library."""

    def profile(frame: Any, event: str, argument: Any) -> None:
        if event == "c_return" and frame.f_code.co_filename.startswith(_LIBRARY):
            act()

    sys.setprofile(profile)


def noise(chance: random.Random, often: float) -> None:
    """Let others run, now and then, between two steps of the library: more orders of events than the kernel makes."""

    def perhaps() -> None:
        draw = chance.random()
        if draw < often / 4:
            time.sleep(chance.random() * 0.0005)
        elif draw < often:
            os.sched_yield()

    at_each_step(perhaps)
