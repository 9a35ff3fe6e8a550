"""A shelf with many keys: the first screen is small, and every key can be reached."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from chromium import Opened, Opens, Tab
from keyboard_moves import into_tree
from selenium.webdriver.common.keys import Keys
from shelves import fill_many

LARGEST_PAGE = 200_000  # bytes over the network, with styles and scripts


def measure(tab: Tab) -> int:
    """Open the first screen anew, print how it went, and return how many bytes came over the network."""
    tab.driver.get("about:blank")
    tab.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    tab.log.forget()
    begin = time.monotonic()
    tab.go("/")
    tab.until(lambda: tab.all("#tree [role=treeitem]"), "the tree")
    seconds = time.monotonic() - begin
    weight = tab.log.transferred()
    print(f"first screen: {seconds * 1000:,.0f} ms with the tree, {weight:,} bytes")
    return weight


def look_around(tab: Tab, count: int) -> None:
    assert measure(tab) < LARGEST_PAGE
    into_tree(tab)
    tab.press(Keys.END)
    tab.until_shown("users/", "#tree")
    tab.until(lambda: f"{count // 2:,}" in tab.text("#tree"), "the size of the branch")
    tab.press(Keys.ARROW_RIGHT)
    tab.until_shown("0000/", "#tree")
    tab.press(Keys.HOME)
    tab.until_shown("flat-", "#tree")
    assert len(tab.all("#tree [role=treeitem]")) < 100


def test_twenty_thousand_keys_make_a_small_first_screen(opens: Opens, opened: Opened, tmp_path: Path) -> None:
    shelf = opened(tmp_path / "large.shelf")
    fill_many(shelf, 20_000)
    look_around(opens(shelf), 20_000)


@pytest.mark.long  # a million keys take some time to write
def test_a_million_keys_make_a_small_first_screen(opens: Opens, opened: Opened, tmp_path: Path) -> None:
    shelf = opened(tmp_path / "large.shelf")
    fill_many(shelf, 1_000_000)
    look_around(opens(shelf), 1_000_000)
