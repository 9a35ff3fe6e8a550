"""What times mean to the storage for limits: seconds, as a number, from the first hit of a window."""

from __future__ import annotations

from collections.abc import Callable

from edge import Edge

from coshelf.contrib.limits import CoshelfStorage


def after(key: str, *calls: Callable[[CoshelfStorage], object]) -> Callable[[str], str]:
    def run(path: str) -> str:
        storage = CoshelfStorage(path)
        try:
            for call in calls:
                call(storage)
        finally:
            storage.close()
        return f"limits/{key}"

    return run


def rows() -> list[Edge]:
    fixed, moving = "fixed/ann", "moving/ann"
    return [
        Edge("incr(key, 60)", after(fixed, lambda s: s.incr("ann", 60)), "expires", 60),
        Edge("incr(key, 60.5)", after(fixed, lambda s: s.incr("ann", 60.5)), "expires", 60.5),
        Edge("incr(key, 60), incr(key, 600)", after(fixed, lambda s: s.incr("ann", 60), lambda s: s.incr("ann", 600)),
             "expires", 60),
        Edge("incr(key, 0)", after(fixed, lambda s: s.incr("ann", 0)), "gone"),
        Edge("incr(key, -1)", after(fixed, lambda s: s.incr("ann", -1)), "gone"),
        Edge("acquire_entry(key, 2, 60)", after(moving, lambda s: s.acquire_entry("ann", 2, 60)), "expires", 60),
        Edge("acquire_entry(key, 2, 0)", after(moving, lambda s: s.acquire_entry("ann", 2, 0)), "gone"),
        Edge("acquire_entry(key, 2, None)", after(moving, lambda s: s.acquire_entry("ann", 2, None)), "refused",
             error=TypeError),
        Edge("acquire_sliding_window_entry(key, 2, 0)",
             after(fixed, lambda s: s.acquire_sliding_window_entry("ann", 2, 0)), "refused", error=ZeroDivisionError),
    ]  # fmt: skip
