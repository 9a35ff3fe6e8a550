"""Each capability is a test here. In it the conformance package runs all of its own tests of that capability."""

import asyncio
import pathlib

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import Capability

from coshelf.contrib.langgraph import CoshelfSaver


@pytest.mark.parametrize("capability", [each.value for each in Capability])
def test_capability(capability: str, tmp_path: pathlib.Path) -> None:
    @checkpointer_test(name="CoshelfSaver")
    async def saver():
        async with CoshelfSaver(tmp_path / "checkpoints.shelf") as opened:
            yield opened

    result = asyncio.run(validate(saver, capabilities={capability})).results[capability]
    assert (result.passed, result.failures) == (True, [])
    assert result.tests_passed > 0
