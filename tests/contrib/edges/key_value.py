"""What times mean to the store for py-key-value: seconds, more than 0; None keeps for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from edge import Edge
from key_value.aio.errors import InvalidTTLError

from coshelf.contrib.key_value import CoshelfStore


def after(**given: Any) -> Callable[[str], Any]:
    async def put(path: str) -> None:
        async with CoshelfStore(path) as store:
            await store.put("ann", {}, **given)

    def run(path: str) -> Any:
        asyncio.run(put(path))
        return "key_value/", ("default_collection", "ann")

    return run


def rows() -> list[Edge]:
    return [
        Edge("put(key, value)", after(), "kept"),
        Edge("put(key, value, ttl=None)", after(ttl=None), "kept"),
        Edge("put(key, value, ttl=60)", after(ttl=60), "expires", 60),
        Edge("put(key, value, ttl=60.5)", after(ttl=60.5), "expires", 60.5),
        *[
            Edge(f"put(key, value, ttl={ttl!r})", after(ttl=ttl), "refused", error=InvalidTTLError)
            for ttl in (0, -1, True)
        ],
    ]
