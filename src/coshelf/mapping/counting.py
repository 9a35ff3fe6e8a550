"""What ``incr`` adds, and to what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coshelf.keys import shown

__all__ = ["adding"]


def adding(key: object, by: object, default: object) -> Callable[[Any], Any]:
    """A function that adds ``by`` to the value of ``key``. It raises TypeError if that is not an int or float."""
    for name, given in (("by", by), ("default", default)):
        if not _is_number(given):
            raise TypeError(f"incr() needs an int or float as {name}=, not a {type(given).__name__}")

    def added(value: Any) -> Any:
        if not _is_number(value):
            raise TypeError(
                f"the value for key {shown(key)} is a {type(value).__name__}, and incr() adds to an int or float; the "
                "entry was not changed\n  hint: use modify()"
            )
        return value + by

    return added


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
