"""Numbers of bytes and times in words."""

from __future__ import annotations

import datetime as dt

__all__ = ["in_words", "moment"]

_STEP = 1024
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def in_words(size: int) -> str:
    """A number of bytes, in three digits or so.

    >>> in_words(1), in_words(999), in_words(123_456), in_words(5 << 30)
    ('1 byte', '999 bytes', '121 KiB', '5.0 GiB')
    """
    if size < _STEP:
        return f"{size} byte{'' if size == 1 else 's'}"
    amount, unit = float(size), 0
    while amount >= _STEP and unit < len(_UNITS) - 1:
        amount, unit = amount / _STEP, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}" if amount < 10 else f"{amount:.0f} {_UNITS[unit]}"


def moment(seconds: float) -> str:
    """A time since 1970, in UTC.

    >>> moment(1_800_000_000.5)
    '2027-01-15 08:00:00 UTC'
    """
    try:
        return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):  # after the year 9999
        return f"{seconds:,.0f} seconds after 1970"
