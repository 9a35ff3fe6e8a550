"""Keys, items and values: as those of a dict, lazy, of one instant, and by conditions."""

from __future__ import annotations

from typing import Any

import pytest
from unit_support import ENTRIES

import coshelf


def test_keys_have_the_operations_of_a_set(shelf: Any) -> None:
    view, expected = shelf.keys(), ENTRIES.keys()
    other = {"a", "b", "missing", 10, (1, "x")}
    for operation in (
        *(lambda a, b: a & b, lambda a, b: a | b, lambda a, b: a - b, lambda a, b: a ^ b),
        *(lambda a, b: a <= b, lambda a, b: a >= b, lambda a, b: a < b, lambda a, b: a > b),
        *(lambda a, b: a == b, lambda a, b: a != b, lambda a, b: a.isdisjoint(b)),
    ):
        assert operation(view, other) == operation(expected, other)
        assert operation(view, set()) == operation(expected, set())
        assert operation(view, set(ENTRIES)) == operation(expected, set(ENTRIES))
    assert other & view == other & expected
    assert other - view == other - expected
    assert view == expected
    assert view & shelf.keys(prefix="a") == {"a", "a/1", "a/2"}


def test_items_have_the_operations_of_a_set(empty: Any) -> None:
    empty.update(a=1, b=2, c=3)
    other = {("a", 1), ("b", 3), ("d", 4)}
    expected = {"a": 1, "b": 2, "c": 3}.items()
    assert empty.items() & other == expected & other == {("a", 1)}
    assert empty.items() | other == expected | other
    assert empty.items() - other == expected - other
    assert empty.items() ^ other == expected ^ other
    assert empty.items() == expected
    assert empty.items() >= {("a", 1)}
    assert empty.items().isdisjoint({("a", 2)})


def test_views_know_what_they_contain(shelf: Any) -> None:
    keys = shelf.keys()
    assert "a" in keys
    assert "missing" not in keys
    assert ("a", "A") in shelf.items()
    assert ("a", "other") not in shelf.items()
    assert ("missing", None) not in shelf.items()
    assert "a" not in shelf.items()
    assert ("a", "A", 1) not in shelf.items()
    assert [1] in shelf.values()
    assert [3] not in shelf.values()
    assert "a" not in shelf.keys(prefix="b")
    assert "a/1" in shelf.keys("a/*")
    assert "a" not in shelf.keys("a/*")
    assert b"raw" not in shelf.keys("*")
    assert ("a/1", [1]) in shelf.items(start="a/1", stop="a/2")
    assert ("a/2", [2]) not in shelf.items(start="a/1", stop="a/2")


def test_views_are_lazy_and_live(empty: Any) -> None:
    keys, items, values = empty.keys(prefix="a"), empty.items(), empty.values(reverse=True)
    assert (len(keys), len(items), len(values)) == (0, 0, 0)
    empty.update({"a": 1, "ab": 2, "b": 3})
    assert (len(keys), len(items), len(values)) == (2, 3, 3)
    assert list(keys) == ["a", "ab"]
    assert list(values) == [3, 2, 1]
    assert list(keys) == ["a", "ab"]


def test_iteration_is_of_one_instant(empty: Any) -> None:
    empty.update({n: n for n in range(2000)})
    walk, backwards = iter(empty.items()), iter(reversed(empty.keys()))
    assert next(walk) == (0, 0)
    assert next(backwards) == 1999
    empty.clear()
    empty.update({n + 0.5: "new" for n in range(100)})
    assert list(walk) == [(n, n) for n in range(1, 2000)]
    assert list(backwards) == list(range(1999))[::-1]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"prefix": "a"}, ["a", "a/1", "a/2"]),
        ({"prefix": "a/"}, ["a/1", "a/2"]),
        ({"prefix": ""}, ["", "a", "a/1", "a/2", "b", "é"]),
        ({"prefix": b""}, [b"", b"raw"]),
        ({"prefix": ()}, [(), (1, "x"), ("a", None)]),
        ({"prefix": (1,)}, [(1, "x")]),
        ({"prefix": ("a",)}, [("a", None)]),
        ({"prefix": "missing"}, []),
        ({"start": 10, "stop": "a/1"}, [10, "", "a"]),
        ({"start": "a", "stop": "a"}, []),
        ({"start": "b", "stop": "a"}, []),
        ({"stop": 0}, [None, -5]),
        ({"start": None, "stop": None}, list(ENTRIES)),
        ({"start": b"raw"}, [b"raw", (), (1, "x"), ("a", None)]),
        ({"prefix": "a", "start": "a/1"}, ["a/1", "a/2"]),
        ({"prefix": "a", "stop": "a/2", "reverse": True}, ["a/1", "a"]),
        ({"glob": "*"}, ["", "a", "b", "é"]),
        ({"glob": "**"}, ["", "a", "a/1", "a/2", "b", "é"]),
        ({"glob": "a/[!1]"}, ["a/2"]),
        ({"glob": "a/*", "prefix": "a/1"}, ["a/1"]),
        ({"glob": "a"}, ["a"]),
    ],
)
def test_conditions_select(conditions: dict[str, Any], expected: list[Any], shelf: Any) -> None:
    with shelf.snapshot() as snapshot:
        for mapping in (shelf, snapshot):
            assert list(mapping.keys(**conditions)) == expected
            assert list(mapping.items(**conditions)) == [(key, ENTRIES[key]) for key in expected]
            assert list(mapping.values(**conditions)) == [ENTRIES[key] for key in expected]
            assert len(mapping.keys(**conditions)) == len(expected)
            assert [key in mapping.keys(**conditions) for key in ENTRIES] == [key in expected for key in ENTRIES]
    with shelf.transaction() as t:
        assert list(t.keys(**conditions)) == expected


@pytest.mark.parametrize("name", ["", "part"])
def test_prefix_of_a_tuple_is_whole_elements(name: str) -> None:
    with coshelf.open("memory:") as whole:
        shelf: Any = whole.sub(name) if name else whole
        begun: list[Any] = [("a",), ("a", None), ("a", "\0"), ("a", "b", 1)]
        shelf.update(dict.fromkeys([*begun, ("a\0",), ("a\0", 1), ("a\0b",), ("ab",), (("a",),), (("a\0",),)], 1))
        assert list(shelf.keys(prefix=("a",))) == begun
        assert len(shelf.keys(prefix=("a",))) == len(begun)
        assert list(shelf.keys(prefix=(("a",),))) == [(("a",),)]
        assert len(shelf.keys(prefix=())) == 10
