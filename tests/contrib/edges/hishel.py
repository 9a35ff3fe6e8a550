"""What times mean to the storage for hishel: seconds, as a number; None is no limit, or the storage's default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge import Edge
from hishel import Request, Response

from coshelf.contrib.hishel import CoshelfStorage
from coshelf.contrib.hishel.rows import entry_key


def after(ttl: float | None = None, tti: float | None = None, **defaults: Any) -> Callable[[str], Any]:
    def run(path: str) -> Any:
        storage = CoshelfStorage(path, **defaults)
        entry = storage.create_entry(Request("GET", "k"), Response(200, stream=iter([b"a"])), "k", ttl=ttl, tti=tti)
        assert list(entry.response.stream) == [b"a"]
        storage.close()
        return "hishel/", entry_key(entry.id)

    return run


def rows() -> list[Edge]:
    return [
        Edge("create_entry(...)", after(), "kept"),
        Edge("create_entry(..., ttl=60)", after(60), "expires", 60),
        Edge("create_entry(..., ttl=60.5)", after(60.5), "expires", 60.5),
        Edge("create_entry(..., tti=60)", after(tti=60), "expires", 60),
        Edge("create_entry(..., ttl=600, tti=60)", after(600, 60), "expires", 60),
        Edge("create_entry(..., ttl=60, tti=600)", after(60, 600), "expires", 60),
        Edge("create_entry(..., ttl=0)", after(0), "gone"),
        Edge("create_entry(..., ttl=-1)", after(-1), "gone"),
        Edge("create_entry(...), default_ttl=60", after(default_ttl=60), "expires", 60),
        Edge("create_entry(..., ttl=600), default_ttl=60", after(600, default_ttl=60), "expires", 600),
        Edge("create_entry(...), default_tti=60", after(default_tti=60), "expires", 60),
    ]
