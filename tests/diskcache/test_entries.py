"""Single entries of a cache: storing, reading, removing, counting, and what expires."""

from __future__ import annotations

import datetime as dt
import io
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coshelf.diskcache import Cache

LARGE = b"v" * 40_000


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


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -(2**63), 2**63, 2**512, 1.5, float("inf"), "", "text", "\ud800", "a\r\nb\rc\n", b"", b"bytes",
        (1, [2], {"a": {3}}), dt.date(2020, 1, 2), bytearray(b"a"), "x\r\n" * 20_000, "\r" * 300_000, LARGE,
        [LARGE] * 10, (None,) * 300_000,
    ],
    ids=lambda value: f"{type(value).__name__}-{repr(value)[:12]}",
)  # fmt: skip
def test_a_value_comes_back_equal_and_of_its_type(cache: Cache, value: Any) -> None:
    assert cache.set("key", value) is True
    assert cache["key"] == value
    assert type(cache["key"]) is type(value)
    cache["key"] = "other"
    assert cache["key"] == "other"
    assert cache.check() == []


def test_nan_comes_back_as_nan(cache: Cache) -> None:
    cache["key"] = float("nan")
    assert cache["key"] != cache["key"]


def test_an_object_that_cannot_be_pickled_is_refused_and_the_old_value_stays(cache: Cache) -> None:
    cache["key"] = 1
    for value in (lambda: 1, memoryview(b"a"), (part for part in "ab")):
        with pytest.raises((TypeError, AttributeError, ValueError)):
            cache["key"] = value
    assert cache["key"] == 1


def test_a_stream_is_stored_in_a_file_and_read_as_a_file(cache: Cache) -> None:
    assert cache.set("key", io.BytesIO(b"ab" * 3_000_000), read=True)
    assert cache["key"] == b"ab" * 3_000_000
    with cache.read("key") as file:
        assert file.read(4) == b"abab"
        name = file.name
    with open(name, "rb") as file:
        assert len(file.read()) == 6_000_000
    assert name.startswith(cache.directory)
    with cache.get("key", read=True) as file:
        assert file.name == name


@pytest.mark.parametrize(("value", "stored"), [("text", "text"), (b"bytes", b"bytes"), (5, 5), (1.5, 1.5)])
def test_read_stores_plain_values_as_usual(cache: Cache, value: Any, stored: Any) -> None:
    assert cache.set("key", value, read=True)
    assert cache["key"] == cache.get("key", read=True) == stored


def test_what_gives_no_bytes_is_refused_and_leaves_no_file(cache: Cache) -> None:
    with pytest.raises(TypeError):
        cache.set("key", io.StringIO("text"), read=True)
    with pytest.raises(AttributeError):
        cache.set("key", object, read=True)
    assert "key" not in cache
    assert cache.check() == []


def test_replaced_and_removed_values_leave_no_file(cache: Cache) -> None:
    for value in (LARGE, LARGE * 2, 1, LARGE):
        cache["key"] = value
        assert cache.check() == []
    cache.add("other", LARGE)
    assert not cache.add("other", LARGE * 2)
    assert cache.pop("key") == LARGE
    del cache["other"]
    assert cache.check() == []
    assert not [name for name in cache_files(cache) if name.endswith(".val")]


def cache_files(cache: Cache) -> list[str]:
    return [os.path.join(place, name) for place, _, names in os.walk(cache.directory) for name in names]


def test_a_value_whose_file_is_gone_counts_as_missing(cache: Cache) -> None:
    for key in ("get", "pop", "read"):
        cache[key] = LARGE
        with cache.read(key) as file:
            os.remove(file.name)
    assert cache.get("get", "default") == "default"
    assert cache.get("get", 5, expire_time=True, tag=True) == (5, None, None)
    with pytest.raises(KeyError):
        cache["get"]
    with pytest.raises(KeyError):
        cache.read("read")
    assert cache.pop("pop", "default") == "default"
    assert "pop" not in cache


