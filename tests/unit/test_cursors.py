"""Cursors keep their place, whatever others do."""

from __future__ import annotations

from typing import Any

import pytest
from unit_support import ENTRIES


def test_cursor_keeps_its_place_when_entries_come_and_go(empty: Any) -> None:
    empty.update({n: str(n) for n in range(0, 10, 2)})
    cursor = empty.cursor()
    with pytest.raises(LookupError):
        cursor.key
    assert cursor.seek(3) == (4, "4")
    assert cursor.key == 4
    empty[5] = "five"
    empty[3] = "three"
    assert cursor.next() == (5, "five")
    assert cursor.previous() == (4, "4")
    assert cursor.previous() == (3, "three")
    del empty[3]
    assert cursor.key == 3
    assert cursor.next() == (4, "4")
    del empty[4]
    del empty[5]
    assert cursor.previous() == (2, "2")
    empty.clear()
    assert cursor.next() is None
    assert cursor.previous() is None
    assert cursor.key == 2
    empty["z"] = 1
    assert cursor.next() == ("z", 1)


def test_cursor_stays_at_the_ends(shelf: Any) -> None:
    cursor = shelf.cursor()
    assert cursor.previous() == (("a", None), "mixed")
    assert cursor.next() is None
    assert cursor.key == ("a", None)
    assert cursor.first() == (None, "none")
    assert cursor.previous() is None
    assert cursor.key is None
    assert cursor.seek(("z",)) is None
    assert cursor.key is None
    assert cursor.next() == (-5, "negative")


def test_cursor_walks_everything_both_ways(shelf: Any) -> None:
    for mapping, expected in ((shelf, list(ENTRIES.items())), (shelf.sub("a"), [("1", [1]), ("2", [2])])):
        cursor = mapping.cursor()
        assert list(iter(cursor.next, None)) == expected
        assert [expected[-1], *iter(cursor.previous, None)] == expected[::-1]


def test_cursor_of_an_empty_shelf_finds_nothing(empty: Any) -> None:
    cursor = empty.cursor()
    assert (cursor.first(), cursor.last(), cursor.next(), cursor.previous(), cursor.seek(1)) == (None,) * 5
    with pytest.raises(LookupError):
        cursor.key
