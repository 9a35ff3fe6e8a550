"""huey's times are seconds, and moments. None keeps data for ever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from edge import Edge

from coshelf.contrib.huey import CoshelfStorage

KEY = "huey/tests/results/a"


def rows() -> list[Edge]:
    return [
        Edge("put_data(key, value)", put(), "kept"),
        Edge("put_data(key, result, is_result=True)", put(is_result=True), "kept"),
        Edge("expire_time=100, for a result", put(is_result=True, expire_time=100), "expires", 100),
        Edge("expire_time=100, for other data", put(expire_time=100), "kept"),
        Edge("expire_time=0, for a result", put(is_result=True, expire_time=0), "gone"),
        Edge("put_if_empty(key, value)", add(), "kept"),
        Edge("put_if_empty(key, value, ttl=None)", add(ttl=None), "kept"),
        Edge("put_if_empty(key, value, ttl=100)", add(ttl=100), "expires", 100),
        Edge("put_if_empty(key, value, ttl=99.5)", add(ttl=99.5), "expires", 99.5),
        Edge("put_if_empty(key, value, ttl=timedelta(minutes=2))", add(ttl=timedelta(minutes=2)), "expires", 120),
        Edge("put_if_empty(key, value, ttl=0)", add(ttl=0), "gone"),
        Edge("put_if_empty(key, value, ttl=-1)", add(ttl=-1), "gone"),
        Edge("put_if_empty(key, value, ttl='1')", add(ttl="1"), "refused", error=ValueError),
    ]


def put(*, is_result: bool = False, **options: Any) -> Callable[[str], str]:
    def run(path: str) -> str:
        storage = CoshelfStorage("tests", target=path, **options)
        storage.put_data("a", b"1", is_result=is_result)
        storage.close()
        return KEY

    return run


def add(**options: Any) -> Callable[[str], str]:
    def run(path: str) -> str:
        storage = CoshelfStorage("tests", target=path)
        try:
            assert storage.put_if_empty("a", b"1", **options)
        finally:
            storage.close()
        return KEY

    return run
