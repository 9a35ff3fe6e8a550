"""For pytest, within an environment: fails the run if something was not taken away, and writes what ran."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from lacking import LACKING
from lacking.counting import NOTES
from lacking.hiding import is_hidden
from lacking.probes import not_refused
from lacking.tables import lacking

__all__ = ["OUTCOMES"]

OUTCOMES = "COSHELF_TESTS_OUTCOMES"
"""The variable with the path of the file into which outcomes of tests are written."""
_TRY = "import sys; from lacking.plugin import said; sys.exit(said())"
_outcomes: dict[str, str] = {}


def said() -> str | None:
    """A sentence about what this process has, though it is to be lacking; None if all is as it is to be."""
    there = not_refused(lacking(os.environ[LACKING]))
    return f"not refused: {', '.join(there)}" if there else None


def pytest_configure(config: pytest.Config) -> None:
    """Try everything in a child, which has what this process has. It leaves no notes about its own tries."""
    if not is_hidden():
        raise pytest.UsageError("this process has not begun in the environment")
    environment = {name: value for name, value in os.environ.items() if name != NOTES}
    child = subprocess.run([sys.executable, "-c", _TRY], check=False, capture_output=True, text=True, env=environment)
    if child.returncode:
        raise pytest.UsageError(child.stderr)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome != "passed":
        known = _outcomes.get(report.nodeid)
        _outcomes[report.nodeid] = "failed" if "failed" in (known, report.outcome) else report.outcome


def pytest_sessionfinish(session: Any) -> None:
    if OUTCOMES in os.environ:
        with open(os.environ[OUTCOMES], "w", encoding="utf-8") as file:
            json.dump(_outcomes, file)
