"""A process is stopped while it holds a log's mutex: others wait, can be interrupted, and go on when it goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

INTERRUPTED = 42


def row(key: bytes, body: bytes) -> tuple[bytes, bytes, int]:
    from logs import row

    return row(key, body)


def child(run: Callable[[], object]) -> int:
    """Run a function in a forked process. Its status is 42 if Ctrl-C ended it."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        run()
        status = 0
    except KeyboardInterrupt:
        status = INTERRUPTED
    finally:
        os._exit(status)


@pytest.fixture
def stopped(files: Any) -> Iterator[int]:
    """The process that is stopped in the middle of a commit."""
    log = files.made()
    log.put(*row(b"k", b"old"))

    def commit() -> None:
        mine = files.open()
        mine.commit([row(b"k", b"new")], False, [], mine.stamp(), lambda: os.kill(os.getpid(), signal.SIGSTOP))

    pid = child(commit)
    _, status = os.waitpid(pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    yield pid
    os.kill(pid, signal.SIGCONT)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize("call", ["put", "commit", "swap", "remove", "take_number", "barrier"])
def test_a_waiting_call_can_be_interrupted(files: Any, stopped: int, call: str) -> None:
    reading, writing = os.pipe()

    def wait() -> None:
        log = files.open()
        calls: dict[str, Callable[[], object]] = {
            "put": lambda: log.put(*row(b"n", b"v")),
            "commit": lambda: log.commit([row(b"n", b"v")], False, [], log.stamp(), None),
            "swap": lambda: log.swap(0),
            "remove": lambda: log.remove(0),
            "take_number": log.take_number,
            "barrier": log.barrier,
        }
        os.write(writing, b".")
        calls[call]()

    waiting = child(wait)
    assert os.read(reading, 1) == b"."
    os.close(reading)
    os.close(writing)
    os.kill(waiting, signal.SIGINT)
    assert os.waitstatus_to_exitcode(os.waitpid(waiting, 0)[1]) == INTERRUPTED
    assert files.open().get(b"n") is None


def test_readers_do_not_wait(files: Any, stopped: int) -> None:
    log = files.open()
    assert log.get(b"k")[:-12] == b"old"
    assert [record[:-12] for _, record in log.rows(b"", None)] == [b"old"]


def test_writers_go_on_behind_it(files: Any, stopped: int) -> None:
    waiting = child(lambda: files.open().put(*row(b"n", b"v")))
    assert os.waitpid(waiting, os.WNOHANG) == (0, 0)
    os.kill(stopped, signal.SIGCONT)
    assert os.waitpid(waiting, 0)[1] == 0
    log = files.open()
    assert log.get(b"k")[:-12] == b"new"
    assert log.get(b"n")[:-12] == b"v"


def test_another_writer_takes_over_behind_its_death(files: Any) -> None:
    log = files.made()
    log.put(*row(b"k", b"old"))

    def commit() -> None:
        mine = files.open()
        mine.commit([row(b"k", b"new")], False, [], mine.stamp(), lambda: os.kill(os.getpid(), signal.SIGKILL))

    os.waitpid(child(commit), 0)
    assert log.get(b"k")[:-12] == b"old"
    assert log.put(*row(b"n", b"v")) == 3
    assert [record[:-12] for _, record in log.rows(b"", None)] == [b"old", b"v"]
