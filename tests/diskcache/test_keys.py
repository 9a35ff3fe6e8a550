"""Keys of a cache: which are equal, how they come back, and in what order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from coshelf.diskcache import ENOVAL, Cache
from coshelf.dropin.diskcache.keys import pickled_key


@pytest.fixture
def cache(tmp_path: Any) -> Iterator[Cache]:
    with Cache(tmp_path) as cache:
        yield cache


class Text(str):
    """A subclass of str."""

    __slots__ = ()


KEYS = [
    "text", "", "a/b", "\ud800", "x" * 2_000, b"", b"bytes", b"\x00\xff", 0, 1, -5, 2**63 - 1, -(2**63), 1.5, -0.25,
    float("inf"), -float("inf"), None, True, False, 2**63, 2**200, (), (1, "a"), (None, (b"x", (2.5, True))), ["list"],
    {"a": 1}, frozenset((1,)), dt.date(2020, 1, 2), Text("text"), ("name", ENOVAL),
]  # fmt: skip


def test_each_key_is_one_of_its_own_and_comes_back(cache: Cache) -> None:
    for number, key in enumerate(KEYS):
        cache[key] = number
    for number, key in enumerate(KEYS):
        assert cache[key] == number
        assert key in cache
    assert list(cache) == KEYS
    assert [type(key) for key in cache] == [type(key) for key in KEYS]
    assert list(reversed(cache)) == KEYS[::-1]
    assert len(cache) == len(KEYS)
    assert cache.check() == []
    for key in KEYS:
        del cache[key]
    assert list(cache) == []


@pytest.mark.parametrize(("first", "second"), [(1, 1.0), (1.0, 1), (0.0, -0.0), (2**53, float(2**53))])
def test_equal_numbers_are_one_key_in_the_spelling_that_came_first(cache: Cache, first: Any, second: Any) -> None:
    cache[first] = "a"
    cache[second] = "b"
    assert cache[first] == cache[second] == "b"
    for keys in (list(cache), list(cache.iterkeys()), [cache.peekitem()[0]]):
        assert [(key, type(key), str(key)) for key in keys] == [(first, type(first), str(first))]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, True),
        (0, False),
        (1, "1"),
        ("1", b"1"),
        ((1,), (1.0,)),
        ((1,), (True,)),
        ((1,), [1]),
        ("text", Text("text")),
    ],
)
def test_other_keys_of_different_types_are_different(cache: Cache, left: Any, right: Any) -> None:
    cache[left], cache[right] = "left", "right"
    assert (cache[left], cache[right], len(cache)) == ("left", "right", 2)


def test_equal_tuples_are_one_key_whatever_their_parts_share(cache: Cache) -> None:
    text, other = (str(2**70) for _ in range(2))
    assert text is not other
    cache[(text, text, ("a", text))] = 1
    assert cache[(text, other, ("a", other))] == 1
    cache[["list", text, text]] = 2
    assert cache[["list", other, text]] == 2
    inner = (1, 2)
    cache[(inner, inner)] = 3
    assert cache[((1, 2), (1, 2))] == 3


def test_nan_is_found_again(cache: Cache) -> None:
    cache[float("nan")] = 1
    cache[float("nan")] = 2
    assert cache[float("nan")] == 2
    assert len(cache) == 1


def test_a_key_that_holds_itself_is_stored() -> None:
    key: list[Any] = [1]
    key.append(key)
    assert pickled_key(key, 5) == pickled_key(key, 5)


@pytest.mark.parametrize("protocol", range(6))
def test_the_protocol_of_pickles_can_be_chosen(tmp_path: Any, protocol: int) -> None:
    with Cache(tmp_path, disk_pickle_protocol=protocol) as cache:
        cache[(1, "a", None)] = {"a": (1, [2])}
        assert cache[(1, "a", None)] == {"a": (1, [2])}
    with Cache(tmp_path) as cache:
        assert cache.disk.pickle_protocol == protocol
        assert list(cache) == [(1, "a", None)]
        assert cache[(1, "a", None)] == {"a": (1, [2])}


def test_a_key_that_cannot_be_pickled_is_refused(cache: Cache) -> None:
    with pytest.raises((TypeError, AttributeError, ValueError)):
        cache[lambda: 1] = 1
    assert len(cache) == 0


# --- order -----------------------------------------------------------------------------------------------------------


def test_iterkeys_goes_by_numbers_then_text_then_bytes_and_pickles(cache: Cache) -> None:
    for key in ("b", 3.5, b"\x80\x00", "a", -2, (1,), b"z", "", 2**63 - 1, None):
        cache[key] = 0
    ordered = list(cache.iterkeys())
    assert ordered[:6] == [-2, 3.5, 2**63 - 1, "", "a", "b"]
    stored = [cache.disk.put(key)[0] for key in ordered[6:]]
    assert stored == sorted(stored)
    assert {b"\x80\x00", b"z", (1,), None} == set(ordered[6:])
    assert list(cache.iterkeys(reverse=True)) == ordered[::-1]


def test_iteration_goes_by_insertion_and_overwriting_keeps_the_place(cache: Cache) -> None:
    for key in "cab":
        cache[key] = 0
    cache["c"] = 1
    assert list(cache) == ["c", "a", "b"]
    del cache["a"]
    cache["a"] = 1
    assert list(cache) == ["c", "b", "a"]
    assert list(reversed(cache)) == ["a", "b", "c"]


def test_an_iterator_ends_where_the_cache_ended_when_it_was_made(cache: Cache) -> None:
    for number in range(250):
        cache[number] = number
    keys = iter(cache)
    assert next(keys) == 0
    cache["new"] = 1
    for number in range(0, 250, 2):
        del cache[number]
    found = list(keys)
    assert "new" not in found
    assert set(range(1, 250, 2)) <= set(found)
    assert list(reversed(cache))[:2] == ["new", 249]


def test_many_keys_are_iterated_page_by_page(cache: Cache) -> None:
    with cache.transact():
        for number in range(1_001):
            cache[(number, "x")] = number
            cache[number] = number
    assert len(list(cache)) == len(list(reversed(cache))) == len(set(cache.iterkeys())) == 2_002
    assert list(cache.iterkeys(reverse=True)) == list(cache.iterkeys())[::-1]
