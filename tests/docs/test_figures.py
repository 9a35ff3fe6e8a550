"""The figures are those that their program draws, small, and described for those who cannot see them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

FIGURES = Path(__file__).resolve().parents[2] / "docs" / "figures"
NAMES = sorted(path.name for path in FIGURES.glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_figures", FIGURES / "draw.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_figure_is_drawn_by_the_program(program: ModuleType) -> None:
    assert sorted(program.FIGURES) == NAMES
    assert [name for name in NAMES if program.FIGURES[name]() != (FIGURES / name).read_text("utf-8")] == []


@pytest.mark.parametrize("name", NAMES)
def test_figure_is_small_and_has_a_title_and_a_description(name: str) -> None:
    assert (FIGURES / name).stat().st_size < 20_000
    root = ET.fromstring((FIGURES / name).read_text("utf-8"))
    title, description = root.findtext(f"{SVG}title"), root.findtext(f"{SVG}desc")
    assert title and description and len(description) > 80
    assert root.get("aria-labelledby") == "title description"


@pytest.mark.parametrize("name", NAMES)
def test_figure_uses_nothing_from_elsewhere(name: str) -> None:
    text = (FIGURES / name).read_text("utf-8")
    assert "prefers-color-scheme: dark" in text
    assert "href" not in text and "@import" not in text and "<script" not in text
    assert text.count("http") == 1  # the name of the format
