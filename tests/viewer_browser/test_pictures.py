"""The pictures of docs/viewer.md. They are made anew with COSHELF_SCREENSHOTS=1."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from chromium import Opened, Opens, Tab
from selenium.webdriver.common.keys import Keys
from shelves import fill

import coshelf
from coshelf.keys import encode
from coshelf.viewer.keys.addresses import address_of

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
LARGEST = 150_000  # bytes

pytestmark = pytest.mark.skipif(not os.environ.get("COSHELF_SCREENSHOTS"), reason="COSHELF_SCREENSHOTS=1 makes them")

_DEPLOY = """
import sys, coshelf
with coshelf.open(sys.argv[1]) as shelf, shelf.lock("deploy"):
    print("held", flush=True)
    sys.stdin.read()
"""


def picture(tab: Tab, name: str, height: int = 860) -> None:
    """Write what the window shows, in light and dark."""
    for scheme in ("light", "dark"):
        tab.prefer(scheme)
        path = PICTURES / f"viewer-{name}-{scheme}.png"
        tab.screenshot(path, 1180, height)
        assert path.stat().st_size < LARGEST


@contextmanager
def deploying(path: Path) -> Iterator[None]:
    """Another program that holds a lock."""
    (path.parent / "deploy.py").write_text(_DEPLOY)
    command = [sys.executable, "deploy.py", path.name]
    with subprocess.Popen(
        command, cwd=path.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdin is not None
        assert program.stdout.readline() == "held\n"
        yield
        program.stdin.close()


def work(shelf: coshelf.Shelf[Any, Any], tab: Tab) -> None:
    """Write at several speeds, so that there is a line to look at."""
    for commits in (5, 40, 90, 60, 120, 30, 80):
        before = tab.text('[data-line="commits"] .live-text')
        for number in range(commits):
            shelf[f"soups/{('leek', 'lentil', 'pumpkin', 'tomato')[number % 4]}"] = {"minutes": number, "vegan": True}
        tab.until(lambda before=before: tab.text('[data-line="commits"] .live-text') != before, "the next look")
    shelf["orders/1042"] = {"table": 4, "dish": "leek soup"}
    del shelf["sessions/ann"]
    shelf["orders/1043"] = {"table": 2, "dish": "carrot cake"}
    tab.until_shown("orders/1043", ".live-changes")


def test_pictures_are_made(opens: Opens, opened: Opened, tmp_path: Path) -> None:
    PICTURES.mkdir(exist_ok=True)
    path = tmp_path / "recipes.shelf"
    shelf = opened(path)
    fill(shelf)
    mail = shelf.queue("mail")
    for number in range(12):
        mail.put(number)
    tab = opens(shelf, write=True)
    tab.until_shown("soups/", "#tree")
    tab.run("document.querySelector('#tree [role=treeitem]').focus()")
    tab.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    tab.until_shown("plain", "#tree")
    tab.press(Keys.ARROW_DOWN)
    tab.click_link("data/", "main")
    tab.until(lambda: tab.path.startswith("/keys/"), "the branch")
    tab.until_shown("entries", "main")
    picture(tab, "keys")
    for name, key in (("entry", "settings"), ("array", "data/oven"), ("table", "data/sales")):
        tab.go(f"/entry/{address_of(encode(key))}")
        tab.until_shown("soups/", "#tree")
        for button in tab.all("main button"):
            if button.text == "Load it":
                button.click()
                tab.until_shown("This value was loaded", "main")
                break
        picture(tab, name)
    tab.go("/sizes")
    tab.until_shown("soups/", "#tree")
    picture(tab, "sizes")
    tab.go("/activity")
    with deploying(path):
        tab.until_shown("'deploy'", '[data-table="locks"]')
        work(shelf, tab)
        picture(tab, "activity", 1060)
