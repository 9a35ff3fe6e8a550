"""Worker processes: small programs that talk to the test by lines on their standard input and output."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from types import TracebackType
from typing import Any, Self

import coshelf
from coshelf.engines.lmdb.delta.files import decide_kind
from coshelf.engines.lmdb.delta.state import LOG
from forked import get_ready, start
from starting import Program, environment, words_of

_OPTIONS = ("-W", "error")
INTERRUPTIBLE = (*_OPTIONS, "-W", "ignore::ResourceWarning")
"""Options of a program that is interrupted anywhere, such as between ``open`` and its ``with``: Python closes the file
then, and warns."""
# Put before the text of a program in a test. A program in a file has its own imports.
PRELUDE = """
import os, signal, sys, threading, time
import coshelf
from coshelf.errors import *
from talking import hear, path, reap, say
"""


class Worker:
    """One process that runs a program. The program gets ``path``, ``say``, ``hear`` and ``reap`` from ``talking``.

    ``within`` is a command that starts it. A ``fresh`` one has imported nothing before the program begins.
    """

    def __init__(
        self,
        program: Program,
        *arguments: object,
        options: tuple[str, ...] = _OPTIONS,
        within: tuple[str, ...] = (),
        fresh: bool = False,
    ) -> None:
        if isinstance(program, str):
            program = PRELUDE + textwrap.dedent(program)
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 (closed by end)
        streams: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors, "bufsize": 1}
        if fresh or within:
            command = [*within, sys.executable, *options, *words_of(program), *map(str, arguments)]
            self.process = subprocess.Popen(command, text=True, env=environment(), **streams)
        else:
            self.process = start(program, *arguments, environment=environment(), options=options, **streams)

    @property
    def pid(self) -> int:
        return self.process.pid

    def tell(self, word: object = "go") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        """The next line that the worker prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.endswith("\n"), f"the worker ended early, with {self.process.wait()}:\n{self.errors()}"
        return line.rstrip("\n")

    def expect(self, word: str) -> None:
        heard = self.hear()
        assert heard == word, f"{heard!r} instead of {word!r}:\n{self.errors()}"

    def finish(self, code: int = 0) -> list[str]:
        """Wait until the worker ends with this exit code. Return the lines that were not read yet."""
        said = self.rest()
        assert self.process.returncode == code, f"the worker ended with {self.process.returncode}:\n{self.errors()}"
        if code == 0:
            assert not self.errors(), self.errors()
        return said.splitlines()

    def rest(self) -> str:
        """What the worker prints until it ends. Popen.communicate() loses what readline() has read ahead."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        said = self.process.stdout.read()
        self.process.wait()
        return said

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read()

    def _show_where_it_is(self) -> None:
        """Print a traceback of the worker, which pytest shows if the test fails."""
        self.process.send_signal(signal.SIGUSR1)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.1)
        print(f"pid {self.pid} was alive at the end:\n{self.errors()}")

    def end(self) -> None:
        if self.process.poll() is None:
            self._show_where_it_is()
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._errors):
            if stream is not None and not stream.closed:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


class Crew:
    """All workers of a test."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []

    def start(
        self,
        program: Program,
        *arguments: object,
        options: tuple[str, ...] = _OPTIONS,
        within: tuple[str, ...] = (),
        fresh: bool = False,
    ) -> Worker:
        """Start a worker. ``within`` is a command that starts it, such as one that makes a container."""
        worker = Worker(program, *arguments, options=options, within=within, fresh=fresh)
        self._workers.append(worker)
        return worker

    def start_many(self, number: int, program: Program, *arguments: object) -> list[Worker]:
        """Start workers with their number as last argument. When all have said "ready", each is told "go"."""
        workers = [self.start(program, *arguments, index) for index in range(number)]
        for worker in workers:
            worker.expect("ready")
        for worker in workers:
            worker.tell()
        return workers

    def run(self, program: Program, *arguments: object, options: tuple[str, ...] = _OPTIONS) -> list[str]:
        """Run one worker to its end, and return the lines that it printed."""
        return self.start(program, *arguments, options=options).finish()

    def __enter__(self) -> Self:
        get_ready(environment(), _OPTIONS)  # now, and not while a test counts processes or descriptors
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.end()


def sidecars(path: str) -> list[str]:
    """The sidecars of this shelf while it is open and written, as ``beside`` names them. A log has no lock file."""
    names = ["base-lock", "delta", "delta-lock", "state"]
    if decide_kind(path, os.stat(path)) == LOG:
        names.remove("delta-lock")
    return [f".a.shelf.coshelf/{name}" for name in names]


def beside(path: str) -> list[str]:
    """The names in the shelf's directory, the shelf first, and those in the directory of its sidecars."""
    place = os.path.dirname(path)
    found = []
    for name in sorted(os.listdir(place), key=lambda name: name.lstrip(".")):
        inside = sorted(os.listdir(os.path.join(place, name))) if name.endswith(".coshelf") else []
        found += [f"{name}/{each}" for each in inside] or [name]
    return found


# --- run by children of multiprocessing and of executors -------------------------------------------------------------


def count_up(shelf: coshelf.Shelf[Any, Any], rounds: int) -> int:
    """Count in a shelf that another process passed on. Return the pid of this process."""
    for _ in range(rounds):
        shelf.modify("count", lambda number: number + 1, default=0)
    return os.getpid()


def count_up_and_close(shelf: coshelf.Shelf[Any, Any], rounds: int) -> None:
    with shelf:
        count_up(shelf, rounds)


def count_in_sub(sub: coshelf.Shelf[Any, Any]) -> list[Any]:
    sub["child"] = os.getpid()
    return list(sub)


def square_by_path(path: str, number: int) -> int:
    with coshelf.open(path) as shelf:
        shelf[number] = number * number
    return number
