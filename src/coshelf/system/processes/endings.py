"""Signals that end a process, and the end of a child process that nothing can prevent."""

from __future__ import annotations

import os
import signal

__all__ = ["ENDING", "kill"]

ENDING: tuple[int, ...] = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
)
"""Signals by which a process is asked to end: by another one, when its terminal is closed, and by Windows."""


def kill(pid: int) -> None:
    """End another process at once, as ``kill -9`` does: nothing is cleaned up. Raises OSError if there is none."""
    os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))  # SIGTERM is TerminateProcess on Windows
