"""A shelf beside a real dict, on every engine; what the state machine of coshelf.testing leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from unit_support import ENTRIES

import coshelf


def test_shelf_equals_the_dict_it_was_made_from(shelf: Any) -> None:
    assert shelf == ENTRIES
    assert ENTRIES == shelf  # noqa: SIM300 (both sides)
    assert not (shelf != ENTRIES)  # noqa: SIM202 (it is != that is meant)
    assert shelf != {}
    assert shelf != ENTRIES | {"a": "other"}
    assert shelf != ENTRIES | {"new": 1}
    assert shelf == shelf.copy()
    assert shelf != list(ENTRIES.items())
    assert shelf != 5
    assert shelf is not None


def test_shelf_is_not_hashable_as_a_dict_is_not(shelf: Any) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(shelf)


def test_order_is_the_order_of_keys_both_ways(shelf: Any) -> None:
    assert list(shelf) == list(ENTRIES)
    assert list(shelf.items()) == list(ENTRIES.items())
    assert list(shelf.values()) == list(ENTRIES.values())
    assert list(reversed(shelf)) == list(ENTRIES)[::-1]
    for view, expected in ((shelf.keys, list(ENTRIES)), (shelf.items, list(ENTRIES.items()))):
        assert list(reversed(view())) == expected[::-1]
        assert list(view(reverse=True)) == expected[::-1]
        assert list(reversed(view(reverse=True))) == expected
    assert list(reversed(shelf.values())) == list(ENTRIES.values())[::-1]


def test_union_is_a_dict_with_the_right_side_on_top(shelf: Any) -> None:
    other = {"a": "theirs", "new": 1}
    for union, expected in ((shelf | other, ENTRIES | other), (other | shelf, other | ENTRIES)):
        assert type(union) is dict
        assert union == expected
    with coshelf.open("memory:") as second:
        second.update(other)
        assert shelf | second == ENTRIES | other
        assert type(shelf | second) is dict
    assert shelf == ENTRIES
    for wrong in (5, [("a", 1)], None):
        with pytest.raises(TypeError):
            shelf | wrong
        with pytest.raises(TypeError):
            wrong | shelf


def test_in_place_union_stores_and_stays_the_shelf(shelf: Any) -> None:
    same = shelf
    shelf |= {"a": 1}
    shelf |= [("b", 2), ("new", 3)]
    assert shelf is same
    assert shelf == ENTRIES | {"a": 1, "b": 2, "new": 3}


class KeysAndItems:
    """What dict.update takes for a mapping, without being one."""

    def keys(self) -> list[str]:
        return ["a", "b"]

    def __getitem__(self, key: str) -> str:
        return key * 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), {}),
        (({},), {}),
        (({"a": 1, 2: "b"},), {}),
        (([("a", 1), ("a", 2), (3, 4)],), {}),
        ((iter([("a", 1)]),), {"a": 5, "b": 6}),
        ((KeysAndItems(),), {"c": 1}),
        ((), {"self": 1, "other": 2, "key": 3}),
        (([["a", 1], "bc"],), {}),
    ],
)
def test_update_takes_what_a_dict_takes(arguments: Any, words: dict[str, Any], tmp_path: Path) -> None:
    expected: dict[Any, Any] = {}
    expected.update(*[list(each) if isinstance(each, Iterator) else each for each in arguments], **words)
    given = [list(expected.items()) if isinstance(each, Iterator) else each for each in arguments]
    for target in (tmp_path / "my.shelf", "memory:", {}):
        with coshelf.open(target) as shelf:
            assert shelf.update(*given, **words) is None
            assert shelf == expected


def test_update_from_another_shelf(shelf: Any, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "other.shelf") as other:
        other.update(shelf)
        assert other == ENTRIES
        other.sub("copy").update(shelf)
        assert other.sub("copy") == ENTRIES
        other.update(other.sub("copy").items(prefix="a"))
        assert other.sub("copy") == ENTRIES


def test_get_many_returns_those_that_are_there(shelf: Any) -> None:
    wanted = ["b", "missing", None, 10.0, (1, "x"), b"missing", "b"]
    assert shelf.get_many(wanted) == {key: ENTRIES[key] for key in wanted if key in ENTRIES}
    assert shelf.get_many(iter(wanted)) == shelf.get_many(wanted)
    assert shelf.get_many([]) == {}
    assert shelf.get_many(ENTRIES) == ENTRIES
    assert shelf.sub("a").get_many(["1", "9"]) == {"1": [1]}
    with pytest.raises(TypeError):
        shelf.get_many(5)


def test_copy_is_a_dict_of_its_own(shelf: Any) -> None:
    copied = shelf.copy()
    assert type(copied) is dict
    copied["b"]["x"] = "changed"
    copied["new"] = 1
    assert shelf == ENTRIES


def test_values_are_copies(shelf: Any) -> None:
    shelf["b"]["x"] = "changed"
    shelf.get("a/1").append(2)
    for value in shelf.values():
        if isinstance(value, list):
            value.clear()
    assert shelf == ENTRIES


def test_pop_setdefault_and_get_are_as_in_a_dict(shelf: Any) -> None:
    model = dict(ENTRIES)
    for key in ("a", "missing", None, 10, b"raw", ()):
        assert shelf.get(key) == model.get(key)
        assert shelf.get(key, "d") == model.get(key, "d")
        assert shelf.pop(key, "d") == model.pop(key, "d")
        assert shelf.setdefault(key) == model.setdefault(key)
        assert shelf.setdefault(key, [1]) == model.setdefault(key, [1])
        assert shelf.pop(key) == model.pop(key)
        assert shelf.setdefault(key, [1]) == model.setdefault(key, [1])
        for operation in (lambda m: m.pop("gone"), lambda m: m["gone"], lambda m: m.__delitem__("gone")):
            with pytest.raises(KeyError) as caught:
                operation(shelf)
            assert caught.value.args == ("gone",)
    assert shelf == model


def test_popitem_takes_from_both_ends(shelf: Any) -> None:
    left = list(ENTRIES.items())
    while left:
        assert shelf.popitem() == left.pop()
        if left:
            assert shelf.popitem(last=False) == left.pop(0)
        assert list(shelf.items()) == left
    for last in (True, False):
        with pytest.raises(KeyError, match="empty"):
            shelf.popitem(last)


def test_numbers_that_are_equal_are_one_key_and_come_back_as_one(empty: Any) -> None:
    empty[1] = "int"
    empty[True] = "bool"
    empty[1.0] = "float"
    assert [repr(key) for key in empty] == ["1"]
    assert empty == {1: "float"}


def test_clear_empties_and_the_shelf_goes_on(shelf: Any) -> None:
    shelf.clear()
    assert not shelf
    assert len(shelf) == 0
    assert list(shelf) == []
    shelf.clear()
    shelf["a"] = 1
    assert shelf == {"a": 1}


def test_repr_names_the_shelf_without_its_contents(empty: Any) -> None:
    engine = empty.info().engine
    assert repr(empty) == f"<Shelf {empty.name!r}: 0 keys, {engine}, rw>"
    empty["users/ann"] = "the contents"
    assert repr(empty) == f"<Shelf {empty.name!r}: 1 key, {engine}, rw>"
    assert repr(empty.sub("users")) == f"<Shelf {empty.name!r} under 'users/': 1 key, {engine}, rw>"
    assert "ShelfKeys" in repr(empty.keys())
    empty.close()
    assert repr(empty) == f"<closed Shelf {empty.name!r}>"


def test_attributes_say_how_it_was_opened(path: Path) -> None:
    with coshelf.open(path, "n", protocol=3) as shelf:
        assert (shelf.name.removeprefix("sqlite:"), shelf.flag, shelf.protocol, shelf.writeback) == (
            str(path),
            "n",
            3,
            False,
        )
        assert not shelf.closed
        assert shelf.capabilities.persistent
    assert shelf.closed
    assert (shelf.name.removeprefix("sqlite:"), shelf.flag) == (str(path), "n")
    with coshelf.open("memory:") as shelf:
        assert shelf.protocol == 5
