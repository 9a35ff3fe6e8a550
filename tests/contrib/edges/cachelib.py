"""Times of cachelib: whole seconds or a timedelta. 0 keeps an entry for ever, and None is the default of the cache."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from edge import Edge

from coshelf.contrib.cachelib import CoshelfCache


def rows() -> list[Edge]:
    return [
        Edge("set(key, value)", calling(lambda cache: cache.set("a", 1)), "expires", 300),
        Edge("set(..., timeout=None)", calling(lambda cache: cache.set("a", 1, None)), "expires", 300),
        Edge("set(..., timeout=600)", calling(lambda cache: cache.set("a", 1, 600)), "expires", 600),
        Edge("set(..., timeout=0)", calling(lambda cache: cache.set("a", 1, 0)), "kept"),
        Edge("set(..., timeout=timedelta())", calling(lambda cache: cache.set("a", 1, timedelta())), "kept"),
        Edge("set(..., timeout=-1)", calling(lambda cache: cache.set("a", 1, -1)), "gone"),
        Edge(
            "set(..., timeout=timedelta(seconds=599.2))",
            calling(lambda cache: cache.set("a", 1, timedelta(seconds=599.2))),
            "expires",
            600,
        ),
        Edge("set(..., timeout=599.2)", calling(with_a_float), "expires", 600),
        Edge("set(..., timeout='60')", calling(lambda cache: cache.set("a", 1, "60")), "refused", error=TypeError),
        Edge("add(..., timeout=600)", calling(lambda cache: cache.add("a", 1, 600)), "expires", 600),
        Edge("add(..., timeout=0)", calling(lambda cache: cache.add("a", 1, 0)), "kept"),
        Edge("set_many(..., timeout=600)", calling(lambda cache: cache.set_many({"a": 1}, 600)), "expires", 600),
        Edge("set_many(..., timeout=0)", calling(lambda cache: cache.set_many({"a": 1}, 0)), "kept"),
        Edge("inc(key) of a missing key", calling(lambda cache: cache.inc("a")), "expires", 300),
        Edge("inc(key) after set(..., 600)", calling(count_after_storing), "expires", 600),
        Edge("CoshelfCache(default_timeout=0)", calling(lambda cache: cache.set("a", 1), default_timeout=0), "kept"),
        Edge(
            "CoshelfCache(default_timeout=timedelta(minutes=2))",
            calling(lambda cache: cache.set("a", 1), default_timeout=timedelta(minutes=2)),
            "expires",
            120,
        ),
    ]


def calling(call: Callable[[Any], object], **options: Any) -> Callable[[str], str]:
    def run(path: str) -> str:
        cache = CoshelfCache(path, **options)
        call(cache)
        cache.close()
        return "cachelib/a"

    return run


def with_a_float(cache: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # cachelib will refuse it
        cache.set("a", 1, 599.2)


def count_after_storing(cache: Any) -> None:
    cache.set("a", 1, 600)
    cache.inc("a")
