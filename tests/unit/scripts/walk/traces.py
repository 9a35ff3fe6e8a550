"""Print what a set, a get of a clean shelf and a get beside a dirty delta call: ``python traces.py PATH``, as JSON."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import coshelf
from service_threads import service_threads

SOURCE = Path(coshelf.__file__).parent

Step = tuple[str, str]


def traced(call: Callable[[], object]) -> list[Step]:
    """The functions of ours that a call runs: the shortest of several traces, since a flush may come in between."""
    return min((_traced_once(call) for _ in range(5)), key=len)


def _traced_once(call: Callable[[], object]) -> list[Step]:
    steps: list[Step] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(SOURCE):
            steps.append((frame.f_code.co_qualname, path.relative_to(SOURCE).as_posix()))

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return steps


def main() -> None:
    gc.disable()
    with coshelf.open(sys.argv[1], flush_interval=60) as shelf:
        shelf["a"] = 1
        shelf.sync()
        while service_threads("coshelf-flush"):
            time.sleep(0.001)  # its first flush may come late, and would take what is set below
        clean = traced(lambda: shelf["a"])
        shelf["b"] = 2
        written = traced(lambda: shelf.__setitem__("c", "value"))
        beside = traced(lambda: shelf["a"])
    print(json.dumps({"set": written, "clean": clean, "dirty": beside}))


if __name__ == "__main__":
    main()
