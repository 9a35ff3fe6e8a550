"""Times of fsspec's file system: it has none of its own, and the shelf's ``expire=`` holds for what it stores."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

from edge import Edge

import coshelf
from coshelf.contrib.fsspec import CoshelfFileSystem


def stored(**options: Any) -> Callable[[str], str]:
    def run(path: str) -> str:
        with closing(CoshelfFileSystem(path, **options)) as store:
            store.pipe("a", b"1")
        return "files/data/a"

    return run


def rows() -> list[Edge]:
    return [
        Edge("CoshelfFileSystem(path)", stored(), "kept"),
        Edge("CoshelfFileSystem(path, expire=None)", stored(expire=None), "kept"),
        Edge("CoshelfFileSystem(path, expire=90.5)", stored(expire=90.5), "expires", 90.5),
        Edge("CoshelfFileSystem(path, expire=timedelta(hours=1))", stored(expire=timedelta(hours=1)), "expires", 3600),
        Edge("CoshelfFileSystem(path, expire=0)", stored(expire=0), "refused", error=coshelf.InvalidExpiry),
        Edge("CoshelfFileSystem(path, expire='1')", stored(expire="1"), "refused", error=coshelf.InvalidExpiry),
    ]
