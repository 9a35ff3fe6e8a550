"""Times of cashews: seconds, a timedelta or a text. None and 0 give no time, and an entry that exists keeps its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from cashews import Cache
from edge import Edge

import coshelf.contrib.cashews
from coshelf.errors import InvalidExpiry

assert coshelf.contrib.cashews.CoshelfBackend


def rows() -> list[Edge]:
    return [
        Edge("set(key, value)", calling(lambda cache: cache.set("a", 1)), "kept"),
        Edge("set(..., expire=600)", calling(lambda cache: cache.set("a", 1, expire=600)), "expires", 600),
        Edge("set(..., expire=600.5)", calling(lambda cache: cache.set("a", 1, expire=600.5)), "expires", 600.5),
        Edge("set(..., expire='10m')", calling(lambda cache: cache.set("a", 1, expire="10m")), "expires", 600),
        Edge("set(..., timedelta)", calling(lambda cache: cache.set("a", 1, timedelta(minutes=10))), "expires", 600),
        Edge("set(..., expire=0)", calling(lambda cache: cache.set("a", 1, expire=0)), "kept"),
        Edge("set(..., expire=-1)", calling(lambda cache: cache.set("a", 1, expire=-1)), "gone"),
        Edge("set(..., nan)", calling(lambda cache: cache.set("a", 1, float("nan"))), "refused", error=InvalidExpiry),
        Edge("set again without a time", calling(lambda cache: cache.set("a", 2), 600), "expires", 600),
        Edge("set again, exist=True", calling(lambda cache: cache.set("a", 2, exist=True), 600), "expires", 600),
        Edge("set_many again without a time", calling(lambda cache: cache.set_many({"a": 2}), 600), "expires", 600),
        Edge("set(..., exist=False)", calling(lambda cache: cache.set("a", 1, 600, exist=False)), "expires", 600),
        Edge("set_many(..., expire=600)", calling(lambda cache: cache.set_many({"a": 1}, 600)), "expires", 600),
        Edge("set_raw(..., expire=600)", calling(lambda cache: cache.set_raw("a", b"1", expire=600)), "expires", 600),
        Edge("incr(key, expire=600) of a new key", calling(lambda cache: cache.incr("a", expire=600)), "expires", 600),
        Edge("incr(key, expire=60) of another", calling(lambda cache: cache.incr("a", expire=60), 600), "expires", 600),
        Edge("expire(key, 900)", calling(lambda cache: cache.expire("a", 900), 600), "expires", 900),
        Edge("expire(key, 0)", calling(lambda cache: cache.expire("a", 0), 600), "expires", 600),
        Edge("set_lock(..., expire=600)", calling(lambda cache: cache.set_lock("a", "me", 600)), "expires", 600),
        Edge("set_add(..., expire=600)", calling(lambda cache: cache.set_add("a", "b", expire=600)), "expires", 600),
        Edge("slice_incr(..., expire=600)", calling(lambda cache: cache.slice_incr("a", 0, 1, 5, 600)), "expires", 600),
        Edge("incr_bits(key, 1)", calling(lambda cache: cache.incr_bits("a", 1)), "kept"),
    ]


def calling(call: Callable[[Cache], Awaitable[Any]], before: float | None = None) -> Callable[[str], str]:
    async def main(path: str) -> None:
        cache = Cache()
        cache.setup(f"coshelf://{path}")
        if before is not None:
            await cache.set("a", 1, expire=before)
        await call(cache)
        await cache.close()

    def run(path: str) -> str:
        asyncio.run(main(path))
        return "cashews/a"

    return run
