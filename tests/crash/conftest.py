"""Fixtures for crash tests: a directory to work in, and strace, without which nothing here can be tested."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from strace import why_unusable


@pytest.fixture(scope="session", autouse=True)
def _strace() -> None:
    """Where tests have to run (CI=1), doing without strace is a failure; elsewhere the tests are skipped."""
    reason = why_unusable()
    if reason and os.environ.get("CI") == "1":
        pytest.fail(f"crash tests need strace: {reason}")
    if reason:
        pytest.skip(f"crash tests need strace: {reason}")


@pytest.fixture
def scratch() -> Iterator[str]:
    """An empty directory, in memory where there is one: what is durable is computed here, not waited for."""
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    directory = os.path.realpath(tempfile.mkdtemp(prefix="coshelf-crash-", dir=shared))
    yield directory
    shutil.rmtree(directory)
