"""A row of the table of time edges: what a time means to a framework (tests/contrib/test_time_edges.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Edge"]


@dataclass(frozen=True)
class Edge:
    """How an adapter takes one time.

    Attributes:
        call: the framework's call, as a user writes it, such as ``cache.set(key, value, timeout=0)``.
        run: makes an adapter over the shelf at this path, makes the call, and closes the adapter. It returns the key
            of the entry in the whole shelf.
        then: what the entry is after the call: kept for ever, gone at once, to expire, or refused.
        seconds: after how many seconds it expires, counted from the call. At least 60, so that a slow machine sees it.
        error: with what the call is refused.
    """

    call: str
    run: Callable[[str], Any]
    then: Literal["kept", "gone", "expires", "refused"]
    seconds: float | None = None
    error: type[Exception] | None = None