# --- reading and removing --------------------------------------------------------------------------------------------


def test_a_missing_key_gives_the_default_or_a_key_error(cache: Cache) -> None:
    assert cache.get("key") is None
    assert cache.get("key", 5) == 5
    assert cache.get("key", 5, expire_time=True) == (5, None)
    assert cache.get("key", tag=True) == (None, None)
    assert cache.get("key", {}, False, True, True) == ({}, None, None)
    assert cache.pop("key", 5) == 5
    assert cache.pop("key", 5, expire_time=True, tag=True) == (5, None, None)
    assert cache.delete("key") is False
    assert cache.touch("key") is False
    assert "key" not in cache
    for call in (lambda: cache["key"], lambda: cache.read("key"), lambda: cache.__delitem__("key")):
        with pytest.raises(KeyError, match="key"):
            call()


def test_time_and_tag_come_with_the_value(cache: Cache, now: list[float]) -> None:
    cache.set("key", 1, expire=10, tag="red")
    assert cache.get("key", expire_time=True, tag=True) == (1, now[0] + 10, "red")
    assert cache.get("key", tag=True) == (1, "red")
    assert cache.pop("key", expire_time=True, tag=True) == (1, now[0] + 10, "red")
    cache.set("key", 1, expire=10, tag="red")
    cache["key"] = 2
    assert cache.get("key", expire_time=True, tag=True) == (2, None, None)


@pytest.mark.parametrize("tag", [None, "text", 5, 2.5, b"bytes", ""])
def test_a_tag_is_a_str_a_number_or_bytes(cache: Cache, tag: Any) -> None:
    cache.set("key", 1, tag=tag)
    assert cache.get("key", tag=True) == (1, tag)


@pytest.mark.parametrize("store", [Cache.set, Cache.add, lambda cache, _key, value, tag: cache.push(value, tag=tag)])
@pytest.mark.parametrize("tag", [(1,), ["a"], {}, object()])
def test_another_tag_is_refused_and_nothing_is_stored(cache: Cache, store: Callable[..., Any], tag: Any) -> None:
    with pytest.raises(sqlite3.ProgrammingError, match=type(tag).__name__):
        store(cache, "key", LARGE, tag=tag)
    assert len(cache) == 0
    assert cache.check() == []


def test_add_stores_where_nothing_lives(cache: Cache, now: list[float]) -> None:
    assert cache.add("key", 1, expire=10) is True
    assert cache.add("key", 2) is False
    assert cache["key"] == 1
    now[0] += 11
    assert cache.add("key", 3, tag="red") is True
    assert cache.get("key", expire_time=True, tag=True) == (3, None, "red")


# --- time ------------------------------------------------------------------------------------------------------------


def test_an_entry_that_has_expired_is_not_read_but_counted(cache: Cache, now: list[float]) -> None:
    cache.reset("cull_limit", 0)
    cache.set("past", 1, expire=-1)
    cache.set("at once", 1, expire=0)
    cache.set("soon", 1, expire=5)
    cache.set("never", 1, expire=float("inf"))
    assert cache.get("soon") == 1
    now[0] += 5
    for key in ("past", "at once", "soon"):
        assert cache.get(key) is None
        assert key not in cache
        assert cache.pop(key, "default") == "default"
        assert cache.delete(key) is False
        assert cache.touch(key, 60) is False
        with pytest.raises(KeyError):
            del cache[key]
    assert cache["never"] == 1
    assert len(cache) == 4
    assert list(cache) == ["past", "at once", "soon", "never"]


def test_touch_gives_another_time(cache: Cache, now: list[float]) -> None:
    cache.set("key", 1, expire=5, tag="red")
    assert cache.touch("key", 60)
    assert cache.get("key", expire_time=True, tag=True) == (1, now[0] + 60, "red")
    assert cache.touch("key")
    assert cache.get("key", expire_time=True) == (1, None)
    assert cache.touch("key", 0)
    assert not cache.touch("key")


