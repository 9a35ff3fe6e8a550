"""The runner of frameworks' suites tells what passes and what fails, and why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import adapter_suite
import pytest
from adapter_suite import Suite
from counting import count_unittest, told
from sdists import Unavailable

FEW_PLUGINS = (("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1"),)  # importing what is installed takes seconds


@pytest.fixture
def overlay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of files that the suite ``ours`` lays over."""
    monkeypatch.setattr(adapter_suite, "ADAPTERS", tmp_path)
    (tmp_path / "ours").mkdir()
    return tmp_path / "ours"


def test_a_suite_that_fails_shows_which_test_and_why(overlay: Path) -> None:
    (overlay / "test_some.py").write_text(
        "import warnings, pytest\n"
        "def test_good(): warnings.warn('no error here')\n"
        "def test_bad(): assert 'seven' == 'eight'\n"
        "@pytest.mark.skip\n"
        "def test_skipped(): pass\n"
        "def test_demanding(): assert 0\n"
    )
    suite = Suite(
        "ours",
        "pytest",
        "tests",
        ("test_some.py",),
        overlay=("*.py",),
        deselected=("test_some.py::test_demanding",),
        why="x",
        environment=FEW_PLUGINS,
    )
    counts = adapter_suite.run("ours", suite)
    assert told(counts) == "1 of 2 pass, 1 skipped"
    assert counts.deselected == 1
    assert not counts.good
    assert "'seven' == 'eight'" in counts.complaint
    assert counts.complaint.endswith("FAILED test_some::test_bad")


def test_a_suite_that_cannot_be_collected_fails(overlay: Path) -> None:
    (overlay / "test_some.py").write_text("import there_is_no_such_module\n")
    counts = adapter_suite.run(
        "ours", Suite("ours", "pytest", "tests", ("test_some.py",), overlay=("test_some.py",), environment=FEW_PLUGINS)
    )
    assert not counts.good
    assert "there_is_no_such_module" in counts.complaint


def test_a_command_is_counted_by_what_it_prints(overlay: Path) -> None:
    (overlay / "tests.py").write_text(
        "import os, unittest\n"
        "class Ours(unittest.TestCase):\n"
        "    def test_a(self): self.assertEqual(os.environ['PLACE'], os.getcwd())\n"
        "    def test_b(self): self.skipTest('')\n"
        "unittest.main()\n"
    )
    suite = Suite(
        "ours", "pytest", "tests", overlay=("tests.py",), command=("tests.py",), environment=(("PLACE", "{place}"),)
    )
    counts = adapter_suite.run("ours", suite)
    assert (told(counts), counts.good) == ("1 of 1 pass, 1 skipped", True)


def test_a_command_that_fails_without_a_failed_test_is_not_good(overlay: Path) -> None:
    (overlay / "tests.py").write_text("print('Ran 3 tests in 0.1s')\nraise SystemExit(2)\n")
    counts = adapter_suite.run("ours", Suite("ours", "pytest", "tests", overlay=("tests.py",), command=("tests.py",)))
    assert not counts.good
    assert "exits with 2" in counts.complaint


def test_failures_of_unittest_are_counted_by_test() -> None:
    ending = "Ran 5 tests in 0.1s\n\nFAILED (failures=1, errors=1, skipped=1)\n"
    counts = count_unittest(f"ERROR: test_a (m.C)\n...\nFAIL: test_b (m.C)\n...\n{ending}")
    assert counts.passed == Counter({"": 2})
    assert counts.failed == ("test_a (m.C)", "test_b (m.C)")


def test_a_distribution_that_is_not_installed_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="nothing-of-this-name is not installed"):
        adapter_suite.run("ours", Suite("ours", "nothing-of-this-name", "tests"))
