"""Starts programs of tests in forks of a process that has imported coshelf: most run for less time than that takes.

`make test` starts them so, and `make test-long` starts an interpreter for each.
"""

from __future__ import annotations

import atexit
import functools
import marshal
import os
import socket
import subprocess
import sys
import threading
from typing import Any

import fork_server
from starting import Program, words_of

__all__ = ["FORK", "get_ready", "run", "start"]

FORK = "COSHELF_TESTS_FORK"
"""The variable that says whether programs are forked."""
_AT_START = ("PYTHON", "COSHELF_NATIVE", "LANG", "LC_", "LD_", "MALLOC_", "TZ")
"""Beginnings of the variables that are read when an interpreter starts or coshelf is imported."""


class ForkServer:
    """The process that forks, for programs with the same options and the same variables in ``_AT_START``."""

    def __init__(self, options: tuple[str, ...], environment: dict[str, str]) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._turn = threading.Lock()
        with theirs:
            command = [sys.executable, *options, "-c", fork_server.MAIN]
            # A pipe, because standard output of most programs is one: a file or a terminal is written in another way.
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=subprocess.PIPE, env=environment)
        assert self._process.stdout is not None
        self._process.stdout.close()
        atexit.register(self._end)

    def _end(self) -> None:
        self._requests.close()
        self._process.wait()

    def ask(self, request: bytes, descriptors: list[int]) -> None:
        with self._turn:
            socket.send_fds(self._requests, [request], descriptors)


@functools.cache
def _server_with(options: tuple[str, ...], variables: tuple[tuple[str, str], ...]) -> ForkServer:
    others = {name: value for name, value in os.environ.items() if not name.startswith(_AT_START)}
    return ForkServer(options, others | dict(variables))


def get_ready(environment: dict[str, str], options: tuple[str, ...] = ()) -> ForkServer | None:
    """The process to fork for programs with this environment, or None if programs are not forked."""
    if FORK not in os.environ:
        return None
    names = sorted(name for name in environment if name.startswith(_AT_START) and name != fork_server.FAILPOINTS)
    return _server_with(options, tuple((name, environment[name]) for name in names))


def start(
    program: Program, *arguments: object, environment: dict[str, str], options: tuple[str, ...] = (), **streams: Any
) -> subprocess.Popen[str]:
    """Start a program that imports coshelf before all else. ``streams`` are arguments of Popen."""
    words = [*map(str, arguments)]
    server = get_ready(environment, options)
    if server is not None:
        return Forked(server, program, words, environment, **streams)
    command = [sys.executable, *options, *words_of(program), *words]
    return subprocess.Popen(command, text=True, env=environment, **streams)


def run(
    program: Program, *arguments: object, environment: dict[str, str], options: tuple[str, ...] = (), timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a program as :func:`start`, to its end, which has to come within ``timeout`` seconds."""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with start(program, *arguments, environment=environment, options=options, **streams) as process:
        try:
            said, errors = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, said, errors)


class Forked(subprocess.Popen[str]):
    """A program in a fork of the server, which is its parent's parent. All else is as with Popen."""

    def __init__(
        self, server: ForkServer, program: Program, arguments: list[str], environment: dict[str, str], **streams: Any
    ) -> None:
        path = None if isinstance(program, str) else str(program)
        text = program if isinstance(program, str) else program.read_text("utf-8")
        self._server = server
        self._request = marshal.dumps((os.getcwd(), environment, text, path, arguments))
        super().__init__([path or "-c", *arguments], text=True, **streams)

    def _execute_child(self, *given: Any) -> None:
        stdin, _, _, stdout, _, stderr = pipes = given[10:16]
        self._told, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server.ask(self._request, [stdin, stdout, stderr, theirs.fileno()])
        self.pid = int(self._told.recv(32))
        self._child_created = True
        popen: Any = self
        popen._close_pipe_fds(*pipes)

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        try:
            status = self._told.recv(32, socket.MSG_DONTWAIT if wait_flags & os.WNOHANG else 0)
        except BlockingIOError:
            return 0, 0
        self._told.close()
        return self.pid, int(status)

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        popen: Any = self
        if self.returncode is None and popen._waitpid_lock.acquire(blocking=False):  # else another thread waits
            try:
                pid, status = self._try_wait(os.WNOHANG)
                if pid:
                    popen._handle_exitstatus(status)
            finally:
                popen._waitpid_lock.release()
        return self.returncode
