"""What tests of locks share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import coshelf
from coshelf.testing.contract.task import PATIENCE, Task

__all__ = ["in_thread", "try_lock", "wait_until"]


def in_thread(function: Callable[[], Any]) -> Any:
    """What a function returns in another thread."""
    return Task(function).finish()


def try_lock(shelf: coshelf.Shelf[Any, Any], name: Any = "door") -> bool:
    """Whether another thread gets a lock without waiting; it gives it back."""

    def attempt() -> bool:
        lock = shelf.lock(name)
        if not lock.acquire(blocking=False):
            return False
        lock.release()
        return True

    return bool(in_thread(attempt))


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds that some other thread or process brings about."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)
