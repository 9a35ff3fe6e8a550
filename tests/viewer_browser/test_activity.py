"""What changes shows itself: in the list of changes, on lists of keys, on entries, and in the tree."""

from __future__ import annotations

from pathlib import Path

from chromium import Opened, Opens
from shelves import fill


def test_the_page_of_activity_is_kept_up_to_date(opens: Opens, opened: Opened, tmp_path: Path) -> None:
    shelf = opened(tmp_path / "a.shelf")
    tab = opens(shelf)
    tab.go("/activity")
    tab.one('body[data-live="open"]')
    shelf["soups/leek"] = "with <b>salt</b>"
    tab.until_shown("with <b>salt</b>", ".live-changes")
    assert tab.text(".live-changes tbody tr td:nth-child(3)") == "soups/leek"
    del shelf["soups/leek"]
    tab.until(lambda: tab.all(".change-deleted"), "the deletion")
    shelf.queue("mail").put("hello")
    with shelf.lock("oven"):
        tab.until_shown("mail", '[data-table="queues"]')
        tab.until_shown("'oven'", '[data-table="locks"]')
    tab.until_shown("No lock is held.", '[data-table="locks"]')
    tab.until_shown("a second now", '[data-line="commits"]')


def test_lists_and_the_tree_show_what_another_process_writes(opens: Opens, opened: Opened, tmp_path: Path) -> None:
    shelf = opened(tmp_path / "a.shelf")
    fill(shelf)
    tab = opens(shelf)
    tab.until_shown("soups/", "#tree")
    shelf["aaa-new"] = "fresh bread"
    tab.until_shown("fresh bread", "main")
    tab.until_shown("aaa-new", "#tree")
    del shelf["aaa-new"]
    tab.until(lambda: "aaa-new" not in tab.text("main") and "aaa-new" not in tab.text("#tree"), "it is gone")


def test_an_entry_shows_its_new_value_and_its_end(opens: Opens, opened: Opened, tmp_path: Path) -> None:
    shelf = opened(tmp_path / "a.shelf")
    shelf["readme"] = "first words"
    tab = opens(shelf)
    tab.click_link("readme", "main")
    tab.until_shown("first words", "main article")
    shelf["other"] = 1
    shelf["readme"] = "second words"
    tab.until_shown("second words", "main article")
    tab.until_shown("You see its new value.", "#live-notice")
    del shelf["readme"]
    tab.until_shown("This entry was deleted", "#live-notice")
    assert "second words" in tab.text("main article")


def test_two_viewers_show_what_a_writer_does(opens: Opens, opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    writer = opened(path)
    writer["a"] = "before"
    tabs = [opens(opened(path, "r")) for _ in range(2)]
    for number in range(3):
        writer["a"] = f"value {number}"
        for tab in tabs:
            tab.front()
            tab.until_shown(f"value {number}", "main")


def test_a_first_entry_and_a_last_one_change_the_page(opens: Opens, opened: Opened, tmp_path: Path) -> None:
    shelf = opened(tmp_path / "a.shelf")
    tab = opens(shelf)
    tab.until_shown("The shelf has no entries.", "main")
    tab.one('body[data-live="open"]')
    shelf["a"] = "the first one"
    tab.until_shown("the first one", "main")
    del shelf["a"]
    tab.until_shown("The shelf has no entries.", "main")
