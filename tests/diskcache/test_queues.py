"""Queues in a cache, and its first and last entry."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from coshelf.diskcache import Cache

LARGE = b"v" * 40_000
BEGIN = 500_000_000_000_000


@pytest.fixture
def cache(tmp_path: Any) -> Iterator[Cache]:
    with Cache(tmp_path) as cache:
        yield cache


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that caches see, which a test may change."""
    at = [1_700_000_000.0]
    monkeypatch.setattr(time, "time", lambda: at[0])
    return at


@pytest.mark.parametrize("prefix", [None, "jobs", "", "a-b"])
def test_items_come_out_in_order_from_either_end(cache: Cache, prefix: str | None) -> None:
    def key(number: int) -> Any:
        return BEGIN + number if prefix is None else f"{prefix}-{BEGIN + number:015d}"

    assert [cache.push(value, prefix) for value in "abc"] == [key(0), key(1), key(2)]
    assert cache.push("z", prefix, side="front") == key(-1)
    assert cache.peek(prefix) == (key(-1), "z")
    assert cache.peek(prefix, side="back") == (key(2), "c")
    assert cache.pull(prefix, side="back") == (key(2), "c")
    assert [cache.pull(prefix)[1] for _ in range(3)] == ["z", "a", "b"]
    assert cache.pull(prefix) == (None, None)
    assert cache.push("anew", prefix) == key(0)
    assert len(cache) == 1
    assert cache.check() == []


def test_queues_with_different_prefixes_do_not_meet(cache: Cache) -> None:
    for prefix in (None, "a", "a1", "b"):
        cache.push(prefix, prefix)
    for prefix in (None, "a", "a1", "b"):
        assert cache.pull(prefix)[1] == prefix
        assert cache.pull(prefix) == (None, None)


def test_integer_keys_of_the_program_are_items(cache: Cache) -> None:
    cache[5], cache[2.5], cache[0], cache[10**15], cache[-1] = "five", "half", "no", "no", "no"
    assert cache.push("six") == 6
    assert [cache.pull() for _ in range(4)] == [(2.5, "half"), (5, "five"), (6, "six"), (None, None)]


def test_a_queue_without_a_free_number_refuses_and_overwrites_nothing(cache: Cache) -> None:
    cache[999_999_999_999_998] = "last"
    cache[1] = "first"
    with pytest.raises(ValueError, match="no free number at its back"):
        cache.push(LARGE)
    with pytest.raises(ValueError, match="no free number at its front"):
        cache.push(LARGE, side="front")
    cache["p-7"] = "high"
    cache.push("next", "p")
    with pytest.raises(ValueError, match="p-000000000000008"):
        cache.push("again", "p")
    assert cache["p-000000000000008"] == "next"
    assert (cache.pull(), cache.pull()) == ((1, "first"), (999_999_999_999_998, "last"))
    assert cache.check() == []


@pytest.mark.parametrize("call", ["push", "pull", "peek"])
def test_a_side_is_front_or_back_and_a_prefix_a_str(cache: Cache, call: str) -> None:
    arguments = (LARGE,) if call == "push" else ()
    with pytest.raises(KeyError):
        getattr(cache, call)(*arguments, side="left")
    with pytest.raises(TypeError):
        getattr(cache, call)(*arguments, prefix=5)
    assert cache.check() == []


def test_time_and_tag_come_with_the_item(cache: Cache, now: list[float]) -> None:
    cache.push("a", expire=10, tag="red")
    assert cache.peek(expire_time=True) == ((BEGIN, "a"), now[0] + 10)
    assert cache.peek(tag=True) == ((BEGIN, "a"), "red")
    assert cache.pull(expire_time=True, tag=True) == ((BEGIN, "a"), now[0] + 10, "red")
    assert cache.pull(default=5, expire_time=True, tag=True) == (5, None, None)
    assert cache.peek(default=5, tag=True) == (5, None)
    assert cache.pull(default=5) == 5


def test_items_that_have_expired_are_dropped(cache: Cache, now: list[float]) -> None:
    for value in (LARGE, "b"):
        cache.push(value, expire=5)
    cache.push("c")
    now[0] += 6
    assert cache.peek() == (BEGIN + 2, "c")
    assert len(cache) == 1
    cache.set("last", 1, expire=1)
    now[0] += 2
    assert cache.peekitem() == (BEGIN + 2, "c")
    assert cache.pull() == (BEGIN + 2, "c")
    assert len(cache) == 0
    assert cache.check() == []


def test_large_items_and_streams_are_items_as_others(cache: Cache) -> None:
    cache.push(LARGE)
    cache.push(io.BytesIO(b"stream"), read=True)
    assert cache.peek()[1] == LARGE
    assert cache.pull()[1] == LARGE
    assert cache.pull()[1] == b"stream"
    assert cache.check() == []


def test_an_item_whose_file_is_gone_is_passed_over(cache: Cache) -> None:
    cache.push("b")
    for call in (cache.peek, cache.pull):
        with cache.read(cache.push(LARGE, side="front")) as file:
            os.remove(file.name)
        assert call()[1] == "b"
    assert cache.pull() == (None, None)
    assert len(cache) == 0


def test_an_item_that_cannot_be_loaded_does_not_stay_in_the_way(cache: Cache) -> None:
    cache.push(Gone())
    cache.push("b")
    Gone.__setstate__ = _fail  # type: ignore[attr-defined]
    try:
        with pytest.raises(ArithmeticError):
            cache.pull()
    finally:
        del Gone.__setstate__  # type: ignore[attr-defined]
    assert cache.pull()[1] == "b"


class Gone:
    """Its loading fails if a test says so."""

    def __init__(self) -> None:
        self.value = 1


def _fail(_self: object, _state: object) -> None:
    raise ArithmeticError


def test_peekitem_shows_the_last_or_first_entry(cache: Cache) -> None:
    with pytest.raises(KeyError, match="dictionary is empty"):
        cache.peekitem()
    for last in (True, False):
        with pytest.raises(KeyError, match="dictionary is empty"):
            cache.peekitem(last, expire_time=True, tag=True)
    cache[("a", 1)] = LARGE
    cache.set("b", 2, tag="red")
    assert cache.peekitem() == ("b", 2)
    assert cache.peekitem(last=False) == (("a", 1), LARGE)
    assert cache.peekitem(expire_time=True, tag=True) == (("b", 2), None, "red")
    assert cache.peekitem(tag=True) == (("b", 2), "red")
