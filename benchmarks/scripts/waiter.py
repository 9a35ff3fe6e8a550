"""A process that waits for keys.

``waiter.py KIND TARGET COUNT IDLE`` waits for the keys ``box/0`` to ``box/COUNT-1``, one after the other. Their values
are the instants at which they were set. Then it waits IDLE seconds for a key that no process sets. KIND is "coshelf",
or a module that has PickleShareDB. It prints the seconds from set to value, and the share of a core during the last
wait.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any


def used() -> float:
    """Seconds of processor time of this process."""
    found = resource.getrusage(resource.RUSAGE_SELF)
    return found.ru_utime + found.ru_stime


def wait_of(kind: str, target: str) -> Callable[..., Any]:
    """The method that waits for a key."""
    wait: Callable[..., Any]
    if kind == "coshelf":
        import coshelf

        wait = coshelf.open(target).wait
    else:
        wait = importlib.import_module(kind).PickleShareDB(target).waitget
    return wait


def main() -> None:
    kind, target, count, idle = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    wait = wait_of(kind, target)
    print("ready", flush=True)
    took = []
    for number in range(count):
        begun = wait(f"box/{number}")
        took.append((time.monotonic_ns() - begun) / 1e9)
    before, began = used(), time.monotonic()
    try:
        wait("never", idle)
    except (KeyError, TimeoutError):
        pass
    print(json.dumps({"took": took, "share of a core": (used() - before) / (time.monotonic() - began)}))


if __name__ == "__main__":
    main()
