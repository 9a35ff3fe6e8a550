"""LangGraph's conformance package for savers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate

from coshelf.contrib.langgraph import CoshelfSaver


@pytest.mark.parametrize(
    "target",
    ["memory:", pytest.param("{}.shelf", marks=pytest.mark.long), pytest.param("sqlite:{}", marks=pytest.mark.long)],
)
def test_all_capabilities_pass(target: str, tmp_path: Path) -> None:
    numbers = itertools.count()

    @checkpointer_test(name="CoshelfSaver")
    async def saver() -> AsyncGenerator[CoshelfSaver, None]:
        async with CoshelfSaver(target.format(tmp_path / str(next(numbers)))) as opened:
            yield opened

    report = asyncio.run(validate(saver))
    assert len(report.results) == 8
    assert {name: result.failures for name, result in report.results.items() if not result.passed} == {}
    assert sum(result.tests_passed for result in report.results.values()) >= 81
