"""Everything can be done without a mouse."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from chromium import Opened, Opens
from keyboard_moves import activate, in_tree, into_tree, move_to, tab_to
from selenium.webdriver.common.keys import Keys
from shelves import fill


def test_the_tree_is_walked_opened_and_closed_by_keys(opens: Opens, opened: Opened, tmp_path: Path) -> None:
    shelf = opened(tmp_path / "recipes.shelf")
    fill(shelf)
    tab = opens(shelf)
    into_tree(tab)
    tab.press(Keys.HOME)
    move_to(tab, "soups/")
    tab.press(Keys.ARROW_RIGHT)
    tab.until_shown("pumpkin", "#tree")
    tab.press(Keys.ARROW_RIGHT)
    assert in_tree(tab, "leek")
    move_to(tab, "pumpkin")
    tab.press(Keys.ENTER)
    tab.until_shown("45", "main article")
    into_tree(tab)
    tab.press(Keys.ARROW_LEFT)
    assert in_tree(tab, "soups/")
    tab.press(Keys.ARROW_LEFT)
    tab.until(lambda: "pumpkin" not in tab.text("#tree"), "the branch is closed")
    tab.press(Keys.END)
    assert in_tree(tab, "('sales'")


def test_a_slash_searches_and_the_result_opens(opens: Opens, opened: Opened, tmp_path: Path) -> None:
    shelf = opened(tmp_path / "recipes.shelf")
    fill(shelf)
    tab = opens(shelf)
    tab.until(lambda: tab.all("#tree [role=treeitem]"), "the tree")
    tab.press("/")
    tab.until(lambda: tab.focused().get_attribute("id") == "search-text", "the search has the focus")
    tab.press("cakes/lay", Keys.ENTER)
    tab.until(lambda: tab.path == "/search", "the results")
    activate(tab, "cakes/layered/icing")
    tab.until_shown("250", "main article")


def test_an_entry_is_edited_deleted_and_brought_back(opens: Opens, opened: Opened, tmp_path: Path) -> None:
    shelf = opened(tmp_path / "recipes.shelf")
    shelf["settings"] = {"guests": 4}
    tab = opens(shelf, write=True)
    activate(tab, "settings")
    tab.one("main article")
    activate(tab, "Edit")
    tab.one("main form textarea")
    tab_to(tab, "Value as JSON")
    tab.replace_text('{"guests": 12}')
    activate(tab, "Store")
    tab.until(lambda: shelf["settings"] == {"guests": 12}, "the new value")
    tab.until_shown("12", "main article")
    activate(tab, "Delete")
    tab.until(lambda: "settings" not in shelf, "the deletion")
    tab.until_shown("The entry was deleted.", "main")
    activate(tab, "Undo")
    tab.until(lambda: shelf.get("settings") == {"guests": 12}, "the entry is back")
    tab.until_shown("12", "main article")


def test_an_object_is_loaded_when_a_person_says_so(opens: Opens, opened: Opened, tmp_path: Path) -> None:
    shelf = opened(tmp_path / "recipes.shelf")
    shelf["order"] = Namespace(dish="soup")
    tab = opens(shelf)
    activate(tab, "order")
    tab.until_shown("is not loaded to show it", "main article")
    activate(tab, "Load it")
    tab.until_shown("This value was loaded as an object.", "main article")


def test_a_change_of_another_process_is_not_overwritten(opens: Opens, opened: Opened, tmp_path: Path) -> None:
    shelf = opened(tmp_path / "recipes.shelf")
    shelf["settings"] = {"guests": 4}
    tab = opens(shelf, write=True)
    activate(tab, "settings")
    tab.one("main article")
    activate(tab, "Edit")
    tab.one("main form textarea")
    shelf["settings"] = {"guests": 7}
    tab.until_shown("Another process may have changed this entry", "#live-notice")
    tab_to(tab, "Value as JSON")
    tab.replace_text('{"guests": 12}')
    activate(tab, "Store")
    tab.until_shown("Nothing was overwritten.", "main")
    assert "7" in tab.text("main")
    assert '{"guests": 12}' in tab.one("main textarea").get_attribute("value")
    assert shelf["settings"] == {"guests": 7}
    complaints = tab.log.complaints()
    [refused] = [told for told in complaints if "409" in told]
    complaints.remove(refused)
