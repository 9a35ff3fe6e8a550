"""Settings of all tests: random choices are the same in every run, and temporary files are in memory if possible."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from summary import pytest_terminal_summary as pytest_terminal_summary  # noqa: PLC0414  # a hook

from coshelf.system import clock
from thinning import is_repetition

collect_ignore_glob = ["*/scripts/*", "suites/adapters/*"]
"""Programs that tests start, and tests of frameworks that run elsewhere. Importing a program runs it."""


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what tests share: there are no examples in it, for which ``--doctest-modules`` would import it."""
    return True if collection_path.suffix == ".py" and not collection_path.name.startswith("test_") else None


settings.register_profile("repeatable", derandomize=True, database=None, deadline=None, print_blob=True)
settings.register_profile("search", database=None, deadline=None, print_blob=True, max_examples=1000)
settings.load_profile("repeatable")


_MEMORY = "/dev/shm"
_ENOUGH = 4 << 30


def _write_to_memory() -> None:
    """Have temporary files be in memory, for this process and those that it starts, unless TMPDIR is set.

    Tests make, sync and remove so many files that on a disk they mostly wait for it. `make test-long` is on a disk.
    """
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK):
        return
    found = os.statvfs(_MEMORY)
    if found.f_bavail * found.f_frsize >= _ENOUGH and not found.f_flag & os.ST_NOEXEC:  # some tests build programs
        os.environ["TMPDIR"] = _MEMORY
        tempfile.tempdir = None  # it may have been found already


_write_to_memory()


def _hear_signals() -> None:
    """Have programs that tests start hear signals, though a shell in the background has them ignore some."""
    for name in ("SIGINT", "SIGQUIT", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


_hear_signals()


def pytest_configure(config: pytest.Config) -> None:
    """Have `make test` fork the programs that tests start, instead of starting an interpreter for each."""
    if config.getoption("markexpr") == "not long" and hasattr(os, "fork"):
        from forked import FORK  # here: it imports the lmdb engine, which not every platform has

        os.environ[FORK] = "1"


def pytest_report_header() -> list[str]:
    """Say how hypothesis is seeded, and where files are. Seeds of ``random`` are in the names of tests."""
    return [
        "seeds: hypothesis is derandomized; --hypothesis-profile=search draws anew and prints what repeats a failure",
        f"temporary files: {tempfile.gettempdir()}",
    ]


@pytest.hookimpl(tryfirst=True)  # before ``-m`` selects by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave repetitions to `make test-long` (``thinning.py``)."""
    for test in items:
        if is_repetition(test):
            test.add_marker(pytest.mark.long)


def pytest_collection_finish() -> None:
    """Leave all that was collected out of garbage collections. With it, each takes a tenth of a second."""
    gc.freeze()


_REAL_CLOCK = clock.now
_OFTEN = 25
_TESTS = pytest.StashKey[int]()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Have each test begin with the real clock, whatever moved it before, and with few objects to collect.

    pytest keeps what it reports, and a server that runs in this process, such as moto, has 50,000 objects. Tests that
    collect garbage would take seconds.
    """
    clock.now = _REAL_CLOCK
    tests = item.config.stash[_TESTS] = item.config.stash.get(_TESTS, 0) + 1
    if tests % _OFTEN == 0:
        gc.collect()
        gc.freeze()
