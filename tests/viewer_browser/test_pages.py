"""Every page, in light and dark: nothing complains, and axe-core finds nothing that keeps people from using it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from axe import violations
from chromium import Opened, Opens
from shelves import fill

from coshelf.keys import encode
from coshelf.viewer.keys.addresses import address_of

KEYS = ("readme", "settings", "orders", "photos/cake.png", "data/oven", "data/sales")
"""Of entries whose pages look different."""


def paths() -> Iterator[str]:
    """A page of each kind."""
    yield from ("/", "/activity", "/sizes", "/new", "/search?way=glob&text=%2A%2A", "/nowhere")
    yield "/search?way=range&start=%27a%27&stop=%27s%27"
    yield f"/keys/{address_of(encode('data/'))}"
    yield f"/sizes/{address_of(encode('cakes/'))}"
    for key in KEYS:
        yield f"/entry/{address_of(encode(key))}"
    for end in ("?view=hex", "?view=instructions", "/edit"):
        yield f"/entry/{address_of(encode('settings'))}{end}"


def test_every_page_is_usable_by_everybody_in_light_and_dark(opens: Opens, opened: Opened, tmp_path: Path) -> None:
    shelf = opened(tmp_path / "recipes.shelf")
    fill(shelf)
    shelf.queue("mail").put("hello")
    with shelf.lock("oven"):
        tab = opens(shelf, write=True)
        found = {}
        for path in paths():
            tab.go(path)
            if path == "/activity":
                tab.one('#live-state[data-state="open"]')
            tab.prefer("light")
            found[path] = violations(tab)
            tab.prefer("dark")
            found[path] += violations(tab, rules=("color-contrast",))
        assert {path: told for path, told in found.items() if told} == {}
    complaints = tab.log.complaints()
    [not_found] = [told for told in complaints if "/nowhere" in told]
    complaints.remove(not_found)


def test_pages_list_and_show_without_scripts(opens: Opens, opened: Opened, tmp_path: Path) -> None:
    shelf = opened(tmp_path / "recipes.shelf")
    fill(shelf)
    tab = opens(shelf)
    tab.allow_scripts(allowed=False)
    try:
        tab.go("/")
        tab.until_shown("soups/")
        tab.go("/activity")
        tab.until_shown("Last commit")
        tab.go("/sizes")
        tab.until_shown("soups/")
    finally:
        tab.allow_scripts(allowed=True)
