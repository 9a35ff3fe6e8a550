"""The storage for limits: what it counts, and what it refuses."""

from __future__ import annotations

import asyncio
import os
import pickle
import time
from array import array
from collections.abc import Iterator
from pathlib import Path

import limits
import pytest
from limits.aio.strategies import MovingWindowRateLimiter as AsyncMovingWindowRateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string
from limits.strategies import STRATEGIES

import coshelf
from coshelf.contrib.keys import LONGEST
from coshelf.contrib.limits import AsyncCoshelfStorage, CoshelfStorage
from coshelf.contrib.limits.windows import SlidingWindow

LONG = limits.parse("3 per 10 year")
"""So long that no test sees the end of a window."""


@pytest.fixture(params=["lmdb", "sqlite", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CoshelfStorage]:
    target = "memory:" if request.param == "memory" else f"{request.param}:{tmp_path}/limits"
    storage = CoshelfStorage(f"coshelf://{target}")
    yield storage
    storage.close()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_allows_as_many_hits_as_the_limit_says(storage: CoshelfStorage, strategy: str) -> None:
    limiter = STRATEGIES[strategy](storage)
    assert [limiter.hit(LONG, "ann") for _ in range(5)] == [True, True, True, False, False]
    assert limiter.get_window_stats(LONG, "ann").remaining == 0
    assert not limiter.test(LONG, "ann")
    assert limiter.hit(LONG, "bob")
    limiter.clear(LONG, "ann")
    assert limiter.hit(LONG, "ann")


@pytest.mark.parametrize("strategy", ["moving-window", "sliding-window-counter"])
def test_hits_that_are_refused_do_not_count(storage: CoshelfStorage, strategy: str) -> None:
    limiter = STRATEGIES[strategy](storage)
    assert not limiter.hit(LONG, "ann", cost=4)
    assert limiter.hit(LONG, "ann", cost=2)
    assert not limiter.hit(LONG, "ann", cost=2)
    assert limiter.hit(LONG, "ann")


def test_a_hit_leaves_the_moving_window_when_it_is_as_old_as_the_window(storage: CoshelfStorage) -> None:
    now = time.time()
    hits = array("d", [now - 70, 2, now - 50, 1])
    storage._part.shelf["moving/ann"] = hits.tobytes()
    assert storage.get_moving_window("ann", 3, 60) == (now - 50, 1)
    assert storage.acquire_entry("ann", 3, 60, amount=2)
    assert not storage.acquire_entry("ann", 3, 60)


def test_a_moving_window_of_a_million_hits_of_one_moment_is_small(storage: CoshelfStorage) -> None:
    assert storage.acquire_entry("ann", 1_000_000, 3600, amount=999_999)
    assert storage.acquire_entry("ann", 1_000_000, 3600)
    assert not storage.acquire_entry("ann", 1_000_000, 3600)
    assert len(storage._part.shelf["moving/ann"]) <= 32


def test_a_clock_that_is_put_back_loses_no_hits(storage: CoshelfStorage) -> None:
    ahead = time.time() + 1000
    storage._part.shelf["moving/ann"] = array("d", [ahead, 1]).tobytes()
    assert storage.acquire_entry("ann", 2, 60)
    assert not storage.acquire_entry("ann", 2, 60)
    assert storage.get_moving_window("ann", 2, 60) == (ahead, 2)


def test_hits_of_the_window_before_weigh_less_and_less() -> None:
    stored = (100, 0, 10)  # ten hits in the window from 6000 to 6060
    assert SlidingWindow.of(stored, 60, 6059).weighted(60, 6059) == 10
    assert SlidingWindow.of(stored, 60, 6060).weighted(60, 6060) == 10
    assert SlidingWindow.of(stored, 60, 6090).weighted(60, 6090) == 5
    assert SlidingWindow.of(stored, 60, 6120).weighted(60, 6120) == 0
    assert SlidingWindow.of(stored, 60, 6090).told(60, 6090) == (10, 30, 0, 90)


def test_a_counter_keeps_the_time_that_its_first_hit_gave_it(storage: CoshelfStorage) -> None:
    before = time.time()
    assert storage.incr("ann", 1000) == 1
    expires = storage.get_expiry("ann")
    assert before + 1000 <= expires <= time.time() + 1000
    assert storage.incr("ann", 2000, amount=4) == 5
    assert storage.get_expiry("ann") == expires


def test_reset_forgets_all_limits_and_nothing_else(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "site.shelf") as shelf:
        shelf["page"] = "<html>"
        storage = CoshelfStorage(shelf)
        storage.incr("ann", 60)
        storage.acquire_entry("ann", 1, 60)
        storage.acquire_sliding_window_entry("ann", 1, 60)
        assert len(shelf) == 4
        assert storage.reset() == 3
        assert dict(shelf) == {"page": "<html>"}


def test_both_storages_share_their_counts(tmp_path: Path) -> None:
    path = f"{tmp_path}/limits.shelf"
    storage = CoshelfStorage(path)

    async def hit() -> list[bool]:
        tasks = AsyncCoshelfStorage(path)
        assert await tasks.incr("ann", 60) == 2
        limiter = AsyncMovingWindowRateLimiter(tasks)
        found = await asyncio.gather(*[limiter.hit(LONG, "ann") for _ in range(6)])
        await tasks.close()
        return found

    assert storage.incr("ann", 60) == 1
    assert STRATEGIES["moving-window"](storage).hit(LONG, "ann")
    assert sorted(asyncio.run(hit())) == [False, False, False, False, True, True]
    assert storage.get("ann") == 2
    storage.close()


def test_two_parts_of_a_shelf_count_apart() -> None:
    with coshelf.open("memory:") as shelf:
        one, other = CoshelfStorage(shelf), CoshelfStorage(shelf, part="limits/api")
        assert (one.incr("ann", 60), other.incr("ann", 60), one.incr("ann", 60)) == (1, 1, 2)


def test_keys_may_be_long(storage: CoshelfStorage) -> None:
    for key in ("ä" * LONGEST, "ä" * LONGEST + "x"):
        assert storage.incr(key, 60) == 1
        assert storage.acquire_entry(key, 1, 60)
        assert storage.acquire_sliding_window_entry(key, 1, 60)
    assert max(len(key.encode()) for key in storage._part.whole) < 500


def test_a_pickled_storage_counts_on(tmp_path: Path) -> None:
    storage = storage_from_string(f"coshelf://{tmp_path}/limits.shelf")
    assert storage.incr("ann", 60) == 1
    again = pickle.loads(pickle.dumps(storage))
    assert again.incr("ann", 60) == 2
    storage.close()
    again.close()


def test_a_forked_child_counts_on(tmp_path: Path) -> None:
    storage = CoshelfStorage(f"{tmp_path}/limits.shelf")
    storage.incr("ann", 60)
    pid = os.fork()
    if pid == 0:
        os._exit(storage.incr("ann", 60))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2
    assert storage.incr("ann", 60) == 3
    storage.close()


@pytest.mark.parametrize("uri", ["coshelf://", "async+coshelf://"])
def test_a_uri_without_a_shelf_is_refused(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="names no shelf"):
        storage_from_string(uri)
    with pytest.raises(ConfigurationError, match="names no shelf"):
        CoshelfStorage()


def test_an_engine_without_expiry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(coshelf.Unsupported, match="expiry is required"):
        CoshelfStorage(f"coshelf://{tmp_path}/limits/").incr("ann", 60)
    with coshelf.open(f"{tmp_path}/limits/") as shelf, pytest.raises(coshelf.Unsupported, match="expiry is required"):
        CoshelfStorage(shelf)


def test_a_shelf_that_cannot_be_opened_is_not_healthy(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>" * 1000)
    storage = CoshelfStorage(f"coshelf://{tmp_path}/page.html", wrap_exceptions=True)
    assert not storage.check()
    with pytest.raises(StorageError) as caught:
        storage.incr("ann", 60)
    assert isinstance(caught.value.storage_error, coshelf.NotAShelf)
    assert (tmp_path / "page.html").read_text() == "<html>" * 1000
    assert not asyncio.run(AsyncCoshelfStorage(f"{tmp_path}/page.html").check())
    assert CoshelfStorage("memory:").check()


def test_a_closed_storage_says_so(tmp_path: Path) -> None:
    storage = CoshelfStorage(f"{tmp_path}/limits.shelf")
    storage.incr("ann", 60)
    storage.close()
    with pytest.raises(coshelf.ShelfClosed):
        storage.incr("ann", 60)
    assert not storage.check()
    again = CoshelfStorage(f"{tmp_path}/limits.shelf")
    assert again.get("ann") == 1
    again.close()


def test_a_read_only_shelf_tells_its_counts_and_counts_no_more(tmp_path: Path) -> None:
    path = f"{tmp_path}/limits.shelf"
    storage = CoshelfStorage(path)
    storage.incr("ann", 60)
    storage.close()
    with coshelf.open(path, "r") as shelf:
        storage = CoshelfStorage(shelf)
        assert storage.get("ann") == 1
        with pytest.raises(coshelf.ReadOnlyShelf):
            storage.incr("ann", 60)
        with pytest.raises(coshelf.ReadOnlyShelf):
            storage.acquire_entry("ann", 1, 60)
        assert storage.get("ann") == 1
