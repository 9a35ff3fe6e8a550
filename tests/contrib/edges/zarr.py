"""Times of zarr's store: it has none of its own, and the shelf's ``expire=`` holds for what it stores."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

from edge import Edge
from zarr.core.buffer import cpu

import coshelf
from coshelf.contrib.zarr import CoshelfStore


def stored(**options: Any) -> Callable[[str], str]:
    def run(path: str) -> str:
        with closing(CoshelfStore(path, **options)) as store:
            store.set_sync("a", cpu.Buffer.from_bytes(b"1"))
        return "zarr/a"

    return run


def rows() -> list[Edge]:
    return [
        Edge("CoshelfStore(path)", stored(), "kept"),
        Edge("CoshelfStore(path, expire=None)", stored(expire=None), "kept"),
        Edge("CoshelfStore(path, expire=90.5)", stored(expire=90.5), "expires", 90.5),
        Edge("CoshelfStore(path, expire=timedelta(hours=1))", stored(expire=timedelta(hours=1)), "expires", 3600),
        Edge("CoshelfStore(path, expire=0)", stored(expire=0), "refused", error=coshelf.InvalidExpiry),
        Edge("CoshelfStore(path, expire='1')", stored(expire="1"), "refused", error=coshelf.InvalidExpiry),
    ]
