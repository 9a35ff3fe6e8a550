"""What the documents show is run."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import coshelf

ROOT = Path(__file__).resolve().parent.parent


def test_readme_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) >= 2
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    with coshelf.open("recipes.shelf", "r") as shelf:
        assert shelf["paths/are/ok/key"] == [1, (5, 46), 7]
        assert shelf["count"] == 1
        assert shelf["hello"] == 16


def test_api_page_names_every_public_name() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    missing = [name for name in coshelf.__all__ if f"`{name}" not in page]
    assert [name for name in missing if name not in page] == []


@pytest.mark.parametrize("kind", [coshelf.Shelf, coshelf.Snapshot, coshelf.Transaction, coshelf.Cursor])
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