@pytest.mark.parametrize("expire", ["5", dt.timedelta(1), [1]])
def test_expire_is_a_number_of_seconds(cache: Cache, expire: Any) -> None:
    cache["key"] = LARGE
    for call in (cache.set, cache.add, lambda _key, value, expire: cache.push(value, expire=expire)):
        with pytest.raises(TypeError):
            call("key", LARGE * 2, expire=expire)
    with pytest.raises(TypeError):
        cache.touch("key", expire=expire)
    assert cache["key"] == LARGE
    assert cache.check() == []


# --- counting --------------------------------------------------------------------------------------------------------


def test_incr_adds_and_decr_subtracts(cache: Cache) -> None:
    assert cache.incr("key") == 1
    assert cache.incr("key", 10) == 11
    assert cache.decr("key") == 10
    assert cache.decr("key", 20) == -10
    assert cache.incr("key", 0.5) == -9.5
    assert cache["key"] == -9.5
    assert cache.incr("other", 2, default=5) == 7
    assert cache.decr("third", default=5) == 4
    cache["text"] = "a"
    assert cache.incr("text", "b") == "ab"


def test_incr_keeps_time_and_tag_of_what_lives_and_begins_anew_after_it(cache: Cache, now: list[float]) -> None:
    cache.set("key", 5, expire=10, tag="red")
    assert cache.incr("key") == 6
    assert cache.get("key", expire_time=True, tag=True) == (6, now[0] + 10, "red")
    now[0] += 10
    with pytest.raises(KeyError):
        cache.incr("key", default=None)
    assert cache.incr("key", default=100) == 101
    assert cache.get("key", expire_time=True, tag=True) == (101, None, None)


@pytest.mark.parametrize("value", [True, None, 2**70, (1,), [1], LARGE])
def test_incr_refuses_what_is_no_number(cache: Cache, value: Any) -> None:
    cache["key"] = value
    with pytest.raises(TypeError):
        cache.incr("key")
    assert cache["key"] == value


def test_incr_refuses_a_missing_key_without_default_and_a_sum_beyond_64_bits(cache: Cache) -> None:
    with pytest.raises(KeyError, match="key"):
        cache.incr("key", default=None)
    with pytest.raises(KeyError, match="key"):
        cache.decr("key", default=None)
    cache["key"] = 2**63 - 1
    with pytest.raises(OverflowError):
        cache.incr("key")
    assert cache["key"] == 2**63 - 1
    cache["key"] = 0
    assert cache.incr("large", 2**63) == 2**63 == cache["large"]


def test_every_argument_can_be_given_by_name(cache: Cache) -> None:
    assert cache.set(key="a", value=1, expire=None, read=False, tag=None, retry=False)
    assert cache.add(key="a", value=1, expire=None, read=False, tag=None, retry=False) is False
    assert cache.get(key="a", default=None, read=False, expire_time=False, tag=False, retry=False) == 1
    assert cache.touch(key="a", expire=None, retry=False)
    assert cache.incr(key="a", delta=1, default=0, retry=False) == 2
    assert cache.decr(key="a", delta=1, default=0, retry=False) == 1
    assert cache.read(key="a", retry=False) == 1
    assert cache.pop(key="a", default=None, expire_time=False, tag=False, retry=False) == 1
    assert cache.delete(key="a", retry=False) is False
    assert cache.push(value=1, prefix=None, side="back", expire=None, read=False, tag=None, retry=False)
    assert cache.peek(prefix=None, default=None, side="front", expire_time=False, tag=False, retry=False)
    assert cache.pull(prefix=None, default=None, side="front", expire_time=False, tag=False, retry=False)
    cache["a"] = 1
    assert cache.peekitem(last=True, expire_time=False, tag=False, retry=False) == ("a", 1)
    with cache.transact(retry=False):
        assert list(cache.iterkeys(reverse=False)) == ["a"]
