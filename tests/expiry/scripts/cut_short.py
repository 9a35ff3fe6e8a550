"""Lives of a shelf with times that a kill cuts short, at failpoints or inside of ``expire()``, and what is found."""

from __future__ import annotations

import os
import random
import shutil
import sys
from typing import Any

import failpoint_names
from children import at_each_step, end, fork
from talking import path, say

import coshelf
from coshelf.contract import Batch
from coshelf.keys import FIRST, LAST
from coshelf.mapping import expiring
from coshelf.mapping.living import removal
from coshelf.testing.moving_clock import MovingClock
from coshelf.values.expiry import INDEX, row_of, time_of, until

Step = tuple[Any, ...]
State = tuple[int, dict[Any, tuple[Any, int | None]]]
"""The time since the beginning, and the entries, each with the time at which it expires."""

KEYS = ["a", "b", "c", 1, ("t", 2), "long" * 300]
FOREVER = 10**9


def life(seed: int) -> list[Step]:
    """What is done to a shelf. In the lives of odd seeds, some of it goes straight to the base."""
    chance = random.Random(seed)
    steps: list[Step] = [("set", tuple(range(100, 120)), "twenty", 3), ("sync",)]
    for number in range(45):
        some = tuple(chance.sample(KEYS, chance.randint(1, 3)))
        length = chance.choice([None, 1, 2, 5, 60])
        name = chance.choice(["set"] * 4 + ["touch", "delete", "change", "both", "pass", "pass", "expire", "sync"])
        match name:
            case "set" | "both":
                steps.append((name, some, number, length))
            case "touch":
                steps.append((name, some[0], length))
            case "delete":
                steps.append((name, some[0]))
            case "change":
                steps.append((name, some[0], number))
            case "pass":
                steps.append((name, chance.choice([1, 2, 3])))
            case _:
                steps.append((name,))
        if number == 15:
            steps += [("set", tuple(range(100, 120)), number, 2), ("pass", 2), ("expire",)]
        if number == 30 and seed % 2:
            steps += [("set", tuple(range(1_000, 2_100)), number, 2), ("pass", 2), ("sync",)]
    return steps


def do(shelf: Any, clock: MovingClock, step: Step) -> None:
    match step:
        case "set", keys, value, length:
            shelf.update(dict.fromkeys(keys, value), expire=length)
        case "both", keys, value, length:
            with shelf.transaction() as transaction:
                transaction.update(dict.fromkeys(keys, value), expire=length)
                transaction.touch(KEYS[0], expire=length)
        case "touch", key, length:
            shelf.touch(key, expire=length)
        case "delete", key:
            shelf.pop(key, None)
        case "change", key, value:
            shelf.modify(key, lambda _: value, default=0)
        case "pass", seconds:
            clock.pass_by(seconds)
        case ("expire",):
            shelf.expire()
        case ("sync",):
            shelf.sync()


def after(state: State, step: Step) -> State:
    """The state after a step."""
    now, entries = state[0], dict(state[1])
    match step:
        case ("set" | "both") as name, keys, value, length:
            time = None if length is None else now + length
            entries.update(dict.fromkeys(keys, (value, time)))
            if name == "both" and KEYS[0] in entries:
                entries[KEYS[0]] = entries[KEYS[0]][0], time
        case "touch", key, length:
            if key in entries:
                entries[key] = entries[key][0], None if length is None else now + length
        case "delete", key:
            entries.pop(key, None)
        case "change", key, value:
            entries[key] = value, entries[key][1] if key in entries else None
        case "pass", seconds:
            now += seconds
    return now, {key: entry for key, entry in entries.items() if (entry[1] or FOREVER) > now}


def open_shelf() -> Any:
    return coshelf.open(path, flush_interval=3600, timeout=20)


