"""Durations on the command line: ``90``, ``15m``, ``1.5h``, ``7d``; and the time that an entry has left."""

from __future__ import annotations

import math
import re
from typing import Any

import click

__all__ = ["DURATION", "time_left"]

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_FORM = re.compile(r"(-?\d+(?:\.\d+)?)([smhd]?)")


class _Duration(click.types.FloatParamType):
    name = "duration"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        found = _FORM.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"{value!r} is not a duration such as 90, 15m, 1.5h or 7d", parameter, context)
        return float(found[1]) * _UNITS[found[2]]


DURATION = _Duration()


def time_left(seconds: float) -> str:
    """A duration with at most two units.

    >>> time_left(59.2), time_left(3_725), time_left(200_000)
    ('1m00s', '1h02m', '2d07h')
    """
    whole = max(math.ceil(seconds), 0)
    days, hours, minutes = whole // 86_400, whole // 3_600 % 24, whole // 60 % 60
    if days:
        return f"{days}d{hours:02}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{whole % 60:02}s" if minutes else f"{whole}s"
