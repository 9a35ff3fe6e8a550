"""What times mean to the store for Litestar: seconds, as an int or timedelta; 0 and None are no time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from edge import Edge

import coshelf
from coshelf.contrib.litestar import CoshelfStore


def after(expires_in: Any, renew_for: Any = None) -> Callable[[str], Any]:
    async def put(path: str) -> None:
        async with CoshelfStore(path) as store:
            await store.set("ann", b"", expires_in=expires_in)
            await store.get("ann", renew_for=renew_for)

    def run(path: str) -> Any:
        asyncio.run(put(path))
        return "litestar/", (0, "ann")

    return run


def rows() -> list[Edge]:
    minute = timedelta(minutes=1)
    return [
        Edge("set(key, value)", after(None), "kept"),
        Edge("set(key, value, 0)", after(0), "kept"),
        Edge("set(key, value, timedelta(0))", after(timedelta()), "kept"),
        Edge("set(key, value, 60)", after(60), "expires", 60),
        Edge("set(key, value, timedelta(minutes=1))", after(minute), "expires", 60),
        Edge("set(key, value, -1)", after(-1), "gone"),
        Edge('set(key, value, "60")', after("60"), "refused", error=coshelf.InvalidExpiry),
        Edge("get(key, renew_for=600), of 60 s", after(60, 600), "expires", 600),
        Edge("get(key, renew_for=timedelta(minutes=1)), of 600 s", after(600, minute), "expires", 60),
        Edge("get(key, renew_for=0), of 60 s", after(60, 0), "expires", 60),
        Edge("get(key, renew_for=60), without a time", after(None, 60), "kept"),
    ]
