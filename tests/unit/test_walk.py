"""The walk of one value, as docs/design.md tells it, is the one that is traced."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import coshelf

SOURCE = Path(coshelf.__file__).parent
DESIGN = Path(__file__).parents[2] / "docs" / "design.md"
ROW = re.compile(r"\| `([^`]+)` \| `([^`]+)` \|")

Step = tuple[str, str]


def documented(heading: str) -> list[Step]:
    """The functions and modules of the table below a heading."""
    _, found, text = DESIGN.read_text("utf-8").partition(f"\n### {heading}\n")
    assert found, heading
    return ROW.findall(re.split(r"\n##+ ", text)[0])


def traced(call: Callable[[], object]) -> list[Step]:
    """The functions of ours that a call runs: the shortest of several traces, since a flush may come in between."""
    gc.collect()
    gc.disable()
    try:
        return min((_traced_once(call) for _ in range(5)), key=len)
    finally:
        gc.enable()


def _traced_once(call: Callable[[], object]) -> list[Step]:
    steps: list[Step] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(SOURCE):
            steps.append((frame.f_code.co_qualname, path.relative_to(SOURCE).as_posix()))

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return steps


@pytest.fixture
def dirty(path: Path) -> Iterator[Any]:
    """A shelf whose delta has commits that wait for a flush."""
    with coshelf.open(path, flush_interval=60) as shelf:
        shelf["a"] = 1
        shelf.sync()
        shelf["b"] = 2
        yield shelf


def test_set(dirty: Any) -> None:
    walk = documented("`shelf[key] = value`")
    assert traced(lambda: dirty.__setitem__("c", "value")) == walk
    assert len(set(walk)) <= 15
    assert len({module for _, module in walk}) <= 8


def test_get_of_a_clean_shelf(dirty: Any) -> None:
    dirty.sync()
    walk = documented("`shelf[key]` of a clean shelf")
    assert traced(lambda: dirty["a"]) == walk
    assert len(set(walk)) <= 8
    assert len({module for _, module in walk}) <= 5


def test_get_beside_a_dirty_delta_asks_each_question_once(dirty: Any) -> None:
    walk = documented("`shelf[key]` beside a dirty delta")
    assert traced(lambda: dirty["a"]) == walk
    assert len(set(walk)) == len(walk)
