"""Signals that a process sends to itself. Windows has few of them."""

from __future__ import annotations

import os
import signal

__all__ = ["die", "stop"]


def die() -> None:
    """End this process at once, as ``kill -9`` does: nothing is cleaned up, and no other code of it runs."""
    kill = getattr(signal, "SIGKILL", None)
    if kill is None:
        os.abort()
    os.kill(os.getpid(), kill)
    while True:  # the signal may reach another thread first
        signal.pause()


def stop() -> None:
    """Stop this process until another one continues it. Nothing happens where processes cannot be stopped."""
    number = getattr(signal, "SIGSTOP", None)
    if number is not None:
        os.kill(os.getpid(), number)
