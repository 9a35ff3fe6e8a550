"""What holds for the site that `make docs` has built. `make docs` runs these; they are no part of `make test`."""

from __future__ import annotations

import inspect
import os
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import click
import pytest
from chromium import PATIENCE, started, why_missing
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from sphinx.util.inventory import InventoryFile

import coshelf
from coshelf.cli.commands import NAMES
from coshelf.cli.commands import coshelf as group

SITE = Path(__file__).resolve().parents[2] / "docs" / "_build" / "html"
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data", "link": "href"}
"""Elements that make a browser load something, and the attribute that says what."""


@cache
def described() -> set[str]:
    """The names that the reference describes."""
    inventory = InventoryFile.loads((SITE / "objects.inv").read_bytes(), uri="")
    return {name for kind, names in inventory.data.items() if kind.startswith("py:") for name in names}


def public_names() -> list[str]:
    names = [name for name in dir(coshelf) if name[0] != "_" and name != "TYPE_CHECKING"]
    return [name for name in names if not isinstance(getattr(coshelf, name), ModuleType)] + ["Change", "Watch", "Zstd"]


@pytest.mark.parametrize("name", public_names())
def test_public_name_is_described(name: str) -> None:
    value = getattr(coshelf, name)
    if value.__module__.startswith("coshelf"):
        assert {f"coshelf.{name}", f"{value.__module__}.{name}"} & described()


@pytest.mark.parametrize(
    "kind",
    [
        coshelf.Shelf,
        coshelf.Snapshot,
        coshelf.Transaction,
        coshelf.Cursor,
        coshelf.Record,
        coshelf.Change,
        coshelf.Watch,
    ],
)
def test_public_method_is_described(kind: type) -> None:
    names = [name for name, _ in inspect.getmembers(kind) if name[0] != "_"]
    places = {f"coshelf.{kind.__name__}", f"{kind.__module__}.{kind.__name__}"}
    assert [name for name in names if not {f"{place}.{name}" for place in places} & described()] == []


@pytest.mark.parametrize(
    "module", ["aio", "dbm", "diskcache", "pickleshare", "shelve", "sqlitedict", "transfer", "trust"]
)
def test_name_of_a_module_is_described(module: str) -> None:
    imported = getattr(coshelf, module)
    names = [name for name in imported.__all__ if callable(getattr(imported, name))]
    left = [name for name in names if f"coshelf.{module}.{name}" not in described()]
    assert [
        name for name in left if name not in {"dumps", "loads", "open_face"}
    ] == []  # of pickle, and of coshelf itself


def test_open_is_shown_with_all_its_options() -> None:
    page = (SITE / "reference" / "open.html").read_text("utf-8")
    signature = re.search(r'<dt[^>]* id="coshelf.open">(.*?)</dt>', page, re.DOTALL)
    assert signature is not None
    for name in inspect.signature(coshelf.open).parameters:
        assert f'<span class="pre">{name}</span>' in signature[1], name


@pytest.mark.parametrize("name", NAMES)
def test_option_of_a_command_is_described_once(name: str) -> None:
    page = (SITE / "command-line.html").read_text("utf-8")
    section = re.search(rf'<section id="coshelf-{name}-.*?</section>', page, re.DOTALL)
    command = group.get_command(click.Context(group), name)
    assert section is not None
    assert command is not None
    for option in command.params:
        if isinstance(option, click.Option):
            terms = re.findall(rf"<dt>.*?(?<![\w-]){option.opts[-1]}(?![\w-]).*?</dt>", section[0])
            assert len(terms) == 1, option.opts


class Loaded(HTMLParser):
    """Collects what a page makes a browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        address = dict(attributes).get(LOADS.get(tag, ""))
        if address:
            self.addresses.append(address)


def test_a_page_loads_nothing_from_elsewhere_and_nothing_that_is_missing() -> None:
    pages = list(SITE.rglob("*.html"))
    assert len(pages) > 50
    for page in pages:
        loaded = Loaded()
        loaded.feed(page.read_text("utf-8"))
        places = [urlsplit(address) for address in loaded.addresses]
        assert [place for place in places if place.netloc] == [], page
        ours = [place.path for place in places if place.path and not place.scheme]
        assert [path for path in ours if not (page.parent / path).exists()] == [], page


def test_a_style_sheet_loads_nothing_from_elsewhere() -> None:
    for sheet in SITE.rglob("*.css"):
        found = re.findall(r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")]+)", sheet.read_text("utf-8"))
        assert found == [], sheet


def test_the_search_finds_pages_by_words_of_their_text() -> None:
    index = (SITE / "searchindex.js").read_text("utf-8")
    assert index.startswith("Search.setIndex(")
    for word in ("semaphor", "barrier", "durabl"):  # as the index has them: stems
        assert re.search(rf'[{{,]"?{word}"?:', index), word


def test_the_search_works_from_a_folder_without_a_network(tmp_path: Path) -> None:
    if (reason := why_missing()) is not None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"search in a browser: {reason}")
    with started(tmp_path / "profile") as browser:
        browser.get((SITE / "search.html").as_uri() + "?q=transaction")
        found = WebDriverWait(browser, PATIENCE).until(
            lambda page: page.find_elements(By.CSS_SELECTOR, "#search-results a[href*='reference/shelf.html']")
        )
    assert found
