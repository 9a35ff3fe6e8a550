"""docs/shared-state.md lists what threads share. What the source has, it lists, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from shared_state import SOURCE, changed_constants, global_statements, shared, weak_sets

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "shared-state.md").read_text("utf-8")


def rows(section: str) -> list[list[str]]:
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| `")]


def listed() -> set[tuple[str, str]]:
    names = [name for row in rows("Modules") for name in re.findall(r"`([^`]+)`", row[0])]
    return {(module, name) for module, _, name in (each.partition(".") for each in names)}


def test_the_page_lists_what_modules_share() -> None:
    assert shared() | changed_constants() == listed()


def test_no_function_binds_a_global() -> None:
    assert global_statements() == set()


def test_no_weak_set_is_used() -> None:
    assert weak_sets() == set()


def test_the_scan_sees_what_is_planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(
        "import functools, weakref\nfrom collections import deque\n"
        "_FIXED = {1: 2}\n_TABLE = {}\n_seen = []\n_queue: deque = deque()\n_known = weakref.WeakSet()\n"
        "class A:\n    rows = {}\n"
        "@functools.cache\ndef made(): ...\n"
        "def change():\n    global _at\n    _at = 1\n    _TABLE[1] = 2\n",
        "utf-8",
    )
    monkeypatch.setattr("shared_state.SOURCE", tmp_path)
    assert shared() == {("planted", name) for name in ("_seen", "_queue", "_known", "A.rows", "made")}
    assert changed_constants() == {("planted", "_TABLE")}
    assert global_statements() == {("planted", "_at")}
    assert weak_sets() == {"planted"}


def test_the_attributes_that_the_page_names_exist() -> None:
    named = 0
    for row in rows("Objects"):
        module = re.findall(r"`([a-z_/]+)`:", row[0])
        for attribute in re.findall(r"`\w+\.(\w+)`", row[0]):
            source = (SOURCE / f"{module[0]}.py").read_text("utf-8")
            assert re.search(rf"\b{attribute}\b", source), (module[0], attribute)
            named += 1
    assert named > 40
