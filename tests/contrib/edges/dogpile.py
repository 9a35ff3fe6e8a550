"""Times of dogpile.cache: the backend's own ``expire``. The region's ``expiration_time`` is in the value."""

from __future__ import annotations

from typing import Any

from dogpile.cache import make_region, register_backend
from edge import Edge

from coshelf.contrib.dogpile import CoshelfBackend
from coshelf.errors import InvalidExpiry

register_backend("coshelf", "coshelf.contrib.dogpile", "CoshelfBackend")


def rows() -> list[Edge]:
    return [
        Edge("expiration_time=600", lambda path: stored(path, {}, expiration_time=600), "kept"),
        Edge("expiration_time=None", lambda path: stored(path, {}), "kept"),
        Edge("arguments={'expire': None}", lambda path: stored(path, {"expire": None}), "kept"),
        Edge("arguments={'expire': 600}", lambda path: stored(path, {"expire": 600}), "expires", 600),
        Edge("arguments={'expire': 600.5}", lambda path: stored(path, {"expire": 600.5}), "expires", 600.5),
        Edge("set_multi, {'expire': 600}", lambda path: stored(path, {"expire": 600}, many=True), "expires", 600),
        Edge("arguments={'expire': 0}", lambda path: stored(path, {"expire": 0}), "refused", error=InvalidExpiry),
        Edge("arguments={'expire': -1}", lambda path: stored(path, {"expire": -1}), "refused", error=InvalidExpiry),
        Edge("arguments={'expire': '60'}", lambda path: stored(path, {"expire": "60"}), "refused", error=InvalidExpiry),
    ]


def stored(path: str, arguments: dict[str, Any], many: bool = False, **options: Any) -> str:
    region = make_region().configure("coshelf", arguments={"target": path, **arguments}, **options)
    if many:
        region.set_multi({"a": 1})
    else:
        region.set("a", 1)
    backend = region.actual_backend
    assert isinstance(backend, CoshelfBackend)
    backend.close()
    return "dogpile/a"
