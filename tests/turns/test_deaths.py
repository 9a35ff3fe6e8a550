"""The ends of other processes are noticed, whatever ends them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from coshelf.system.processes import deaths as deaths_module
from coshelf.system.processes.deaths import Deaths
from coshelf.system.processes.identity import Process, this_process
from service_threads import service_threads

WAIT = 60.0
NAME = "coshelf-test-deaths"


@pytest.fixture(params=["told by the kernel", "looked for"])
def deaths(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deaths]:
    if request.param == "looked for":
        monkeypatch.delattr(os, "pidfd_open")
    made = Deaths(NAME)
    yield made
    made.close()


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


def process_of(pid: int) -> Process:
    here = this_process()
    with open(f"/proc/{pid}/stat", "rb") as file:
        return here._replace(pid=pid, start=int(file.read().rpartition(b") ")[2].split()[19]))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_end_is_told_once(deaths: Deaths, how: signal.Signals) -> None:
    child, told, calls = sleeper(), threading.Event(), []

    def ended() -> None:
        calls.append(threading.get_ident())
        told.set()

    deaths.watch(process_of(child.pid), ended)
    assert not told.is_set()
    child.send_signal(how)
    assert told.wait(WAIT)
    child.wait()
    deaths.look()
    assert len(calls) == 1
    assert calls[0] != threading.get_ident()


def test_process_that_has_ended_already_is_told_at_once(deaths: Deaths) -> None:
    child = sleeper()
    process = process_of(child.pid)
    child.kill()
    child.wait()
    calls: list[int] = []
    deaths.watch(process, lambda: calls.append(threading.get_ident()))
    assert calls == [threading.get_ident()]
    assert not deaths.is_running


def test_later_process_of_the_same_number_is_not_taken_for_it(deaths: Deaths) -> None:
    child = sleeper()
    calls: list[None] = []
    found = process_of(child.pid)
    deaths.watch(found._replace(start=found.start - 1), lambda: calls.append(None))
    assert calls == [None]
    child.kill()
    child.wait()


def test_stopped_process_has_not_ended(deaths: Deaths) -> None:
    stopped, killed, told, calls = sleeper(), sleeper(), threading.Event(), []
    stopped.send_signal(signal.SIGSTOP)
    deaths.watch(process_of(stopped.pid), lambda: calls.append("stopped"))
    deaths.watch(process_of(killed.pid), told.set)
    killed.kill()
    assert told.wait(WAIT)
    deaths.look()
    assert calls == []
    stopped.kill()
    for each in (stopped, killed):
        each.wait()


def test_watch_that_was_cancelled_calls_nothing(deaths: Deaths) -> None:
    cancelled, other, told, calls = sleeper(), sleeper(), threading.Event(), []
    deaths.watch(process_of(cancelled.pid), lambda: calls.append(None)).cancel()
    cancelled.kill()
    cancelled.wait()
    deaths.watch(process_of(other.pid), told.set)
    other.kill()
    assert told.wait(WAIT)
    deaths.look()
    assert calls == []
    other.wait()


def test_process_of_another_namespace_is_told_by_other_means(deaths: Deaths) -> None:
    lives, told = [True], threading.Event()
    elsewhere = this_process()._replace(namespace=1, pid=1)
    deaths.watch(elsewhere, told.set, lives=lambda: lives[0])
    deaths.look()
    assert not told.is_set()
    lives[0] = False
    assert told.wait(WAIT)


def test_thread_ends_when_nothing_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deaths_module, "_LINGER", 0.01)
    child, deaths = sleeper(), Deaths(NAME)
    deaths.watch(process_of(child.pid), lambda: None, is_needed=lambda: False)
    for thread in service_threads(NAME):
        thread.join(WAIT)
    assert not deaths.is_running
    assert deaths._watches == []
    child.kill()
    child.wait()


def test_fork_keeps_the_watch_and_its_child_has_none(deaths: Deaths) -> None:
    child, told = sleeper(), threading.Event()
    deaths.watch(process_of(child.pid), told.set)
    pid = os.fork()
    if not pid:
        os._exit(len(deaths._watches) + deaths.is_running)
    assert os.waitpid(pid, 0)[1] == 0
    child.kill()
    assert told.wait(WAIT)
    child.wait()


def test_function_that_is_interrupted_is_called_again(deaths: Deaths, monkeypatch: pytest.MonkeyPatch) -> None:
    child, calls = sleeper(), []

    def ended() -> None:
        calls.append(None)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(deaths, "_start", lambda: None)
    deaths.watch(process_of(child.pid), ended)
    child.kill()
    child.wait()
    with pytest.raises(KeyboardInterrupt):
        deaths.look()
    deaths.look()
    deaths.look()
    assert len(calls) == 2


@pytest.mark.parametrize("is_started", [False, True])
def test_start_that_is_interrupted_is_tried_again(
    deaths: Deaths, monkeypatch: pytest.MonkeyPatch, is_started: bool
) -> None:
    first, second, told = sleeper(), sleeper(), threading.Semaphore(0)
    with monkeypatch.context() as patched:
        start = deaths_module.ServiceThread.start

        def interrupted(thread: deaths_module.ServiceThread) -> None:
            if is_started:
                start(thread)
            raise KeyboardInterrupt

        patched.setattr(deaths_module.ServiceThread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            deaths.watch(process_of(first.pid), told.release)
    assert not deaths.is_running
    deaths.watch(process_of(second.pid), told.release)
    for child in (first, second):
        child.kill()
        child.wait()
        assert told.acquire(timeout=WAIT)


def open_descriptors() -> Counter[str]:
    """How many descriptors this process has of each file or kind."""
    found: Counter[str] = Counter()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the directory itself
            found[os.readlink(f"/proc/self/fd/{name}")] += 1
    return found


def test_closing_leaves_no_descriptors(deaths: Deaths) -> None:
    before = open_descriptors()
    children = [sleeper() for _ in range(3)]
    for child in children:
        deaths.watch(process_of(child.pid), lambda: None)
    deaths.close()
    for thread in service_threads(NAME):
        thread.join(WAIT)
    # What other tests have left may be closed meanwhile.
    assert open_descriptors() - before == Counter()
    for child in children:
        child.kill()
        child.wait()
