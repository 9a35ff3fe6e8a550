"""Work in a forked child while the test watches."""

from __future__ import annotations

import os
import select
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

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
    """A forked child that calls a function, and ends with it. It is killed at the end of the block."""

    def __init__(self, work: Callable[[Talk], object]) -> None:
        self._heard, told = os.pipe()
        hears, self._told = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
            self.pid = os.fork()
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
            ready, _, _ = select.select([self._heard], [], [], PATIENCE)
            assert ready, f"the child said nothing for {PATIENCE:.0f} s"
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
            os.kill(self.pid, signal.SIGKILL)
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
