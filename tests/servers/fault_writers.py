"""Processes that write while servers are killed, and note what was acknowledged."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from typing import Any

import coshelf


@dataclass
class Notes:
    """What a writer saw.

    Attributes:
        kept: number of each write that returned, with when it began and when it had returned.
        unknown: numbers of those of which nobody can say.
        counted: increments of the common counter that returned.
        doubtful: increments of which nobody can say.
        errors: other errors, as text.
        slowest: seconds of the longest call.
    """

    kept: dict[int, tuple[float, float]] = field(default_factory=dict)
    unknown: list[int] = field(default_factory=list)
    counted: int = 0
    doubtful: int = 0
    errors: list[str] = field(default_factory=list)
    slowest: float = 0.0


def _write(
    url: str, name: int, timeout: float, started: Any, asked: Any, went_on: Any, over: Event, results: Any
) -> None:
    notes, told = Notes(), 0  # how often it was asked whether it goes on, when it last told
    with coshelf.open(url, timeout=timeout) as shelf:
        started.release()
        number = 0
        while not over.is_set():
            number += 1
            turn = asked.value
            began = time.monotonic()
            try:
                shelf[name, number] = number
                notes.kept[number] = began, time.monotonic()
                if turn > told:
                    told = turn
                    went_on.release()
            except coshelf.OutcomeUnknown:
                notes.unknown.append(number)
            except coshelf.CoshelfError as error:
                notes.errors.append(f"{type(error).__name__}: {error}")
            if number % 4 == 0:
                try:
                    shelf.transact(lambda transaction: transaction.modify("n", lambda n: n + 1, 0), attempts=1000)
                    notes.counted += 1
                except coshelf.OutcomeUnknown:
                    notes.doubtful += 1
                except coshelf.CoshelfError as error:
                    notes.errors.append(f"{type(error).__name__}: {error}")
            notes.slowest = max(notes.slowest, time.monotonic() - began)
    results.put((name, notes))


class Writers:
    """Several processes that write the same shelf, until they are told to end."""

    def __init__(self, url: str, count: int, timeout: float = 60.0) -> None:
        context = multiprocessing.get_context("forkserver")
        self._over = context.Event()
        self._results = context.Queue()
        started = context.Semaphore(0)
        self._asked, self._went_on = context.Value("i", 0), context.Semaphore(0)
        shared = (self._asked, self._went_on, self._over, self._results)
        self._processes = [
            context.Process(target=_write, args=(url, name, timeout, started, *shared), daemon=True)
            for name in range(count)
        ]
        for process in self._processes:
            process.start()
        for _ in self._processes:
            assert started.acquire(timeout=60)

    def see_them_go_on(self) -> None:
        """Return when each has made a write that it began after this call."""
        with self._asked.get_lock():
            self._asked.value += 1
        for _ in self._processes:
            assert self._went_on.acquire(timeout=60)

    def finish(self) -> dict[int, Notes]:
        self._over.set()
        notes = dict(self._results.get(timeout=60) for _ in self._processes)
        for process in self._processes:
            process.join(30)
            assert process.exitcode == 0
        return notes


def lost(shelf: coshelf.Shelf[Any, Any], notes: dict[int, Notes]) -> list[tuple[float, float]]:
    """When the writes began that are not there, and when they had been acknowledged."""
    there = set(shelf.keys(prefix=()))
    return [when for name, each in notes.items() for number, when in each.kept.items() if (name, number) not in there]
