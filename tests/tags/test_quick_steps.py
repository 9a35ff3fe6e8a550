"""Steps that take one call of C where they can: entries with tags and times keep to what the indexes say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import coshelf
from coshelf.testing.moving_clock import MovingClock
from coshelf.values.expiry import INDEX as TIMES
from coshelf.values.tags import INDEX, row_parts

Shelf = coshelf.Shelf[Any, Any]


def rows(shelf: Shelf) -> list[tuple[str, bytes]]:
    """The index of tags: each tag and the encoded key of an entry."""
    found = [row_parts(row) for row, _ in shelf._handle.engine.scan(*INDEX, keys_only=True)]
    return [(tag[1:].decode(), key) for tag, key in found]


def times(shelf: Shelf) -> int:
    """How many rows the index by time has."""
    return sum(1 for _ in shelf._handle.engine.scan(*TIMES, keys_only=True))


@pytest.fixture(params=["shelf", "sub"])
def part(request: pytest.FixtureRequest, shelf: Shelf) -> Shelf:
    """A shelf or a sub, with the quick ways in use."""
    shelf["plain"] = 0
    for _ in range(3):
        shelf.modify("plain", lambda number: number + 1)
    del shelf["plain"]
    return shelf if request.param == "shelf" else shelf.sub("part")


def encoded(part: Shelf, key: str) -> bytes:
    return part._namespace.encode(key)


def stored(part: Shelf, where: str, expire: int | None) -> None:
    """Store a plain entry between two that have tags: in the delta, in the base, or newer in the delta than there."""
    if where == "newer":
        part.update({"a": 7, "b": 7, "c": 7}, tags=("old", "x"))
        part.sync()
    part.set("a", 1, expire=expire, tags=("x", "y"))
    part["b"] = 2
    part.set("c", 3, expire=expire, tags=("x",))
    if where == "base":
        part.sync()


WHERE = pytest.mark.parametrize("where", ["delta", "base", "newer"])
EXPIRE = pytest.mark.parametrize("expire", [None, 60])


@WHERE
@EXPIRE
@pytest.mark.parametrize(
    ("remove", "key"),
    [
        (lambda part: part.pop("a"), "a"),
        (lambda part: part.pop("c", None), "c"),
        (lambda part: part.popitem(last=False)[1], "a"),
        (lambda part: part.popitem()[1], "c"),
    ],
)
def test_taken_entry_takes_its_rows_along(
    remove: Callable[[Shelf], int], key: str, expire: int | None, where: str, part: Shelf, shelf: Shelf
) -> None:
    stored(part, where, expire)
    assert remove(part) == {"a": 1, "c": 3}[key]
    assert list(part) == [left for left in "abc" if left != key]
    assert list(part.tagged("x")) == ["c" if key == "a" else "a"]
    expected = {("x", encoded(part, "c"))} if key == "a" else {(tag, encoded(part, "a")) for tag in "xy"}
    if where != "newer":
        assert set(rows(shelf)) == expected
    assert times(shelf) == (expire is not None)
    part.sync()
    assert expected <= set(rows(shelf))
    assert not any(row == encoded(part, key) for tag, row in rows(shelf) if tag != "old")
    assert list(part.tagged("x")) == ["c" if key == "a" else "a"]


@WHERE
@EXPIRE
def test_emptied_from_both_ends_leaves_no_rows(expire: int | None, where: str, part: Shelf, shelf: Shelf) -> None:
    stored(part, where, expire)
    taken = [part.popitem(), part.popitem(last=False), part.popitem()]
    assert taken == [("c", 3), ("a", 1), ("b", 2)]
    with pytest.raises(KeyError):
        part.popitem()
    assert part.pop("a", None) is None
    assert [row for row in rows(shelf) if row[0] != "old" and where != "newer"] == []
    assert (list(part.tagged("x")), list(part.tagged("old")), times(shelf)) == ([], [], 0)


@WHERE
@EXPIRE
def test_changed_entry_keeps_time_tags_and_rows(expire: int | None, where: str, part: Shelf, shelf: Shelf) -> None:
    stored(part, where, expire)
    before = (rows(shelf), times(shelf), part.expires("a"))
    assert part.setdefault("a", 9) == 1
    assert part.incr("a") == 2
    assert part.modify("a", lambda number: number + 1) == 3
    with part.transaction() as transaction:
        transaction["a"]  # checked when it is committed
        transaction.modify("c", lambda number: number + 1)
    assert (part["a"], part["c"], part.record("a").tags, part.record("c").tags) == (3, 4, ("x", "y"), ("x",))
    assert (rows(shelf), times(shelf), part.expires("a")) == before
    part.sync()
    assert list(part.tagged("x")) == ["a", "c"]
    assert list(part.tagged("y")) == ["a"]


@WHERE
def test_expired_entry_is_no_entry_for_any_step(where: str, part: Shelf, shelf: Shelf, clock: MovingClock) -> None:
    stored(part, where, 60)
    clock.pass_by(60)
    assert part.pop("a", None) is None
    assert part.setdefault("c", 5) == 5
    assert part.incr("a") == 1
    assert (part.record("a").tags, part.record("c").tags) == ((), ())
    assert [part.popitem(), part.popitem(), part.popitem(last=False)] == [("c", 5), ("b", 2), ("a", 1)]
    part.set("d", 1, expire=60, tags=("x",))
    clock.pass_by(60)
    with pytest.raises(KeyError):
        part.popitem()
    with pytest.raises(KeyError):
        part.pop("d")
    with pytest.raises(KeyError):
        part.modify("d", lambda number: number)
    part.sync()
    shelf.expire()
    assert (list(part.tagged("x")), list(part)) == ([], [])


@EXPIRE
@WHERE
def test_add_and_set_over_tagged_entries_follow_the_record(
    where: str, expire: int | None, part: Shelf, shelf: Shelf
) -> None:
    stored(part, where, expire)
    assert not part.add("a", 9, tags=("z",))
    assert part.add("d", 1, expire=expire, tags=("z",))
    assert part.touch("a", expire=90)
    assert part.replace("c", 3, 4)
    assert list(part.tagged("z")) == ["d"]
    assert list(part.tagged("x")) == ["a", "c"]
    assert times(shelf) == (3 if expire else 1)
    assert part.delete_tagged("x") == 2
    assert part.delete_tagged("z") == 1
    assert (list(part), times(shelf)) == (["b"], 0)
