"""How a person without a mouse comes from one place of a page to another."""

from __future__ import annotations

from chromium import Tab
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

__all__ = ["activate", "in_tree", "into_tree", "move_to", "tab_to"]

_MOST = 120  # stops on a page


def tab_to(tab: Tab, name: str) -> WebElement:
    """Press Tab until the element with a name has the focus."""
    for _ in range(_MOST):
        tab.press(Keys.TAB)
        if (found := tab.focused()).accessible_name == name:
            return found
    raise AssertionError(f"no stop is called {name!r}")


def activate(tab: Tab, name: str) -> None:
    """Press Enter on the element with a name."""
    tab_to(tab, name)
    tab.press(Keys.ENTER)


def in_tree(tab: Tab, label: str) -> bool:
    """Whether the focus is on the row of the tree with a label."""
    labels = tab.focused().find_elements(By.CSS_SELECTOR, "[role=treeitem] > .label")
    return bool(labels) and labels[0].text.startswith(label)


def move_to(tab: Tab, label: str) -> None:
    """Press the arrow down until the row of the tree with a label has the focus."""
    for _ in range(_MOST):
        if in_tree(tab, label):
            return
        tab.press(Keys.ARROW_DOWN)
    raise AssertionError(f"no row of the tree is called {label!r}")


def into_tree(tab: Tab) -> None:
    """Press Tab until a row of the tree has the focus."""
    tab.until(lambda: tab.all("#tree [role=treeitem]"), "the tree")
    for _ in range(_MOST):
        tab.press(Keys.TAB)
        if tab.focused().get_attribute("role") == "treeitem":
            return
    raise AssertionError("no stop is in the tree")
