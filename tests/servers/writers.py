"""Processes that write one shelf while its server fails, and note the outcome of each call.

Each process sets its own entries. All processes count one counter up. A process notes which calls were acknowledged,
which failed for certain, and which have an unknown outcome.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import coshelf
from coshelf.errors import CoshelfError, OutcomeUnknown

__all__ = ["Told", "Work", "Writers", "check_nothing_lost", "lost", "writing"]


@dataclass(frozen=True)
class Work:
    """What each writer does.

    Attributes:
        keys: how many entries it sets in turn. With 0 each set has a new key.
        counts_every: after how many sets it counts.
        timeout: the timeout of the shelf, in seconds.
    """

    keys: int = 0
    counts_every: int = 4
    timeout: float = 60.0


@dataclass
class Told:
    """The outcomes of one writer's calls.

    Attributes:
        name: the name of the writer.
        kept: of each entry, the last number that was acknowledged, when that call began, and when it had returned.
        attempted: of each entry, the last number that was tried.
        counted: how often counting was acknowledged.
        doubtful: how often the outcome of counting is unknown.
        unknown: how often the outcome of setting an entry is unknown.
        failed: the errors of calls that failed for certain.
        slowest: seconds of the longest call.
    """

    name: int
    kept: dict[str, tuple[int, float, float]] = field(default_factory=dict)
    attempted: dict[str, int] = field(default_factory=dict)
    counted: int = 0
    doubtful: int = 0
    unknown: int = 0
    failed: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def call(self, work: Callable[[], object]) -> bool | None:
        """Whether the call took effect; None if that is unknown. An error of another kind ends the writer."""
        began = time.monotonic()
        try:
            work()
        except OutcomeUnknown:
            return None
        except CoshelfError as error:
            self.failed.append(f"{type(error).__name__}: {error}")
            return False
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)
        return True


class _Orders:
    """The orders of the test. Each line of input is a question. The end of input tells the writer to end."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.asked = 0  # how often the test asked whether it goes on
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for _ in sys.stdin:
            self.asked += 1
        self.over.set()


def write(url: str, name: int, work: Work) -> Told:
    """Write until the input ends. Answer each question after a write that began after the question."""
    told, orders, answered, number = Told(name), _Orders(), 0, 0
    with coshelf.open(url, timeout=work.timeout) as shelf:
        print("ready", flush=True)
        while not orders.over.is_set():
            number += 1
            mine = str(number % work.keys if work.keys else number)
            asked, began = orders.asked, time.monotonic()
            told.attempted[mine] = number
            outcome = told.call(lambda mine=mine, number=number: shelf.__setitem__((name, mine), number))  # type: ignore[misc]
            told.unknown += outcome is None
            if outcome:
                told.kept[mine] = number, began, time.monotonic()
                for _ in range(answered, asked):
                    print("went on", flush=True)
                answered = asked
            if number % work.counts_every == 0:
                outcome = told.call(lambda: _count(shelf))
                told.counted += outcome is True
                told.doubtful += outcome is None
    return told


def _count(shelf: coshelf.Shelf[Any, Any]) -> None:
    """Count up. On an engine without an exclusive lock, try again after each conflict."""
    if shelf.capabilities.exclusive is None:
        shelf.transact(lambda transaction: transaction.modify("count", lambda count: count + 1, 0), attempts=1000)
    else:
        shelf.modify("count", lambda count: count + 1, 0)


class _Writer:
    """One process that writes."""

    def __init__(self, url: str, name: int, work: Work) -> None:
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 (closed by end)
        command = [sys.executable, __file__, url, str(name), json.dumps(asdict(work))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )

    def expect(self, word: str) -> None:
        """Wait for a word from the process. If it has ended instead, fail at once and show how."""
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said == f"{word}\n", f"{said!r} instead of {word!r}: {self._how_it_ended()}"

    def ask(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def let_go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    def told(self) -> Told:
        """Wait until the process ends. Return the outcomes of its calls."""
        assert self._process.stdout is not None
        said = self._process.stdout.read()
        assert self._process.wait() == 0, self._how_it_ended()
        return Told(**json.loads(said))

    def _how_it_ended(self) -> str:
        self._process.kill()
        code = self._process.wait()
        self._errors.seek(0)
        return f"the writer ended with {code}:\n{self._errors.read()}"

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            stream.close()

    def kill(self) -> None:
        """Send SIGKILL, whatever the process does."""
        self._process.kill()
        self._process.wait()


class Writers:
    """Several processes that write the same shelf, until they are told to end."""

    def __init__(self, url: str, count: int, work: Work) -> None:
        self._writers = [_Writer(url, name, work) for name in range(count)]

    def see_them_ready(self) -> None:
        for writer in self._writers:
            writer.expect("ready")

    def see_them_go_on(self) -> None:
        """Return when each process has made a write that began after this call."""
        for writer in self._writers:
            writer.ask()
        for writer in self._writers:
            writer.expect("went on")

    def kill(self, number: int) -> None:
        """Kill one of the processes."""
        self._writers[number].kill()

    def finish(self) -> list[Told]:
        """End the processes, and return the outcomes of their calls."""
        for writer in self._writers:
            writer.let_go()
        return [writer.told() for writer in self._writers]

    def end(self) -> None:
        for writer in self._writers:
            writer.end()


@contextmanager
def writing(url: str, count: int, work: Work = Work()) -> Iterator[Writers]:
    """Writers that have the shelf open. They end with the block."""
    writers = Writers(url, count, work)
    try:
        writers.see_them_ready()
        yield writers
    finally:
        writers.end()


def lost(shelf: coshelf.Shelf[Any, Any], all_told: list[Told]) -> list[tuple[float, float]]:
    """When each lost write began and returned: it was acknowledged, but neither its value nor a later one is there."""
    there = dict(shelf.items(prefix=()))
    return [
        (began, returned)
        for told in all_told
        for mine, (number, began, returned) in told.kept.items()
        if not number <= there.get((told.name, mine), 0) <= told.attempted[mine]
    ]


def check_nothing_lost(shelf: coshelf.Shelf[Any, Any], all_told: list[Told]) -> None:
    """Assert that all acknowledged writes are there, and that the counter has each count once."""
    assert lost(shelf, all_told) == []
    counted = sum(told.counted for told in all_told)
    assert counted <= shelf["count"] <= counted + sum(told.doubtful for told in all_told)


if __name__ == "__main__":
    print(json.dumps(asdict(write(sys.argv[1], int(sys.argv[2]), Work(**json.loads(sys.argv[3]))))))
