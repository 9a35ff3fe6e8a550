"""A process that uses a shelf: ``python worker.py STEP TARGET ARGUMENT ...``. It says a line after each thing done."""

from __future__ import annotations

import contextlib
import queue
import sys
from collections.abc import Callable
from typing import Any

import coshelf


def say(*words: object) -> None:
    print(*words, flush=True)


def hear() -> str:
    return sys.stdin.readline().strip()


def count(shelf: Any, rounds: str) -> None:
    """Count in one entry, by three ways to do so."""
    say("ready")
    hear()
    for number in range(int(rounds)):
        if number % 3 == 0:
            shelf.incr("count")
        elif number % 3 == 1:
            shelf.modify("count", lambda found: found + 1, default=0)
        else:
            with shelf.transaction() as transaction:
                transaction["count"] = transaction.get("count", 0) + 1
    say("counted")


def hold(shelf: Any) -> None:
    """Hold a lock until killed."""
    with shelf.lock("turn"):
        say("holds")
        hear()


def transact(shelf: Any) -> None:
    """Stay within a transaction until killed."""
    with shelf.transaction() as transaction:
        transaction["begun"] = "half"
        say("within")
        hear()


def take(shelf: Any) -> None:
    """Take items of a queue until there are none."""
    jobs = shelf.queue("jobs")
    say("ready")
    hear()
    with contextlib.suppress(queue.Empty):
        while True:
            with jobs.take(block=False) as job:
                say(job)
    say("empty")


def wait(shelf: Any, key: str) -> None:
    """Wait until another process stores an entry."""
    say("waits")
    say(shelf.wait(key, timeout=60))


def watch(shelf: Any, until: str) -> None:
    """Tell of changes until one of this key."""
    with shelf.watch(timeout=60) as changes:
        say("watches")
        for change in changes:
            say(change.kind, change.key)
            if change.key == until:
                return


def read(shelf: Any) -> None:
    say(sorted(shelf.items()))


STEPS: dict[str, Callable[..., None]] = {
    "count": count,
    "hold": hold,
    "read": read,
    "take": take,
    "transact": transact,
    "wait": wait,
    "watch": watch,
}

if __name__ == "__main__":
    step, target, *arguments = sys.argv[1:]
    with coshelf.open(target) as shelf:
        STEPS[step](shelf, *arguments)
