"""Fixtures for crash tests: a directory to work in, and strace, which all of these tests need."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from strace import why_unusable


@pytest.fixture(scope="session", autouse=True)
def _strace() -> None:
    """Skip the tests if strace cannot be used. With CI=1, where all tests have to run, fail them."""
    reason = why_unusable()
    if reason and os.environ.get("CI") == "1":
        pytest.fail(f"crash tests need strace: {reason}")
    if reason:
        pytest.skip(f"crash tests need strace: {reason}")


@pytest.fixture
def scratch() -> Iterator[str]:
    """An empty directory, in /dev/shm if possible. These tests compute what is durable, and need no disk."""
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    directory = os.path.realpath(tempfile.mkdtemp(prefix="coshelf-crash-", dir=shared))
    yield directory
    shutil.rmtree(directory)
