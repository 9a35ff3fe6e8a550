"""What times mean to LangGraph's store, in minutes, and to its node cache, in seconds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from edge import Edge
from langgraph.store.base import TTLConfig

from coshelf.contrib.langgraph import CoshelfCache, CoshelfStore
from coshelf.errors import InvalidExpiry


def rows() -> list[Edge]:
    store = "store.put(namespace, key, value"
    cache = "cache.set({key: (value, "
    return [
        Edge(f"{store})", put(), "kept"),
        Edge(f"{store}, ttl=None)", put(ttl=None), "kept"),
        Edge(f"{store}, ttl=5)", put(ttl=5), "expires", 300),
        Edge(f"{store}, ttl=1.5)", put(ttl=1.5), "expires", 90),
        Edge(f"{store}, ttl=0)", put(ttl=0), "gone"),
        Edge(f"{store}, ttl=-1)", put(ttl=-1), "gone"),
        Edge(f"{store}, ttl=timedelta(minutes=5))", put(ttl=timedelta(minutes=5)), "refused", error=InvalidExpiry),
        Edge(f"{store}, ttl='5')", put(ttl="5"), "refused", error=InvalidExpiry),
        Edge(f"{store}, ttl=True)", put(ttl=True), "refused", error=InvalidExpiry),
        Edge(f"{store}) with default_ttl", put({"default_ttl": 2}), "expires", 120),
        Edge(f"{store}, ttl=None) with default_ttl", put({"default_ttl": 2}, ttl=None), "kept"),
        Edge("store.get(namespace, key) with ttl", reading({}), "expires", 600),
        Edge("store.get(...) with refresh_on_read=False", reading({"refresh_on_read": False}), "expires", 300),
        Edge("store.get(..., refresh_ttl=False)", reading({}, refresh_ttl=False), "expires", 300),
        Edge(f"{cache}None)}})", cached(None), "kept"),
        Edge(f"{cache}90)}})", cached(90), "expires", 90),
        Edge(f"{cache}90.5)}})", cached(90.5), "expires", 90.5),
        Edge(f"{cache}0)}})", cached(0), "gone"),
        Edge(f"{cache}-1)}})", cached(-1), "gone"),
        Edge(f"{cache}'90')}})", cached("90"), "refused", error=InvalidExpiry),
    ]


def put(config: TTLConfig | None = None, **options: Any) -> Callable[[str], Any]:
    def run(path: str) -> Any:
        with CoshelfStore(path, ttl=config) as store:
            store.put(("users", "ann"), "food", {"likes": "leeks"}, **options)
        return "langgraph/store/", ("users", "ann", "food")

    return run


def reading(config: TTLConfig, **options: Any) -> Callable[[str], Any]:
    """The item was stored to live for 10 minutes, of which 5 are left when it is read."""

    def run(path: str) -> Any:
        with CoshelfStore(path, ttl=config) as store:
            store.put(("users", "ann"), "food", {"likes": "leeks"}, ttl=10)
            store.part.shelf.touch(("users", "ann", "food"), expire=300)
            assert store.get(("users", "ann"), "food", **options) is not None
        return "langgraph/store/", ("users", "ann", "food")

    return run


def cached(seconds: Any) -> Callable[[str], Any]:
    def run(path: str) -> Any:
        with CoshelfCache[Any](path) as cache:
            cache.set({(("node",), "3"): ([("number", 6)], seconds)})
        return "langgraph/cache/", ("node", "3")

    return run
