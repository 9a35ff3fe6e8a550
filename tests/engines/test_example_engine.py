"""The engine that docs/writing-an-engine.md shows passes the kit, as a third party's would."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import coshelf
from coshelf.contract import Engine, OpenOptions
from coshelf.testing import EngineContract

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "writing-an-engine.md").read_text("utf-8")
SOURCE = (ROOT / "examples" / "dict_engine.py").read_text("utf-8")


def example() -> ModuleType:
    specification = importlib.util.spec_from_file_location("dict_engine", ROOT / "examples" / "dict_engine.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


class TestDictEngine(EngineContract):
    demands = ("ordered=sorts", "snapshots=copies", "atomic=process", "watch=poll", "consistency=strict")

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        engine: Engine = example().open_engine("dict:under-test", options)
        return engine


def test_the_page_shows_the_example_as_it_is() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert SOURCE in blocks
    assert len([line for line in SOURCE.splitlines() if line.strip()]) <= 75


def test_a_shelf_on_it_is_opened_by_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dict_engine", example())
    point = importlib.metadata.EntryPoint("dict", "dict_engine:open_engine", "coshelf.engines")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **given: [point] if given else [])
    with coshelf.open("dict:any", trust=True) as shelf:
        shelf["a"] = {1, 2}
        assert shelf.modify("n", lambda n: n + 1, default=0) == 1
        with shelf.transaction() as transaction:
            transaction["b"] = transaction["a"] | {3}
        assert dict(shelf) == {"a": {1, 2}, "b": {1, 2, 3}, "n": 1}
