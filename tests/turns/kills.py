"""Kill processes that pass one turn around, and look for two holders: ``python kills.py PATH KILLS SEED [MIXED]``.

Eight processes join one line without end. Up to three at a time are killed at a random moment. They are replaced when
one of the others has had the turn: a new process would look for the dead by itself. Whoever has the turn looks whether
the one before it has given the turn back, or is dead. It also notes for how long nobody had the turn.

A machine that is busy delays turns, too. So a process notes for how long its threads were ready and no processor ran
them. A death counts as missed if the next turn came over 50 ms after the dead had ended, and that is not why.

With MIXED, half of them do without the module in C. Prints one line of JSON.
"""

from __future__ import annotations

import array
import contextlib
import json
import mmap
import os
import random
import signal
import sys
import time
from types import SimpleNamespace
from typing import NamedTuple

import coshelf
from coshelf.engines.turn_table import implementation

PROCESSES = 8
WAIT = 60.0
LINE = b"the line"
_HOLDER, _TOKEN, _BEAT, _TURNS, _WORST, _OVER_20_MS, _OVER_50_MS, _STOP, _KILLED, _ENDED, _GAPS = range(11)
_GAPS_AT, _GAP = 16, 5  # where the gaps over 50 ms are, and how many numbers each has
_LONG = 50_000_000  # nanoseconds


class Gap(NamedTuple):
    """A time without a holder, in milliseconds.

    Attributes:
        length: how long it was.
        since_kill: since the last kill.
        since_end: since the processes had ended that were killed then; 0 if the next turn came before.
        skipped: how many were called after the last holder, and were dead (a number, not a time).
        delay: for how long the threads of the next holder were ready while it waited, without a processor.
    """

    length: float
    since_kill: float
    since_end: float
    delay: float
    skipped: float

    @property
    def is_missed(self) -> bool:
        """Whether somebody has slept, who should have noticed a death."""
        is_by_death = self.since_kill <= self.length or self.skipped > 0
        return is_by_death and min(self.length, self.since_end) - self.delay > _LONG / 1e6


class Result(NamedTuple):
    """What the processes saw.

    Attributes:
        kills: how many were killed.
        turns: how many turns there were.
        worst: the longest time without a holder, in milliseconds.
        over_20_ms, over_50_ms: how often it was longer than that.
        missed: how many of those over 50 ms were not due to a busy machine.
        longest: the longest ones.
        seconds: how long all took.
    """

    kills: int
    turns: int
    worst: float
    over_20_ms: int
    over_50_ms: int
    missed: int
    longest: list[Gap]
    seconds: float


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1] not in (b"Z", b"X")
    except OSError:
        return False


def do_without_the_module() -> None:
    """Have this process use the table of turns in Python."""
    implementation.native = SimpleNamespace(in_use=False, shares_memory=False)  # type: ignore[attr-defined]


def delays() -> dict[str, int]:
    """For how long each thread of this process has been ready without a processor, in nanoseconds."""
    found = {}
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError), open(f"/proc/self/task/{thread}/schedstat") as file:
            found[thread] = int(file.read().split()[1])
    return found


def note_gap(shared: memoryview, began: int, gap: int, before: dict[str, int], skipped: int) -> None:
    now = delays()
    killed, ended = shared[_KILLED], shared[_ENDED]
    since_end = began - ended if killed < ended < began else 0
    delay = sum(now[thread] - before.get(thread, 0) for thread in now)
    at = _GAPS_AT + _GAP * shared[_GAPS]
    if at + _GAP <= len(shared):
        shared[at : at + _GAP] = array.array("Q", (gap, max(began - killed, 0), since_end, delay, skipped * 1_000_000))
        shared[_GAPS] += 1


