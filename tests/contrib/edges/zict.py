"""Times of zict's mapping: it has none of its own, and the shelf's ``expire=`` holds for what it stores."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

from edge import Edge

import coshelf
from coshelf.contrib.zict import CoshelfMapping


def stored(**options: Any) -> Callable[[str], str]:
    def run(path: str) -> str:
        with closing(CoshelfMapping(path, **options)) as store:
            store["a"] = b"1"
        return "zict/a"

    return run


def rows() -> list[Edge]:
    return [
        Edge("CoshelfMapping(path)", stored(), "kept"),
        Edge("CoshelfMapping(path, expire=None)", stored(expire=None), "kept"),
        Edge("CoshelfMapping(path, expire=90.5)", stored(expire=90.5), "expires", 90.5),
        Edge("CoshelfMapping(path, expire=timedelta(hours=1))", stored(expire=timedelta(hours=1)), "expires", 3600),
        Edge("CoshelfMapping(path, expire=0)", stored(expire=0), "refused", error=coshelf.InvalidExpiry),
        Edge("CoshelfMapping(path, expire='1')", stored(expire="1"), "refused", error=coshelf.InvalidExpiry),
    ]
