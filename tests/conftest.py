"""Settings of all tests: random choices are the same in every run."""

from __future__ import annotations

from hypothesis import settings

collect_ignore_glob = ["*/scripts/*", "processes/talking.py"]
"""Programs that tests start. pytest does not collect them, because importing them runs them."""

settings.register_profile("repeatable", derandomize=True, database=None, deadline=None, print_blob=True)
settings.register_profile("search", database=None, deadline=None, print_blob=True, max_examples=1000)
settings.load_profile("repeatable")


def pytest_report_header() -> str:
    """Say how hypothesis is seeded. Seeds of ``random`` are in the names of tests."""
    return "seeds: hypothesis is derandomized; --hypothesis-profile=search draws anew and prints what repeats a failure"