def live(seed: int, kill_at: int = 0) -> None:
    """Do all steps, and note each that is done. ``kill_at``: die at this step of the library inside of ``expire()``."""
    left = kill_at

    def count() -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), 9)

    notes = os.open(path + ".notes", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    with MovingClock() as clock, open_shelf() as shelf:
        for step in life(seed):
            if kill_at and step[0] == "expire":
                at_each_step(count)
            do(shelf, clock, step)
            sys.setprofile(None)
            os.write(notes, b".")
    os.write(notes, f" {kill_at - left}".encode())


def check(seed: int) -> str:
    """Verify what is found after a life; its notes."""
    with open(path + ".notes", encoding="utf-8") as file:
        notes = file.read()
    steps, done = life(seed), notes.count(".")
    state: State = (0, {})
    for step in steps[:done]:
        state = after(state, step)
    then = after(state, steps[done]) if done < len(steps) else state
    possible = [after(state, ("pass", then[0] - state[0]))[1], then[1]]
    with MovingClock() as clock:
        start = clock.now() / 1_000_000
        clock.pass_by(then[0])
        for opening in range(2):
            with open_shelf() as shelf:
                agree(shelf)
                found = entries(shelf, start)
                assert found in possible, f"after {done} steps and before {steps[done : done + 1]}: {found}"
                assert shelf.check().ok
                if opening:
                    shelf.expire()
                    assert entries(shelf, start) == found
                    engine = shelf._handle.engine
                    assert engine.count(FIRST, LAST) == len(found), "what had expired was not removed"
                    assert not list(engine.scan(*until(clock.now()), keys_only=True))
    return notes


def entries(shelf: Any, start: float) -> dict[Any, tuple[Any, int | None]]:
    times = {key: shelf.expires(key) for key in shelf}
    assert len(shelf) == len(times)
    return {key: (value, None if (time := times[key]) is None else round(time - start)) for key, value in shelf.items()}


def agree(shelf: Any) -> None:
    """Each entry with a time has its row in the index."""
    engine = shelf._handle.engine
    rows = {row_of(row) for row, _ in engine.scan(*INDEX, keys_only=True)}
    for key, entry in engine.scan(FIRST, LAST):
        time = time_of(entry.record)
        assert time is None or (time, key) in rows, f"{key!r} has no row in the index"


def start_anew() -> None:
    shutil.rmtree(os.path.dirname(path))
    os.mkdir(os.path.dirname(path))


def cut_short(seed: int, failpoints: str = "", kill_at: int = 0) -> str | None:
    """What is noted of a life with this end. None if it was not cut short."""

    def work() -> None:
        failpoint_names.arm(failpoints)
        live(seed, kill_at)

    child = fork(work)
    end(child, may_be_killed=True)
    notes = check(seed)
    start_anew()
    return None if " " in notes else notes


def remove_rows_first(engine: Any, now: int, most: int, timeout: float | None) -> int | None:
    """A sabotage: the rows of the index, and then the entries."""
    with engine.exclusive(timeout) as lock:
        found = removal(engine, now, most)
        if found is None:
            return None
        deletes = found[0].deletes
        rows = frozenset(key for key in deletes if INDEX[0] <= key < INDEX[1])
        lock.commit(Batch(deletes=rows))
        lock.commit(Batch(deletes=deletes - rows))
        return found[1]


def main() -> None:
    what, which, *sabotage = sys.argv[2:]
    is_long = which == "long"
    expiring._STEP = 10  # so that expire() takes several commits
    if sabotage:
        expiring._remove = remove_rows_first
    if what == "failpoints":
        for number, name in enumerate(failpoint_names.names()):
            for turn in range(1, 13) if is_long else (1, 2 + number % 3):
                # What goes straight to the base does so in the lives of odd seeds.
                seed = 1 if name.startswith("direct") else turn + number
                notes = cut_short(seed, f"{name}=kill@{turn}")
                if notes is not None:
                    say(name)
        return
    for seed in range(0, 16, 2) if is_long else (0,):
        end(fork(lambda: live(seed, FOREVER)))
        steps = int(check(seed).split()[1])
        start_anew()
        some = 200 if sabotage else 14  # the first that is found to be wrong is the last
        chosen = range(1, steps, 11) if is_long else random.Random(seed).sample(range(1, steps), some)
        say(sum(cut_short(seed, kill_at=at) is not None for at in chosen), len(chosen))


main()
