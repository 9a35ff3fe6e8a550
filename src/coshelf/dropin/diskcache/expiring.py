"""When an entry expires: seconds from now, as a time since 1970."""

from __future__ import annotations

import math
from typing import Any

from coshelf.dropin.diskcache.layout import EXPIRE_TIME, Row

__all__ = ["expired", "expires_at", "refuse_tag"]


def expires_at(now: float, expire: float | None) -> float | None:
    """The time at which an entry expires that is stored now; None if it does not. NaN is no time."""
    if expire is None:
        return None
    time = now + expire
    return None if math.isnan(time) else time


def expired(row: Row, now: float) -> bool:
    """Whether a row has expired."""
    time = row[EXPIRE_TIME]
    return time is not None and time <= now


def refuse_tag(tag: Any) -> None:
    """Raise ``sqlite3.ProgrammingError``, as diskcache does, for a tag that is not str, int, float, bytes or None."""
    if not isinstance(tag, (str, int, float, bytes)) and tag is not None:
        import sqlite3

        raise sqlite3.ProgrammingError(
            f"type {type(tag).__name__!r} is not supported as a tag: a tag is a str, int, float or bytes"
        )
