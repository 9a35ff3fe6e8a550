"""What the documents say of names, figures and other documents is so. tests/docs runs their examples."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import coshelf

ROOT = Path(__file__).resolve().parent.parent


def test_the_committed_figures_of_values_are_those_of_the_page() -> None:
    measured = json.loads((ROOT / "benchmarks/results/values_sets.json").read_text())
    page = (ROOT / "docs/values.md").read_text()
    assert measured["machine"]["date"] in page
    for kind in ("arrays", "records", "text"):
        assert measured[kind]["what"] in page
        for way, found in measured[kind]["ways"].items():
            assert re.search(rf"^\| {re.escape(way)} \|.*\({found['bytes'][1]:.2f}x\)", page, re.MULTILINE), way


SOURCES = [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")]


def test_pages_that_the_source_names_exist() -> None:
    named = {
        page for source in SOURCES for page in re.findall(r"\bdocs/[\w/-]+(?<!NAME)\.md\b", source.read_text("utf-8"))
    }
    assert len(named) > 5
    assert [page for page in sorted(named) if not (ROOT / page).exists()] == []


def test_links_to_other_sites_are_whole() -> None:
    pages = [ROOT / "README.md", *(page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts)]
    links = {link for page in pages for link in re.findall(r"\]\((https?:[^)\s]*)\)", page.read_text("utf-8"))}
    assert len(links) >= 3
    for link in links:
        parts = urlsplit(link)
        assert parts.scheme == "https", link
        assert re.fullmatch(r"([\w-]+\.)+[a-z]{2,}", parts.netloc), link


def test_modules_that_the_design_names_exist() -> None:
    named = set(re.findall(r"`([\w/]+\.py)`", (ROOT / "docs" / "design.md").read_text()))
    source = ROOT / "src" / "coshelf"
    places = (ROOT, source, source / "engines" / "lmdb")
    assert [name for name in sorted(named) if not any((place / name).exists() for place in places)] == []


def test_the_reference_lists_every_scheme() -> None:
    with pytest.raises(coshelf.UnknownEngine) as caught:
        coshelf.open("unknown:place")
    schemes = re.search(r"\(known: (.*)\)", str(caught.value))
    assert schemes is not None
    page = (ROOT / "docs" / "reference" / "open.md").read_text()
    assert [scheme for scheme in schemes[1].split(", ") if f"`{scheme}:" not in page] == []


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
