"""One browser for all tests of this folder. What a page must never do is verified after each of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from chromium import Log, Opened, Opens, Tab, started, why_missing
from selenium import webdriver

import coshelf
from coshelf import viewer
from coshelf.contract import Flag


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Chromium. Without it the tests are skipped; with CI=1, where all tests have to run, they fail."""
    if (reason := why_missing()) is not None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"browser tests: {reason}")
    with started(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Opens shelves, which stay open until the pages that show them are closed."""
    with ExitStack() as stack:

        def opening(target: Any, flag: Flag = "c") -> coshelf.Shelf[Any, Any]:
            return stack.enter_context(coshelf.open(target, flag))

        yield opening


@pytest.fixture
def opens(browser: webdriver.Chrome, opened: Opened) -> Iterator[Opens]:
    """Shows a shelf in the window. Nothing may have run, complained or been asked for elsewhere at the end."""
    tabs: list[Tab] = []
    log = Log(browser)
    log.forget()
    first = browser.current_window_handle
    with ExitStack() as stack:

        def opening(shelf: coshelf.Shelf[Any, Any], *, write: bool = False) -> Tab:
            address = stack.enter_context(viewer.serving(shelf, write=write))
            if tabs:
                browser.switch_to.new_window("window")
            tab = Tab(browser, address, log)
            tabs.append(tab)
            tab.prefer("light")
            tab.enter()
            return tab

        try:
            yield opening
            ours = (*(f"{tab.origin}/" for tab in tabs), "about:", "chrome:", "data:")
            assert [url for url in log.requests() if not url.startswith(ours)] == []
            assert log.complaints() == []
        finally:
            for window in browser.window_handles:
                browser.switch_to.window(window)
                if window != first:
                    browser.close()
            browser.switch_to.window(first)
            browser.get("about:blank")  # its streams end before the viewer does
