"""What lines of turns cost: ``python benchmarks/turns.py [PLACE] [SECONDS]``.

- Joining and leaving a line, with nobody else there, in ratio to ``shelf[key] = value`` in the same process.
- Eight processes that hand one turn around: handovers in a second, and the longest wait over the median.
- The time from the SIGKILL of a holder to the turn of the next one. Beside it, how long the kernel takes to tell
  another process of that death, through a pipe: a machine that is busy is slow in both.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import statistics
import sys
import tempfile
import time
from typing import Any

import coshelf

PROCESSES = 8
ROUNDS = 9
CALLS = 50_000
KILLS = 40
LINE = b"line"
_GO, _GOT, _TOLD = range(3)


def _timed(call: Any, calls: int) -> float:
    """Microseconds of one call."""
    began = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - began) / calls * 1e6


def uncontended(path: str) -> dict[str, float]:
    with coshelf.open(path) as shelf:
        lines = shelf._handle.engine.turns()
        lines.join(LINE).leave()  # opens the table
        join = lines.join
        shelf["key"] = "value"
        turns, sets = [], []
        for _ in range(ROUNDS):
            turns.append(_timed(lambda: join(LINE).leave(), CALLS))
            sets.append(_timed(lambda: shelf.__setitem__("key", "value"), CALLS))
    return {
        "join and leave, us": statistics.median(turns),
        "set, us": statistics.median(sets),
        "in sets": statistics.median(turn / each for turn, each in zip(turns, sets, strict=True)),
    }


def _forked(work: Any) -> int:
    pid = os.fork()
    if not pid:
        try:
            work()
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    return pid


def _hand_around(path: str, shared: memoryview, place: int, seconds: float) -> None:
    with coshelf.open(path) as shelf:
        lines, waits = shelf._handle.engine.turns(), []
        lines.join(b"warm").leave()  # opens the table
        join = lines.join
        shared[8 + place] = 1
        while not shared[_GO]:
            time.sleep(0.001)
        end = time.monotonic() + seconds
        now = time.monotonic()
        while now < end:
            turn = join(LINE)
            turn.wait(None)
            waits.append((got := time.monotonic()) - now)
            turn.leave()
            now = got
    waits.sort()
    shared[16 + place] = len(waits)
    shared[24 + place] = int(waits[len(waits) // 2] * 1e9)
    shared[32 + place] = int(waits[-1] * 1e9)


def handing_around(path: str, seconds: float) -> dict[str, float]:
    coshelf.open(path).close()
    shared = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")
    pids = [_forked(lambda at=at: _hand_around(path, shared, at, seconds)) for at in range(PROCESSES)]
    while not all(shared[8 : 8 + PROCESSES]):
        time.sleep(0.001)
    shared[_GO] = 1
    statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    if any(statuses):
        raise SystemExit("a process has failed")
    medians, longest = list(shared[24 : 24 + PROCESSES]), list(shared[32 : 32 + PROCESSES])
    turns = list(shared[16 : 16 + PROCESSES])
    return {
        "handovers a second": sum(turns) / seconds,
        "median wait, us": statistics.median(medians) / 1e3,
        "longest wait, ms": max(longest) / 1e6,
        "longest over median": max(longest) / statistics.median(medians),
        "fewest turns of a process over most": min(turns) / max(turns),
    }


def _one_death(path: str) -> tuple[float, float]:
    """Milliseconds from the kill of a holder to the turn of the next one, and to the end of a pipe."""
    shared = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")
    reading, writing = os.pipe()

    def hold() -> None:
        with coshelf.open(path) as shelf:
            turn = shelf._handle.engine.turns().join(LINE)
            shared[8] = turn.wait(None)
            signal.pause()

    def wait() -> None:
        os.close(writing)
        with coshelf.open(path) as shelf:
            turn = shelf._handle.engine.turns().join(LINE)
            shared[9] = 1
            turn.wait(None)
            shared[_GOT] = time.monotonic_ns()

    def listen() -> None:
        os.close(writing)
        shared[10] = 1
        os.read(reading, 1)
        shared[_TOLD] = time.monotonic_ns()

    pids = []
    for place, work in enumerate((hold, wait, listen)):
        pids.append(_forked(work))
        while not shared[8 + place]:
            time.sleep(0.001)
    os.close(writing)
    os.close(reading)
    time.sleep(0.02)
    killed = time.monotonic_ns()
    os.kill(pids[0], signal.SIGKILL)
    for pid in pids:
        os.waitpid(pid, 0)
    return (shared[_GOT] - killed) / 1e6, (shared[_TOLD] - killed) / 1e6


def deaths(path: str) -> dict[str, float]:
    coshelf.open(path).close()
    turns, pipes = zip(*(_one_death(path) for _ in range(KILLS)), strict=True)
    return {
        "median, ms": statistics.median(turns),
        "worst, ms": max(turns),
        "end of a pipe: median, ms": statistics.median(pipes),
        "end of a pipe: worst, ms": max(pipes),
    }


def main() -> None:
    place, seconds = (*sys.argv[1:], *(None, "3")[len(sys.argv) - 1 :])[:2]
    with tempfile.TemporaryDirectory(dir=place) as directory:
        path = os.path.join(directory, "turns.shelf")
        found = {
            "uncontended": uncontended(path),
            "handing around": handing_around(path, float(seconds or 3)),
            "from SIGKILL to the next turn": deaths(path),
        }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
