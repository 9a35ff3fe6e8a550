"""Times of aiocache: seconds, as int or float. None and 0 keep an entry for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from edge import Edge

from coshelf.contrib.aiocache import CoshelfCache
from coshelf.errors import InvalidExpiry


def rows() -> list[Edge]:
    return [
        Edge("set(key, value)", calling(lambda cache: cache.set("a", 1)), "kept"),
        Edge("CoshelfCache(ttl=600)", calling(lambda cache: cache.set("a", 1), ttl=600), "expires", 600),
        Edge("CoshelfCache(ttl='600')", calling(lambda cache: cache.set("a", 1), ttl="600"), "expires", 600),
        Edge("set(..., ttl=None)", calling(lambda cache: cache.set("a", 1, ttl=None), ttl=600), "kept"),
        Edge("set(..., ttl=0)", calling(lambda cache: cache.set("a", 1, ttl=0)), "kept"),
        Edge("set(..., ttl=600)", calling(lambda cache: cache.set("a", 1, ttl=600)), "expires", 600),
        Edge("set(..., ttl=600.5)", calling(lambda cache: cache.set("a", 1, ttl=600.5)), "expires", 600.5),
        Edge("set(..., ttl=-1)", calling(lambda cache: cache.set("a", 1, ttl=-1)), "gone"),
        Edge("set(..., ttl='a')", calling(lambda cache: cache.set("a", 1, ttl="a")), "refused", error=InvalidExpiry),
        Edge("add(..., ttl=600)", calling(lambda cache: cache.add("a", 1, ttl=600)), "expires", 600),
        Edge("multi_set(..., ttl=600)", calling(lambda cache: cache.multi_set([("a", 1)], ttl=600)), "expires", 600),
        Edge("expire(key, 600)", calling(expire, seconds=600), "expires", 600),
        Edge("expire(key, 0)", calling(expire, seconds=0), "kept"),
        Edge("increment(key) of a missing key", calling(lambda cache: cache.increment("a"), ttl=600), "kept"),
        Edge("increment(key) after set(..., ttl=600)", calling(count), "expires", 600),
    ]


def calling(call: Callable[..., Awaitable[Any]], seconds: float | None = None, **options: Any) -> Callable[[str], str]:
    async def main(path: str) -> None:
        async with CoshelfCache(path, timeout=60, **options) as cache:
            await (call(cache) if seconds is None else call(cache, seconds))

    def run(path: str) -> str:
        asyncio.run(main(path))
        return "aiocache/a"

    return run


async def expire(cache: Any, seconds: float) -> None:
    await cache.set("a", 1, ttl=300)
    await cache.expire("a", seconds)


async def count(cache: Any) -> None:
    await cache.set("a", 1, ttl=600)
    await cache.increment("a")
