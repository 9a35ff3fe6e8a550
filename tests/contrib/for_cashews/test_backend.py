"""What the backend for cashews promises beyond the tests of cashews."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cashews import Cache, add_prefix
from cashews.exceptions import UnSecureDataError

import coshelf
from coshelf.contrib.cashews import CoshelfBackend
from coshelf.errors import NotAShelf, ReadOnlyShelf, Unsupported
from coshelf.testing.moving_clock import MovingClock

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(url: str, **options: Any) -> Any:
    cache = Cache()
    cache.setup(url, **options)
    yield cache
    await cache.close()


async def found(keys: Any) -> list[Any]:
    return [each async for each in keys]


@pytest.mark.parametrize("engine", ["memory", "lmdb", "sqlite"])
async def test_every_engine_that_expires_has_all_commands(engine: str, path: str) -> None:
    url = "memory:" if engine == "memory" else f"{engine}:{path}"
    async with opened(f"coshelf://{url}") as cache:
        await cache.set_many({"a": [1], "b": None, "c": 3})
        assert await cache.get_many("a", "b", "d", "c", default="none") == ([1], None, "none", 3)
        assert not await cache.set("a", 2, exist=False)
        assert not await cache.set("d", 2, exist=True)
        assert await cache.incr("c", 2) == 5
        assert await cache.incr_bits("bits", 3, 3, 0, size=3, by=5) == (5, 7, 5)
        assert await cache.get_bits("bits", 0, 1, 3, size=3) == (5, 0, 7)
        await cache.set_add("set", "x", "y", "z")
        await cache.set_remove("set", "y", "none")
        assert sorted(await cache.set_pop("set", count=1) + await cache.set_pop("set")) == ["x", "z"]
        assert not await cache.exists("set")
        assert [await cache.slice_incr("slice", 0, end, 2) for end in (1, 1, 2)] == [1, 2, 2]
        assert await cache.set_lock("lock", "me", 60)
        assert not await cache.set_lock("lock", "you", 60)
        assert not await cache.unlock("lock", "you")
        assert await cache.is_locked("lock", wait=0.01, step=0.01)
        assert await cache.unlock("lock", "me")
        assert not await cache.is_locked("lock")
        assert await found(cache.scan("*")) == ["a", "b", "bits", "c", "slice"]
        assert await found(cache.get_match("*")) == [("a", [1]), ("b", None), ("c", 5)]
        assert await cache.get_size("a") > 0
        assert await cache.get_size("none") == 0
        assert await cache.delete("a")
        assert not await cache.delete("a")
        await cache.delete_many("b", "none")
        assert await cache.get_keys_count() == 3
        await cache.delete_match("*s*")
        assert await found(cache.scan("*")) == ["c"]
        assert await cache.ping(b"PING") == b"PONG"
        await cache.clear()
        assert await cache.get_keys_count() == 0


@pytest.mark.parametrize(
    ("pattern", "keys"),
    [
        ("*", ["a", "a.b", "a[1]", "aXb", "a\nb", "b?", "bc"]),
        ("a*b", ["a.b", "aXb", "a\nb"]),
        ("a.b", ["a.b"]),
        ("a.*", ["a.b"]),
        ("a[1]", ["a[1]"]),
        ("a[1]*", ["a[1]"]),
        ("b?", ["b?"]),
        ("*b*", ["a.b", "aXb", "a\nb", "b?", "bc"]),
        ("none", []),
        ("none*", []),
        ("", []),
    ],
)
async def test_only_the_star_has_a_meaning_in_patterns(pattern: str, keys: list[str], path: str) -> None:
    async with opened(f"coshelf://{path}") as cache:
        await cache.set_many(dict.fromkeys(["a", "a.b", "aXb", "a[1]", "a\nb", "b?", "bc"], 1))
        assert sorted(await found(cache.scan(pattern, batch_size=2))) == sorted(keys)
        assert sorted(await found(cache.get_match(pattern, batch_size=2))) == sorted((key, 1) for key in keys)
        await cache.delete_match(pattern)
        assert await found(cache.scan(pattern)) == []
        assert await cache.get_keys_count() == 7 - len(keys)


async def test_scan_may_be_left_and_sees_keys_that_go_meanwhile_at_most_once(path: str) -> None:
    async with opened(f"coshelf://{path}") as cache:
        await cache.set_many({f"{number:03}": number for number in range(50)})
        seen = []
        async for key in cache.scan("*", batch_size=10):
            seen.append(key)
            await cache.delete(key)
            if len(seen) == 25:
                break
        assert seen == [f"{number:03}" for number in range(25)]
        assert await cache.get_keys_count() == 25


async def test_entries_expire_and_tell_their_time(path: str) -> None:
    with MovingClock() as clock:
        async with opened(f"coshelf://{path}") as cache:
            await cache.set("a", 1, expire=10)
            await cache.set("b", 1)
            clock.pass_by(4)
            assert [await cache.get_expire(key) for key in ("a", "b", "c")] == [6, -1, -2]
            clock.pass_by(6)
            assert await cache.get_many("a", "b") == (None, 1)
            assert await cache.get_expire("a") == -2
            assert await cache.set("a", 2, exist=False)


async def test_window_slides(path: str) -> None:
    async with opened(f"coshelf://{path}") as cache:
        assert [await cache.slice_incr("a", end - 10, end, 3) for end in (1, 2, 2, 5)] == [1, 2, 3, 3]
        assert await cache.slice_incr("a", 2, 12, 3) == 3  # 1 is out of it, and 12 has come in
        assert await cache.get("a") == [2, 2, 12]
        assert await cache.slice_incr("a", 0, 5, 9) == 3  # what lies behind the end is kept, and not counted
        assert await cache.get("a") == [2, 2, 12, 5]


@pytest.mark.parametrize(
    "call",
    [
        lambda cache: cache.incr_bits("a", 1),
        lambda cache: cache.get_bits("a", 1),
        lambda cache: cache.set_add("a", "b"),
        lambda cache: cache.set_pop("a"),
        lambda cache: cache.set_remove("a", "b"),
        lambda cache: cache.slice_incr("a", 0, 1, 2),
        lambda cache: cache.incr("a"),
        lambda cache: cache.set_raw("a", b"1", px=1),
    ],
)
async def test_command_for_another_kind_of_entry_is_refused(call: Callable[[Cache], Awaitable[Any]], path: str) -> None:
    async with opened(f"coshelf://{path}") as cache:
        await cache.set("a", "text")
        with pytest.raises(TypeError):
            await call(cache)
        assert await cache.get("a") == "text"


async def test_commands_of_many_keys_are_one_commit(path: str) -> None:
    with coshelf.open(path) as shelf:
        async with opened("coshelf://", target=shelf) as cache:
            with shelf.watch(timeout=0) as watch:
                await cache.set_many({"a": 1, "b": 2}, expire=60)
                await cache.set_many({"a": 1, "b": 2})
                await cache.delete_many("a", "c")
                await cache.delete_match("*")
                assert [change.is_last for change in watch] == [False, True, False, True, True, True]
        assert list(shelf) == []


async def test_values_are_signed_and_pickled_by_cashews(path: str) -> None:
    async with opened(f"coshelf://{path}?digestmod=sha256", secret="abc", pickle_type="json") as cache:
        await cache.set("a", {"b": 1})
        assert await cache.get("a") == {"b": 1}
        assert (await cache.get_raw("a")).endswith(b'_{"b": 1}')
        await cache.set_raw("a", (await cache.get_raw("a")).replace(b"1}", b"2}"))
        with pytest.raises(UnSecureDataError):
            await cache.get("a")


async def test_prefixes_and_middlewares_are_those_of_cashews(path: str) -> None:
    with coshelf.open(path) as shelf:
        cache = Cache()
        cache.setup("coshelf://", target=shelf, middlewares=(add_prefix("v1:"),))
        cache.setup("coshelf://", target=shelf, prefix="user:", part="users")
        await cache.set_many({"a": 1, "user:ann": 2})
        assert list(shelf) == ["cashews/v1:a", "users/user:ann"]
        await cache.clear()
        assert list(shelf) == []


async def test_tags_and_decorators_work(path: str) -> None:
    calls = []
    async with opened(f"coshelf://{path}") as cache:

        @cache(ttl="10m", key="double:{number}", tags=["numbers"])
        async def double(number: int) -> int:
            calls.append(number)
            return 2 * number

        assert [await double(1), await double(2), await double(1)] == [2, 4, 2]
        await cache.delete_tags("numbers")
        assert await double(1) == 2
        assert calls == [1, 2, 1]


def test_loops_of_two_threads_share_a_cache(path: str) -> None:
    cache = Cache()
    cache.setup(f"coshelf://{path}")
    thread = threading.Thread(target=lambda: asyncio.run(cache.set("a", 1)))
    thread.start()
    thread.join()
    assert asyncio.run(cache.get("a")) == 1
    asyncio.run(cache.close())


async def test_closed_backend_opens_again(path: str) -> None:
    async with opened(f"coshelf://{path}?max_entries=1000&part=web") as cache:
        await cache.set("a", 1)
        await cache.close()
        assert not cache.is_init
        assert await cache.get("a") == 1
    with coshelf.open(path) as shelf:
        assert list(shelf) == ["web/a"]
        assert shelf.info().max_entries == 1000


async def test_wrong_targets_are_refused_and_lose_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="coshelf:///PATH"):
        CoshelfBackend("coshelf://")
    (tmp_path / "a.txt").write_text("a letter")
    for url, error in [(f"{tmp_path}/a.txt", NotAShelf), (f"files:{tmp_path}/d", Unsupported)]:
        cache = Cache()
        cache.setup(f"coshelf://{url}")
        with pytest.raises(error):
            await cache.set("a", 1)
    assert (tmp_path / "a.txt").read_text() == "a letter"
    with coshelf.open("memory:") as shelf, pytest.raises(TypeError, match="durability"):
        CoshelfBackend(target=shelf, durability="commit")


async def test_read_only_shelf_gives_values_and_refuses_to_store(path: str) -> None:
    async with opened(f"coshelf://{path}") as cache:
        await cache.set("a", 1)
    async with opened(f"coshelf://{path}?flag=r") as cache:
        for call in (
            lambda: cache.set("a", 2),
            lambda: cache.incr("a"),
            lambda: cache.delete_match("*"),
            lambda: cache.set_lock("b", "me", 1),
            cache.clear,
        ):
            with pytest.raises(ReadOnlyShelf):
                await call()
        assert await cache.get("a") == 1
        assert not await cache.is_locked("b")
