"""Frameworks' own test suites pass with our adapters: ``make suites``, one suite a test."""

from __future__ import annotations

import adapter_suite
import pytest
from sdists import needed

SUITES = adapter_suite.suites()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "entry", [pytest.param(entry, marks=[pytest.mark.long] * suite.long) for entry, suite in SUITES.items()]
)
def test_own_suite_passes(entry: str) -> None:
    with needed():
        counts = adapter_suite.run(entry, SUITES[entry])
    assert counts.good, counts.complaint
