"""The frameworks ask no network: LiteLLM for no list of prices, LangChain and the Agents SDK for no tracing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

LONG = {"test_litellm.py", "test_llama_index.py", "test_openai_agents.py"}
"""Modules whose tests are all long. To import what they import takes tens of seconds."""

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # LiteLLM looks when it is imported
os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"
for name in ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2"):
    os.environ[name] = "false"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "benchmark: a mark in langchain-tests")
    config.addinivalue_line("markers", "vcr: a mark in langchain-tests")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if collection_path.name in LONG and config.option.markexpr == "not long" else None
