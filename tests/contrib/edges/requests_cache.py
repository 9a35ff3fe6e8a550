"""What times mean to the backend for requests-cache: the shelf removes a response ``ttl_offset`` after its time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from edge import Edge
from requests_cache import CachedResponse
from requests_cache.policy import get_expiration_datetime

from coshelf.contrib.requests_cache import CoshelfCache


def after(expire_after: Any, **options: Any) -> Callable[[str], str]:
    def run(path: str) -> str:
        cache = CoshelfCache(path, **options)
        # Half a second more: requests-cache rounds to seconds, and the row must not be early.
        expires = get_expiration_datetime(expire_after)
        later = expires if expires is None else expires + timedelta(seconds=0.6)
        cache.responses["ann"] = CachedResponse(expires=later)
        cache.close()
        return "requests_cache/responses/ann"

    return run


def rows() -> list[Edge]:
    return [
        Edge("expire_after=None", after(None), "kept"),
        Edge("expire_after=-1", after(-1), "kept"),
        Edge("expire_after=60", after(60), "expires", 3660),
        Edge("expire_after=timedelta(minutes=1)", after(timedelta(minutes=1)), "expires", 3660),
        Edge("expire_after=60, ttl_offset=100", after(60, ttl_offset=100), "expires", 160),
        Edge("expire_after=60, ttl=False", after(60, ttl=False), "kept"),
    ]
