"""The examples of the documents are run."""

from __future__ import annotations

import doctest
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import coshelf
from starting import environment

ROOT = Path(__file__).resolve().parent.parent


def readme_blocks() -> list[str]:
    blocks: list[str] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return blocks


def test_the_two_terminals_of_the_readme_hear_each_other(tmp_path: Path) -> None:
    first, second, *_ = readme_blocks()
    command = [sys.executable, "-c"]
    waiting = subprocess.Popen([*command, first], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True)
    subprocess.run([*command, second], cwd=tmp_path, env=environment(), check=True)
    assert waiting.communicate(timeout=60) == ("42\n", None)


def test_readme_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"coshelf": coshelf}
    _, _, *blocks = readme_blocks()
    assert len(blocks) >= 2
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    with coshelf.open("recipes.shelf", "r") as shelf:
        assert shelf["hello"] == [15]
        assert shelf["count"] == 1
        assert shelf["users/ann"] == {"age": 41}


def test_examples_about_values_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "values.md").read_text(), re.DOTALL)
    assert len(blocks) >= 5
    names: dict[str, object] = {"__name__": "values"}
    monkeypatch.setitem(sys.modules, "values", ModuleType("values"))
    for block in blocks:
        exec(compile(block, "values.md", "exec"), names)
    said = capsys.readouterr().out
    assert said.startswith("False\n4194304.0\n")
    assert "{'name': 'Ann', 'age': 41}" in said
    assert "tuple would come back as list" in said
    with coshelf.open("images.shelf", "r") as shelf:
        assert shelf["flat"][0, 0] == 1
        assert shelf["flat"][1, 0] == 2


def test_examples_about_memoized_functions_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "caching.md").read_text().partition("## Memoized functions")[2]
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(block, "caching.md", "exec"), {"__name__": "caching"})
    assert capsys.readouterr().out == "CacheInfo(hits=1, misses=1, maxsize=None, currsize=1)\n"
    with coshelf.open("results.shelf", "r") as shelf:
        assert len(shelf) == 0


def test_examples_of_the_api_run() -> None:
    failed, tried = doctest.testfile(str(ROOT / "docs" / "api.md"), module_relative=False)
    assert failed == 0
    assert tried >= 7


def test_examples_of_caching_run() -> None:
    failed, tried = doctest.testfile(str(ROOT / "docs" / "caching.md"), module_relative=False)
    assert failed == 0
    assert tried >= 7


def test_examples_of_coordination_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = ROOT / "docs" / "coordination.md"
    failed, tried = doctest.testfile(str(path), module_relative=False)
    assert (failed, tried >= 10) == (0, True)
    blocks = re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)
    blocks = [block for block in blocks if ">>>" not in block and "cache.example" not in block]
    assert len(blocks) >= 8
    for block in blocks:
        exec(compile(block, "coordination.md", "exec"), {"__name__": "coordination"})


def test_the_committed_figures_of_values_are_those_of_the_page() -> None:
    measured = json.loads((ROOT / "benchmarks/results/values_sets.json").read_text())
    page = (ROOT / "docs/values.md").read_text()
    assert measured["machine"]["date"] in page
    for kind in ("arrays", "records", "text"):
        assert measured[kind]["what"] in page
        for way, found in measured[kind]["ways"].items():
            assert re.search(rf"^\| {re.escape(way)} \|.*\({found['bytes'][1]:.2f}x\)", page, re.MULTILINE), way


def test_every_page_of_the_documentation_is_linked() -> None:
    linked = "".join((ROOT / name).read_text() for name in ("README.md", "docs/design.md", "docs/api.md"))
    pages = [page.name for page in (ROOT / "docs").glob("*.md")]
    assert [page for page in pages if page not in linked] == []


def test_modules_that_the_design_names_exist() -> None:
    named = set(re.findall(r"`([\w/]+\.py)`", (ROOT / "docs" / "design.md").read_text()))
    source = ROOT / "src" / "coshelf"
    places = (ROOT, source, source / "engines" / "lmdb")
    assert [name for name in sorted(named) if not any((place / name).exists() for place in places)] == []


def test_api_page_names_every_public_name() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    names = [name for name, value in vars(coshelf).items() if name[0] != "_" and name != "TYPE_CHECKING"]
    public = [name for name in names if getattr(vars(coshelf)[name], "__module__", "coshelf").startswith("coshelf")]
    assert len(public) > 40
    assert [name for name in public if not isinstance(vars(coshelf)[name], ModuleType) and name not in page] == []


def test_api_page_lists_every_scheme() -> None:
    with pytest.raises(coshelf.UnknownEngine) as caught:
        coshelf.open("unknown:place")
    schemes = re.search(r"\(known: (.*)\)", str(caught.value))
    assert schemes is not None
    page = (ROOT / "docs" / "api.md").read_text()
    assert [scheme for scheme in schemes[1].split(", ") if f"`{scheme}:" not in page] == []


@pytest.mark.parametrize(
    "kind", [coshelf.Shelf, coshelf.Snapshot, coshelf.Transaction, coshelf.Cursor, coshelf.Change, coshelf.Watch]
)
def test_api_page_names_every_public_method(kind: type) -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    methods = [name for name, _ in inspect.getmembers(kind) if not name.startswith("_")]
    assert [name for name in methods if not re.search(rf"\b{name}\b", page)] == []


def test_every_public_method_has_a_docstring() -> None:
    for kind in (coshelf.Shelf, coshelf.Snapshot, coshelf.Transaction, coshelf.Cursor):
        for name, member in inspect.getmembers(kind):
            if not name.startswith("_"):
                assert inspect.getdoc(member), f"{kind.__name__}.{name}"


def test_every_error_is_of_the_tree_and_of_a_builtin() -> None:
    for name in coshelf.errors.__all__:
        error = getattr(coshelf, name)
        assert issubclass(error, coshelf.CoshelfError)
        if error is not coshelf.CoshelfError:
            builtins = [base for base in error.__mro__ if base.__module__ == "builtins" and base is not Exception]
            assert builtins[0] not in (BaseException, object), name
            assert error.__doc__
    assert not issubclass(coshelf.DamagedRecord, KeyError)
    assert not issubclass(coshelf.DamagedShelf, KeyError)
