"""Stops a process in the middle of its work."""

from __future__ import annotations

import os
import signal
import time

__all__ = ["halt"]


def halt(pid: int) -> None:
    """Send SIGSTOP, and wait until no thread of the process runs: it may answer once more before it stops."""
    os.kill(pid, signal.SIGSTOP)
    while any(_state(pid, thread) != "T" for thread in os.listdir(f"/proc/{pid}/task")):
        time.sleep(0.001)


def _state(pid: int, thread: str) -> str:
    """The state of a thread, which is that of a stopped one if it has ended."""
    try:
        with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "T"
