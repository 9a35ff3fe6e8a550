"""Processes that meet: one is stopped or killed at a chosen place, others come, work and go, and it goes on.

Run by a worker. A place is a failpoint, by its name, or a step: the n-th call into C that returns inside the library,
counted from opening, which makes the shelf, to closing. All of them are writers of the bank, so the audits know what
there must be: a commit that is invisible, doubled or lost is found.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import failpoint_names
from children import at_each_step, end, fork, has_ended, is_asleep, kill

import coshelf
from bank import Auditor, Writer, refuse_equal_versions

__all__ = ["Meeting", "count_steps"]

# While the first is stopped, a visitor may have to wait for it: taken for granted when it was found asleep so many
# times in a row, a millisecond apart. One that waits for the processor is not asleep.
_ASLEEP = 30
_STAY = ".stay"  # behind the path of the shelf
_TURNS_TO_FAILPOINT = 34  # each kind of commit twice
_TURNS_OF_STEPS = 6


@dataclass(frozen=True)
class Meeting:
    """How they meet.

    Attributes:
        place: the name of a failpoint, or the number of a step.
        action: "pause": it goes on later. "kill": it dies there. "pause and kill": it dies while another is at work.
        turn: the how many-th time that the process gets to the failpoint.
        keeper: whether yet another process has the shelf open all the time.
        stays: whether the visitor is half way through its turns when the first goes on, and until it has ended.
    """

    place: str | int
    action: str
    durability: str
    flush_interval: float
    keeper: bool
    turn: int = 1
    stays: bool = False

    def take_place(self, directory: str) -> bool:
        """Let them meet in this new directory; False if the place was not reached."""
        os.mkdir(directory)
        path = os.path.join(directory, "a.shelf")
        stopped = os.path.join(directory, "stopped")
        with self._keeper(path):
            first = fork(lambda: self._work(path, stopped))
            reached = self._meet(path, first, stopped)
        end(self._visitor(path, "dan"))
        refuse_equal_versions(path)
        return reached

    def _open(self, path: str) -> coshelf.Shelf[Any, Any]:
        return coshelf.open(path, durability=self.durability, flush_interval=self.flush_interval, timeout=60)

    @contextmanager
    def _keeper(self, path: str) -> Iterator[None]:
        if not self.keeper:
            yield
            return
        opened, says_so = os.pipe()

        def keep() -> None:
            with self._open(path):
                os.write(says_so, b".")
                signal.pause()

        keeper = fork(keep)
        os.read(opened, 1)
        os.close(opened)
        os.close(says_so)
        try:
            yield
        finally:
            kill(keeper)

    def _work(self, path: str, stopped: str) -> None:
        """The first one."""
        dies = self.action == "kill"
        turns = _TURNS_OF_STEPS
        if isinstance(self.place, str):
            failpoint_names.arm(f"{self.place}={'kill' if dies else f'pause:{stopped}'}@{self.turn}")
            turns = _TURNS_TO_FAILPOINT
        else:
            _stop_at_step(self.place, None if dies else stopped)
        _open_work_and_close(self._open, path, turns)

    def _visitor(self, path: str, name: str) -> int:
        """A process that opens the shelf, audits it, writes, audits it again and closes it."""

        def visit() -> None:
            with self._open(path) as shelf:
                auditor = Auditor(shelf, path, random.Random(f"{self}{name}"))
                auditor.audit()
                writer = Writer(shelf, path, name)
                writer.take_turns(3)
                _wait_while_there_is(path + _STAY)
                auditor.audit()
                writer.take_turns(3)
                auditor.audit()

        return fork(visit)

    def _meet(self, path: str, first: int, stopped: str) -> bool:
        code = None
        while code is None and not os.path.exists(stopped):
            time.sleep(0.0005)
            code = has_ended(first)
        if code is not None:
            assert code in (0, -signal.SIGKILL), f"the first ended with {code}"
            end(self._visitor(path, "bob"))
            return code != 0
        if self.stays:
            _make(path + _STAY)
        visitor = self._visitor(path, "bob")
        done = _ends_or_waits(visitor)
        if self.action == "pause":
            os.unlink(stopped)
        else:
            kill(first)
        if self.stays:
            if self.action == "pause":
                end(first)
            os.unlink(path + _STAY)
        second = self._visitor(path, "cy")
        if self.action == "pause" and not self.stays:
            end(first)
        if not done:
            end(visitor)
        end(second)
        return True


def _make(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


def _wait_while_there_is(path: str) -> None:
    while os.path.exists(path):
        time.sleep(0.005)


def _ends_or_waits(pid: int) -> bool:
    """Wait until a child has ended with code 0 or waits for another process. Return whether it has ended."""
    asleep = 0
    while asleep < _ASLEEP:
        code = has_ended(pid)
        if code is not None:
            assert code == 0, f"a visitor ended with {code}"
            return True
        asleep = asleep + 1 if is_asleep(pid) else 0
        time.sleep(0.001)
    return False


def _open_work_and_close(open_shelf: Callable[[str], coshelf.Shelf[Any, Any]], path: str, turns: int) -> None:
    with open_shelf(path) as shelf:
        Writer(shelf, path, "ann").take_turns(turns)
        shelf.sync()


def _stop_at_step(number: int, stopped: str | None) -> None:
    """At this step make the file ``stopped`` and wait until it is gone. Without a file, kill this process."""
    step = 0

    def count() -> None:
        nonlocal step
        step += 1
        if step != number:
            return
        if stopped is None:
            os.kill(os.getpid(), signal.SIGKILL)
            return
        _make(stopped)
        _wait_while_there_is(stopped)

    at_each_step(count)


def count_steps(directory: str, durability: str) -> int:
    """How many steps there are."""
    os.mkdir(directory)
    count = os.path.join(directory, "count")

    def work() -> None:
        steps = 0

        def step() -> None:
            nonlocal steps
            steps += 1

        at_each_step(step)
        _open_work_and_close(
            lambda path: coshelf.open(path, durability=durability), os.path.join(directory, "a.shelf"), _TURNS_OF_STEPS
        )
        at_each_step(lambda: None)
        with open(count, "w", encoding="utf-8") as file:
            file.write(str(steps))

    end(fork(work))
    with open(count, encoding="utf-8") as file:
        return int(file.read())
