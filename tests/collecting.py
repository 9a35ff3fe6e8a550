"""Garbage collection by a test, while a flush thread may be collecting."""

from __future__ import annotations

import gc
import threading

from insides import until

__all__ = ["collect"]


def collect() -> None:
    """Collect all garbage. ``gc.collect()`` returns at once while another thread is collecting."""
    me, done = threading.get_ident(), []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and threading.get_ident() == me and info["generation"] == 2:
            done.append(phase)

    def is_collected() -> bool:
        gc.collect()
        return bool(done)

    gc.callbacks.append(note)
    try:
        until(is_collected)
    finally:
        gc.callbacks.remove(note)
