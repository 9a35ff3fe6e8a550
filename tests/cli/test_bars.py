"""``coshelf stats --plot`` draws what stats counts, in any width and any encoding."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.cli.bars import BLOCKS, HASHES, bars

SIZES = {"soups/": (3_100, 80_000), "photos/": (12, 400_000), "a/": (1, 1), "b/": (1, 1), "": (8, 300)}


def test_the_largest_prefixes_come_first_and_the_others_are_one_line() -> None:
    lines = bars(SIZES, width=80, most=3)
    assert [name.strip() for name, _, _ in lines] == ["photos/", "soups/", "(no prefix)", "(2 others)"]
    assert lines[0][2].split() == ["12", "entries", "400.0", "kB"]
    assert lines[-1][2].split() == ["2", "entries", "2", "bytes"]


@pytest.mark.parametrize("width", [30, 50, 80, 200])
@pytest.mark.parametrize("steps", [BLOCKS, HASHES])
def test_bars_fit_the_width_and_are_as_long_as_their_sizes(width: int, steps: str) -> None:
    lines = bars(SIZES | {"long" * 100: (1, 200_000)}, width=width, most=10, steps=steps)
    assert len({len("  ".join(line)) for line in lines}) == 1
    assert len("  ".join(lines[0])) <= max(width, 55)
    lengths = [len(bar.rstrip()) for _, bar, _ in lines]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] == len(lines[0][1]) and abs(2 * lengths[1] - lengths[0]) <= 2
    assert min(lengths) == 1, "what has any size has a bar"
    assert set("".join(bar for _, bar, _ in lines)) <= {*steps, " "}


def test_names_of_wide_and_hostile_characters_keep_the_bars_aligned() -> None:
    from rich.cells import cell_len

    lines = bars({"スープ/": (1, 5), "a\x1b[2J/": (1, 5), "x/": (1, 5)}, width=80, most=5)
    assert len({cell_len(name) for name, _, _ in lines}) == 1
    assert all(name.isprintable() for name, _, _ in lines)


def test_nothing_is_drawn_of_an_empty_shelf() -> None:
    assert bars({}, width=80, most=5) == []


@pytest.fixture
def a_shelf(tmp_path: Path) -> Path:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update({f"soups/{number}": number for number in range(30)} | {"photos/1": "x" * 5_000})
    return tmp_path / "a.shelf"


def plotted(path: Path, terminal: bool, **environment: str) -> str:
    """What the command writes to a pipe or a terminal."""
    line = [sys.executable, "-m", "coshelf", "stats", str(path), "--plot"]
    settings = {"COLUMNS": "70", "PYTHONIOENCODING": "utf-8", "TERM": "xterm"} | environment
    variables = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | settings
    if not terminal:
        return subprocess.run(line, env=variables, capture_output=True, check=True).stdout.decode()
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as reader:
        child = subprocess.Popen(line, env=variables, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        found = b""
        try:
            while data := reader.read(4096):
                found += data
        except OSError:  # the other end is closed
            pass
        assert child.wait(60) == 0
    return found.decode()


def test_colors_are_for_terminals_that_want_them(a_shelf: Path) -> None:
    piped = plotted(a_shelf, terminal=False)
    assert "\x1b" not in piped and "█" in piped and "photos/" in piped
    assert "\x1b[36m█" in plotted(a_shelf, terminal=True)
    assert "\x1b" not in plotted(a_shelf, terminal=True, NO_COLOR="1")
    without = plotted(a_shelf, terminal=False, PYTHONIOENCODING="iso-8859-1")
    assert "#" in without and without.isascii()


def test_plot_goes_with_neither_json_nor_cheap(sh: Any, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["a"] = 1
    for option in ("--json", "--cheap"):
        assert "do not go together" in sh(f"coshelf stats a.shelf --plot {option}", 2)[1]
    assert "a.shelf: 1 entry" in sh("coshelf stats a.shelf --plot --depth 0")[0]
