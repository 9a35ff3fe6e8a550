"""The examples in the modules of LLM frameworks, and those of the page that need a framework which takes long."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

import coshelf

PAGE = Path(coshelf.__file__).parents[2] / "docs" / "integrations" / "llm.md"
BLOCKS = re.findall(r"^```py\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)

pytestmark = pytest.mark.long  # importing the frameworks takes seconds


@pytest.mark.filterwarnings("ignore")  # the frameworks' own
@pytest.mark.parametrize("name", ["langchain", "litellm", "llama_index", "openai_agents"])
def test_examples_of_a_module_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"coshelf.contrib.llm.{name}"))
    assert result.attempted
    assert not result.failed


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: re.search("LlamaIndex|LiteLLM|Agents", block)[0])
def test_examples_of_the_page_run(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "llm.md", "exec"), {})


def test_the_page_has_an_example_of_each() -> None:
    assert len(BLOCKS) == 3