def work(path: str, shared: memoryview, seed: int) -> None:
    chance = random.Random(seed)
    me = os.getpid()
    with coshelf.open(path) as shelf:
        join = shelf._handle.engine.turns().join
        while not shared[_STOP]:
            ready = delays()
            place = join(LINE)
            if not place.wait(WAIT):
                raise AssertionError(f"nobody passed the turn for {WAIT:.0f} s")
            began = time.monotonic_ns()
            before = shared[_HOLDER]
            if before and is_alive(before):
                raise AssertionError(f"process {before} has the turn, too")
            shared[_HOLDER] = me
            token = place.token
            assert token is not None
            if token <= shared[_TOKEN]:
                raise AssertionError(f"token {token} came after {shared[_TOKEN]}")
            skipped = token - shared[_TOKEN] - 1
            shared[_TOKEN] = token
            gap = began - shared[_BEAT]
            if shared[_TURNS]:
                shared[_WORST] = max(shared[_WORST], gap)
                shared[_OVER_20_MS] += gap > 20_000_000
                shared[_OVER_50_MS] += gap > _LONG
                if gap > _LONG:
                    note_gap(shared, began, gap, ready, skipped)
            shared[_TURNS] += 1
            end = began + chance.choice((0, 0, 20_000, 200_000))
            while time.monotonic_ns() < end:
                shared[_BEAT] = time.monotonic_ns()
            shared[_BEAT] = time.monotonic_ns()
            if shared[_HOLDER] != me:
                raise AssertionError(f"process {shared[_HOLDER]} took the turn away")
            shared[_HOLDER] = 0
            place.leave()


def start(path: str, shared: memoryview, seed: int, *, mixed: bool) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        if mixed and seed % 2:
            do_without_the_module()
        work(path, shared, seed)
    except BaseException as error:
        os.write(2, f"{os.getpid()}: {error!r}\n".encode())
        os._exit(1)
    os._exit(0)


def kill(victims: list[int], shared: memoryview) -> None:
    shared[_KILLED] = time.monotonic_ns()
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    shared[_KILLED] = time.monotonic_ns()
    for victim in victims:
        if not os.WIFSIGNALED(os.waitpid(victim, 0)[1]):
            raise SystemExit("a process has failed")
    shared[_ENDED] = time.monotonic_ns()


def wait_for_a_turn(shared: memoryview) -> None:
    before, end = shared[_TURNS], time.monotonic() + WAIT
    while shared[_TURNS] == before:
        if time.monotonic() > end:
            raise SystemExit(f"nobody had the turn for {WAIT:.0f} s after a kill")
        time.sleep(0.0002)


def gaps_of(shared: memoryview) -> list[Gap]:
    numbers = [number / 1e6 for number in shared[_GAPS_AT : _GAPS_AT + _GAP * shared[_GAPS]]]
    return [Gap(*numbers[at : at + _GAP]) for at in range(0, len(numbers), _GAP)]


def run(path: str, kills: int, seed: int, *, mixed: bool = False) -> Result:
    began = time.monotonic()
    chance = random.Random(seed)
    coshelf.open(path).close()
    shared = memoryview(mmap.mmap(-1, 64 * mmap.PAGESIZE)).cast("Q")
    seeds = iter(range(1 << 30))
    pids = [start(path, shared, next(seeds), mixed=mixed) for _ in range(PROCESSES)]
    try:
        killed = 0
        while killed < kills:
            time.sleep(chance.choice((0.0, 0.001, 0.003, 0.01)) * chance.random())
            victims = chance.sample(pids, min(chance.choice((1, 1, 2, 3)), kills - killed))
            holder = shared[_HOLDER]
            if chance.random() < 0.5 and holder in pids and holder not in victims:
                victims[0] = holder
            kill(victims, shared)
            killed += len(victims)
            pids = [pid for pid in pids if pid not in victims]
            wait_for_a_turn(shared)
            pids += [start(path, shared, next(seeds), mixed=mixed) for _ in victims]
        shared[_STOP] = 1
        while pids:
            if os.waitpid(pids[-1], 0)[1]:
                raise SystemExit("a process has failed")
            pids.pop()
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    with coshelf.open(path) as shelf:
        left = list(shelf._handle.engine.turns().lines())
    if left:
        raise SystemExit(f"places are left: {left}")
    gaps = gaps_of(shared)
    return Result(
        kills,
        shared[_TURNS],
        shared[_WORST] / 1e6,
        shared[_OVER_20_MS],
        shared[_OVER_50_MS],
        sum(gap.is_missed for gap in gaps),
        sorted(gaps, reverse=True)[:10],
        time.monotonic() - began,
    )


if __name__ == "__main__":
    path, kills, seed, *rest = sys.argv[1:]
    print(json.dumps(run(path, int(kills), int(seed), mixed=bool(rest))._asdict()))
