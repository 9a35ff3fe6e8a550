"""The walk of one value in Python, as docs/design.md tells it, is the one that is traced."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import starting

TRACES = Path(__file__).parent / "scripts" / "walk" / "traces.py"
DESIGN = Path(__file__).parents[2] / "docs" / "design.md"
ROW = re.compile(r"\| `([^`]+)` \| `([^`]+)` \|")

Step = tuple[str, str]


def documented(heading: str) -> list[Step]:
    """The functions and modules of the table below a heading."""
    _, found, text = DESIGN.read_text("utf-8").partition(f"\n### {heading}\n")
    assert found, heading
    return ROW.findall(re.split(r"\n##+ ", text)[0])


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Step]]:
    path = tmp_path_factory.mktemp("walk") / "my.shelf"
    environment = {**starting.environment(), "COSHELF_NATIVE": "0"}
    ran = subprocess.run(
        [sys.executable, TRACES, path], env=environment, capture_output=True, text=True, timeout=300, check=True
    )
    return {name: [(function, module) for function, module in steps] for name, steps in json.loads(ran.stdout).items()}


def test_set(traces: dict[str, list[Step]]) -> None:
    walk = documented("`shelf[key] = value`")
    assert traces["set"] == walk
    assert len(set(walk)) <= 15
    assert len({module for _, module in walk}) <= 8


def test_get_of_a_clean_shelf(traces: dict[str, list[Step]]) -> None:
    walk = documented("`shelf[key]` of a clean shelf")
    assert traces["clean"] == walk
    assert len(set(walk)) <= 8
    assert len({module for _, module in walk}) <= 5


def test_get_beside_a_dirty_delta_asks_each_question_once(traces: dict[str, list[Step]]) -> None:
    walk = documented("`shelf[key]` beside a dirty delta")
    assert traces["dirty"] == walk
    assert len(set(walk)) == len(walk)
