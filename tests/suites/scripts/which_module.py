"""A plugin of pytest: the tests of this process use the module that they are said to use."""

from __future__ import annotations

import importlib
import os


def pytest_configure() -> None:
    """Fail unless the name that the programs import finds the expected module."""
    name, expected = os.environ["SUITES_NAME"], os.environ["SUITES_EXPECTED"]
    found = importlib.import_module(name).__name__
    assert found == expected, f"{name} is {found}, expected {expected}"
