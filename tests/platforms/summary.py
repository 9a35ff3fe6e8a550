"""Says at the end which tests ran where something was lacking."""

from __future__ import annotations

import pytest

__all__ = ["pytest_terminal_summary"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for found in terminalreporter.stats.values() for report in found]
    said = [
        value
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == "ran without"
    ]
    if said:
        terminalreporter.section("what ran where something is lacking")
        for line in sorted(map(str, said)):
            terminalreporter.write_line(line)
