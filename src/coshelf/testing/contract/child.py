"""Work in a forked child while the test watches."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import pytest

from coshelf.system.processes import forks
from coshelf.system.processes.endings import kill
from coshelf.system.waiting.polling import readable
from coshelf.testing.contract.task import PATIENCE

__all__ = ["Child", "Talk"]


class Talk:
    """The child's end of the talk with the test."""

    def __init__(self, told: int, heard: int) -> None:
        self._told = told
        self._heard = heard

    def say(self, text: object) -> None:
        """Send a line of text to the test."""
        os.write(self._told, f"{text}\n".encode())

    def hear(self) -> str:
        """Wait for a line of text from the test. If the test has ended, so does the child."""
        text = b""
        while not text.endswith(b"\n"):
            some = os.read(self._heard, 1)
            if not some:
                os._exit(0)
            text += some
        return text[:-1].decode()


class Child:
    """A forked child that calls a function, and ends with it. It is killed at the end of the block.

    Where processes do not fork, the test is skipped.
    """

    def __init__(self, work: Callable[[Talk], object]) -> None:
        if not forks.can_fork:
            pytest.skip("processes of this system do not fork")
        self._heard, told = os.pipe()
        hears, self._told = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
            self.pid = forks.fork()
        if self.pid == 0:
            os.close(self._heard)
            os.close(self._told)
            _run(work, Talk(told, hears))
        os.close(told)
        os.close(hears)
        self._text = b""
        self._is_over = False

    def heard(self) -> str:
        """The next line that it says; "" at its end."""
        while b"\n" not in self._text:
            assert readable((self._heard,), PATIENCE), f"the child said nothing for {PATIENCE:.0f} s"
            some = os.read(self._heard, 4096)
            if not some:
                return ""
            self._text += some
        line, _, self._text = self._text.partition(b"\n")
        return line.decode()

    def tell(self, text: str) -> None:
        """Send it a line."""
        os.write(self._told, text.encode() + b"\n")

    def kill(self) -> None:
        """Kill it, as nothing can prevent, and wait for its end. Harmless if repeated."""
        if not self._is_over:
            self._is_over = True
            kill(self.pid)
            os.waitpid(self.pid, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        os.close(self._heard)
        os.close(self._told)


def _run(work: Callable[[Talk], object], talk: Talk) -> None:
    """In the child: call the function. Never return to the test."""
    with suppress(BaseException):
        try:
            work(talk)
        except BaseException as error:
            talk.say(f"failed: {error!r}")
            traceback.print_exc(file=sys.__stderr__)
    os._exit(0)
