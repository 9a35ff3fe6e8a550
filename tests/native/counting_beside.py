"""Count in a shelf beside threads, forks and signals: ``python counting_beside.py threads|forks|signals PATH``.

Counting takes the log's mutex, or the exclusive lock, in one call of C. A wrong sum ends the program with an error.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import coshelf

__all__: list[str] = []

_ROUNDS = 25
_THREADS = 4
_CHILDREN = 6
_ALARMS = 60


def _add_one(value: int) -> int:
    return value + 1


def _ways(shelf: Any, name: str) -> list[Callable[[], Any]]:
    """Ways to add 1 to the sum. The last one takes an entry of its own out and adds what it held."""

    def pop() -> None:
        shelf[name] = 1
        shelf.incr("sum", shelf.pop(name))

    return [lambda: shelf.incr("sum"), lambda: shelf.modify("sum", _add_one, 0), pop]


def _count(shelf: Any, name: str) -> None:
    for _ in range(_ROUNDS):
        for way in _ways(shelf, name):
            way()


_PER_COUNTER = _ROUNDS * 3


class _Counters:
    """Threads that count. An error of theirs is raised at the end."""

    def __init__(self, shelf: Any, many: int) -> None:
        self._errors: list[Exception] = []
        self._threads = [threading.Thread(target=self._use, args=(shelf, f"thread {which}")) for which in range(many)]
        for thread in self._threads:
            thread.start()

    def _use(self, shelf: Any, name: str) -> None:
        try:
            _count(shelf, name)
        except Exception as error:
            self._errors.append(error)

    def join(self) -> None:
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]


def threads(shelf: Any) -> None:
    _Counters(shelf, _THREADS).join()
    assert shelf["sum"] == _THREADS * _PER_COUNTER, shelf["sum"]


def forks(shelf: Any) -> None:
    """Children that are forked in the middle of calls, and count as well."""
    counters = _Counters(shelf, _THREADS)
    children = []
    for number in range(_CHILDREN):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _count(shelf, f"child {number}")
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    counters.join()
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert shelf["sum"] == (_THREADS + _CHILDREN) * _PER_COUNTER, shelf["sum"]


def signals(shelf: Any) -> None:
    """Signals whose handler raises an error in the middle of calls: each call adds 1, or nothing."""

    chance, attempted, returned, handled = random.Random(7), 0, 0, 0

    class Alarm(BaseException):  # as KeyboardInterrupt
        pass

    def handle(*_: Any) -> None:
        nonlocal handled
        handled += 1
        raise Alarm  # which is ignored if a finalizer runs

    def add_until_handled() -> None:
        nonlocal attempted, returned
        before = handled
        while handled == before:
            attempted += 1
            adding[attempted % 2]()
            returned += 1

    signal.signal(signal.SIGALRM, handle)
    adding = _ways(shelf, "own")[:2]
    shelf["sum"] = 0
    while handled < _ALARMS or returned < _ALARMS:
        with contextlib.suppress(Alarm):  # unlike in an `except`, no instruction here is left out
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00001, 0.005))
            add_until_handled()
    assert returned <= shelf["sum"] <= attempted, (returned, shelf["sum"], attempted)
    assert attempted - returned <= handled


def main() -> None:
    part, path = sys.argv[1:]
    with coshelf.open(path) as shelf:
        {"threads": threads, "forks": forks, "signals": signals}[part](shelf)
    print(f"{part} done")


if __name__ == "__main__":
    main()
