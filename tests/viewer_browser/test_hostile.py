"""A shelf that attacks whoever looks at it. The fixture verifies that nothing was asked for elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from chromium import Opened, Opens, Tab
from link_walk import walk
from selenium.common.exceptions import NoAlertPresentException
from shelves import RAN, make_hostile

from coshelf.keys import encode
from coshelf.viewer.keys.addresses import address_of

_PLANTED = """
const made = "script:not([src]), iframe, object, embed, meta[http-equiv], base, form[action*='//'], b, i"
  + ", link:not([href^='/static/'])";
const elements = [...document.querySelectorAll(made)].map((each) => each.outerHTML);
const leading = ["href", "src", "srcset", "action", "formaction", "xlink:href", "data"];
const attributes = [...document.querySelectorAll("*")].flatMap((each) => [...each.attributes])
  .filter(({ name, value }) => name.startsWith("on") || name === "style" && !value.startsWith("padding-left")
    && !/^(height|top|padding-left): /.test(value) || leading.includes(name) && !/^[/?#]/.test(value))
  .map((each) => `${each.name}=${each.value}`);
return [...elements, ...attributes].map((text) => text.slice(0, 200));
"""


def verify(tab: Tab, page: str) -> None:
    """No element or attribute came of a key or value, and nothing of them ran."""
    assert tab.run(_PLANTED) == [], page
    with pytest.raises(NoAlertPresentException):
        _ = tab.driver.switch_to.alert.text


def test_nothing_of_a_hostile_shelf_becomes_markup_or_runs(opens: Opens, opened: Opened, tmp_path: Path) -> None:
    tab = opens(opened(make_hostile(tmp_path), "r"))
    shown = 0
    for page in walk(tab, most=45):
        shown += 1
        verify(tab, page)
    assert shown == 45
    for key in ("x-broken-3", "x-runs", "x-damaged", "<img src=x onerror=alert(2)>"):
        for view in ("hex", "instructions"):
            page = f"/entry/{address_of(encode(key))}?view={view}"
            tab.go(page)
            verify(tab, page)
    assert not (tmp_path / RAN).exists()


def test_nothing_of_a_hostile_change_becomes_markup_or_runs(opens: Opens, opened: Opened, tmp_path: Path) -> None:
    shelf = opened(tmp_path / "a.shelf")
    tab = opens(shelf, write=True)
    tab.one('body[data-live="open"]')
    shelf["<img src=x onerror=alert(20)>"] = "<script>alert(21)</script>"
    tab.until_shown("<script>alert(21)</script>", "main")
    verify(tab, "the list")
    tab.until_shown("<img src=x onerror=alert(20)>", "#tree")
    tab.go("/activity")
    tab.one('body[data-live="open"]')
    shelf["</td><script>alert(22)</script>"] = ["<svg onload=alert(23)>"]
    shelf["\u202e\x1b[2J"] = "\ud800"
    tab.until_shown("<svg onload=alert(23)>", ".live-changes")
    tab.until_shown("\\u202e", ".live-changes")
    shelf.queue("<b>mail</b>").put(1)
    tab.until_shown("<b>mail</b>", '[data-table="queues"]')
    verify(tab, "/activity")
    tab.go(f"/entry/{address_of(encode('<img src=x onerror=alert(20)>'))}/edit")
    verify(tab, "the form")
