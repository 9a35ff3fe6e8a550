"""docs/mistakes.md: what newcomers get wrong. Each example is run, its message compared, and nothing is lost."""

from __future__ import annotations

import doctest
import importlib.util
import re
import shlex
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import coshelf
from coshelf.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "mistakes.md"
BLOCK = re.compile(r"(?:<!-- (needs|without): ([\w, ]+) -->\n)?```(pycon|console)\n(.*?)```", re.DOTALL)
HOME = "/home/ann"


class Checker(doctest.OutputChecker):
    """Compares what was printed in the directory of the test as if it was ``HOME``."""

    def __init__(self, place: Path) -> None:
        self.place = str(place)

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return super().check_output(want, got.replace(self.place, HOME), optionflags)


class Runner(doctest.DocTestRunner):
    """Runs examples, and looks whether one that raises has changed the shelf."""

    def __init__(self, place: Path) -> None:
        super().__init__(Checker(place), verbose=False, optionflags=doctest.ELLIPSIS)
        self.place = place
        self.lost: list[str] = []
        self.mistakes = 0

    def entries(self, test: doctest.DocTest) -> list[tuple[Any, bytes]]:
        shelf = test.globs.get("shelf")
        return [] if shelf is None else [(record.key, record.raw) for record in shelf.records()]

    def report_start(self, out: Any, test: doctest.DocTest, example: doctest.Example) -> None:
        self.before = self.entries(test)

    def report_success(self, out: Any, test: doctest.DocTest, example: doctest.Example, got: str) -> None:
        if example.exc_msg is not None:
            self.mistakes += 1
            if self.entries(test) != self.before:
                self.lost.append(example.source)


class Hidden:
    """Finds no module of packages that are not installed, as far as the page is concerned."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


@pytest.fixture
def kitchen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the page, and the module ``menu``."""
    monkeypatch.chdir(tmp_path)
    menu = ModuleType("menu")
    exec("class Dish: pass", menu.__dict__)
    monkeypatch.setitem(sys.modules, "menu", menu)
    return tmp_path


def run_console(block: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, wanted = example.partition("\n")
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code in (1, 2, 3), line
        out, said = capsys.readouterr()
        assert out + said.replace(str(place), HOME) == wanted, line


def test_messages_of_typical_mistakes_are_those_of_the_page_and_nothing_is_lost(
    kitchen: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runner, names = Runner(kitchen), {"__name__": "mistakes"}
    found = BLOCK.findall(PAGE.read_text())
    assert len(found) > 20
    for condition, packages, kind, block in found:
        wanted = [name.strip() for name in packages.split(",")]
        if condition == "needs" and any(importlib.util.find_spec(name) is None for name in wanted):
            continue
        if kind == "console":
            names["shelf"].close()
            run_console(block, kitchen, monkeypatch, capsys)
            continue
        test = doctest.DocTestParser().get_doctest(block, names, "mistakes.md", str(PAGE), 0)
        with monkeypatch.context() as hiding:
            if condition == "without":
                hiding.setattr(sys, "meta_path", [Hidden(wanted), *sys.meta_path])
                for module in [name for name in sys.modules if name.partition(".")[0] in wanted]:
                    hiding.delitem(sys.modules, module)
            failed = runner.run(test, clear_globs=False).failed
        said = capsys.readouterr().out
        assert failed == 0, said
        names = test.globs
    assert runner.lost == []
    assert runner.mistakes > 50
    with coshelf.open("recipes.shelf", "r") as shelf:
        assert shelf["soup"] == ["leek", "water", "salt"]
        assert shelf["count"] == 3
        assert shelf["note"] == "hot"
