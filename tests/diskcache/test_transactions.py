"""Blocks of a cache: all or nothing, with the files of their values."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coshelf.diskcache import Cache, Timeout
from coshelf.errors import TransactionInProgress

LARGE, LARGER = b"v" * 40_000, b"w" * 50_000


@pytest.fixture
def cache(tmp_path: Any) -> Iterator[Cache]:
    with Cache(tmp_path) as cache:
        yield cache


class Stop(Exception):
    """Ends a block."""


def files(cache: Cache) -> set[str]:
    found = (os.path.join(place, name) for place, _, names in os.walk(cache.directory) for name in names)
    return {name for name in found if name.endswith(".val")}


def test_a_block_sees_its_own_writes_and_others_see_them_at_its_end(cache: Cache, tmp_path: Any) -> None:
    cache["a"] = 1
    with Cache(tmp_path) as other:
        with cache.transact():
            cache["a"] = 2
            cache["b"] = LARGE
            del cache["a"]
            assert "a" not in cache
            assert (cache["b"], len(cache), list(cache), list(cache.iterkeys())) == (LARGE, 1, ["b"], ["b"])
            assert cache.incr("n") == 1
            assert cache.push("item") == cache.pull()[0]
            assert cache.peekitem() == ("n", 1)
            assert list(reversed(cache)) == ["n", "b"]
            assert (other["a"], other.get("b"), len(other), list(other)) == (1, None, 1, ["a"])
        assert (other.get("a"), other["b"], list(other)) == (None, LARGE, ["b", "n"])
    assert cache.check() == []


@pytest.mark.parametrize(
    "change",
    [
        lambda cache: cache.set("old", LARGER),
        lambda cache: cache.set("old", 1),
        lambda cache: cache.delete("old"),
        lambda cache: cache.pop("old"),
        lambda cache: cache.set("old", io.BytesIO(b"abc"), read=True),
        lambda cache: cache.set("new", LARGER),
        lambda cache: cache.add("new", LARGER),
        lambda cache: cache.push(LARGER),
        lambda cache: cache.pull(),
        lambda cache: (
            cache.set("old", LARGER),
            cache.set("old", LARGE),
            cache.delete("old"),
            cache.set("old", LARGER),
        ),
        lambda cache: cache.clear(),
        lambda cache: (cache.touch("old", -1), cache.expire()),
        lambda cache: (cache.set("old", LARGER, tag="red"), cache.evict("red")),
        lambda cache: (cache.push(LARGER, side="front", expire=-1), cache.peek()),
        lambda cache: (cache.set("last", LARGER, expire=-1), cache.peekitem()),
    ],
)
def test_a_block_that_raises_leaves_values_and_files_as_they_were(cache: Cache, change: Any) -> None:
    cache.reset("cull_limit", 0)
    cache["old"] = LARGE
    item = cache.push(LARGE)
    before = files(cache)
    with pytest.raises(Stop), cache.transact():
        change(cache)
        assert before <= files(cache)
        raise Stop
    assert files(cache) == before
    assert (cache["old"], cache[item], list(cache), cache.peek()) == (LARGE, LARGE, ["old", item], (item, LARGE))
    assert cache.check() == []
    with cache.transact():
        change(cache)
    assert cache.check() == []


def test_a_call_that_fails_inside_a_block_undoes_itself_alone(cache: Cache) -> None:
    with cache.transact():
        cache["a"] = 1
        with pytest.raises(KeyError):
            cache.incr("missing", default=None)
        with pytest.raises(ValueError, match="no free number"):
            cache[999_999_999_999_998] = LARGE
            cache.push(LARGER)
        cache["b"] = 2
    assert list(cache) == ["a", 999_999_999_999_998, "b"]
    assert len(files(cache)) == 1
    assert cache.check() == []


def test_blocks_nest_and_the_outermost_commits(cache: Cache, tmp_path: Any) -> None:
    with Cache(tmp_path) as other:
        with cache.transact():
            cache["a"] = LARGE
            with cache.transact(), cache.transact(retry=True):
                cache["b"] = LARGE
            assert "b" in cache
            with pytest.raises(Stop), cache.transact():
                cache["c"] = 3
                raise Stop
            assert len(other) == 0
        assert list(other) == ["a", "b", "c"]
    with pytest.raises(Stop), cache.transact():
        with cache.transact():
            del cache["a"]
        raise Stop
    assert cache["a"] == LARGE


def test_another_thread_waits_for_the_timeout_or_for_the_end(tmp_path: Any) -> None:
    inside, leave = threading.Event(), threading.Event()
    cache = Cache(tmp_path, timeout=0.05)
    cache["old"] = LARGE

    def hold() -> None:
        with cache.transact():
            cache["held"] = 1
            inside.set()
            leave.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(60)
    calls: list[Callable[[], object]] = [
        lambda: cache.set("old", LARGER),
        lambda: cache.add("x", LARGER),
        lambda: cache.incr("x"),
        lambda: cache.push(LARGER),
        lambda: cache.delete("old"),
        lambda: cache.pop("old"),
        lambda: cache.touch("old"),
        lambda: cache.transact().__enter__(),
    ]
    for call in calls:
        with pytest.raises(Timeout) as caught:
            call()
        assert caught.value.args == ()
    assert (cache["old"], "held" in cache, len(cache), cache.pull()) == (LARGE, False, 1, (None, None))
    waiter = threading.Thread(target=lambda: cache.set("old", LARGER, retry=True))
    waiter.start()
    leave.set()
    holder.join(60)
    waiter.join(60)
    assert (cache["old"], cache["held"]) == (LARGER, 1)
    assert cache.check() == []
    cache.close()


def test_a_block_belongs_to_its_thread(cache: Cache) -> None:
    seen = []
    with cache.transact():
        cache["a"] = 1
        thread = threading.Thread(target=lambda: seen.append((cache.get("a"), len(cache))))
        thread.start()
        thread.join(60)
    assert seen == [(None, 0)]


def test_a_second_cache_of_the_same_thread_is_refused_in_a_block(cache: Cache, tmp_path: Any) -> None:
    with Cache(tmp_path) as other, cache.transact():
        cache["a"] = 1
        with pytest.raises(TransactionInProgress):
            other.set("b", LARGE)
        assert other.get("a") is None
    assert list(cache) == ["a"]
    assert cache.check() == []


def test_a_large_block_is_one_commit(cache: Cache, tmp_path: Any) -> None:
    with Cache(tmp_path) as other:
        with cache.transact():
            for number in range(3_000):
                cache[number] = number
                if number % 3 == 0:
                    cache.push(number, "queue")
            assert len(other) == 0
        assert len(other) == len(list(other)) == 4_000
    assert cache.check() == []
