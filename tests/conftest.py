"""Settings of all tests: random choices are the same in every run."""

from __future__ import annotations

import pytest
from hypothesis import settings

from coshelf.system import clock

collect_ignore_glob = ["*/scripts/*", "processes/talking.py"]
"""Programs that tests start. pytest does not collect them, because importing them runs them."""

settings.register_profile("repeatable", derandomize=True, database=None, deadline=None, print_blob=True)
settings.register_profile("search", database=None, deadline=None, print_blob=True, max_examples=1000)
settings.load_profile("repeatable")


def pytest_report_header() -> str:
    """Say how hypothesis is seeded. Seeds of ``random`` are in the names of tests."""
    return "seeds: hypothesis is derandomized; --hypothesis-profile=search draws anew and prints what repeats a failure"


_REAL_CLOCK = clock.now


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Have each test begin with the real clock, whatever moved it before."""
    clock.now = _REAL_CLOCK
