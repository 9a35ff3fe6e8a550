"""Changes as a page is told them: some at a time, as texts that are safe to show."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from coshelf.contract import Position
from coshelf.errors import CoshelfError
from coshelf.keys import encode, shown
from coshelf.mapping.change import Change
from coshelf.mapping.watch import Watch
from coshelf.screen import plain

__all__ = ["Burst", "Told", "label_of", "next_burst"]

MOST = 50
"""Changes that a page is told one by one. Of more that come together, the last ones are told, and the rest counted."""

_LONGEST_LABEL = 200
_LENGTH = 60  # characters of a preview
_STEPS = 500  # of a preview
_GATHERED = 0.1  # seconds in which the changes that follow the first are told with it
_MOST_GATHERED = 20_000


@dataclass(frozen=True, slots=True)
class Told:
    """One change.

    Attributes:
        kind: "set", "deleted", "expired" or "gap".
        key: the encoded key; empty for a gap.
        label: the key as text, cut.
        text: the beginning of the value; empty if nothing was stored, or if the value is gone already.
    """

    kind: str
    key: bytes
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Burst:
    """Changes that are told together.

    Attributes:
        changes: the last of them, in the order of their commits.
        left_out: how many came before these.
        has_gap: whether some changes are not known any more.
        version: where to go on, for ``since=``.
    """

    changes: tuple[Told, ...]
    left_out: int
    has_gap: bool
    version: Position


def label_of(key: Any) -> str:
    r"""A key as a text without control characters, cut. A str is without quotes, unless it is empty.

    >>> label_of("soups/leek"), label_of(("a", 1)), label_of("\x1b[2J"), label_of("")
    ('soups/leek', "('a', 1)", '\\x1b[2J', "''")
    """
    if not isinstance(key, str) or not key:
        return shown(key)
    cut = key if len(key) <= _LONGEST_LABEL else f"{key[: _LONGEST_LABEL - 3]}..."
    return plain(cut)


def next_burst(
    watch: Watch[Any, Any], timeout: float, *, selects: Callable[[Any], bool] | None = None, most: int = MOST
) -> Burst | None:
    """The next changes of a watch. It waits for the first one, and takes those that follow at once.

    Memory does not grow with the number of changes: the engine keeps what is not taken, up to its limit, and tells a
    gap after that.

    Args:
        watch: where the changes come from.
        timeout: seconds to wait for the first one.
        selects: which keys are told; None: all. A gap is always told.
        most: how many are told one by one.

    Returns None if no change that is to be told came.
    """
    first = watch.next(timeout)
    if first is None:
        return None
    kept: deque[Change[Any, Any]] = deque(maxlen=most)
    count, has_gap = 0, False
    end = time.monotonic() + _GATHERED
    change: Change[Any, Any] | None = first
    for _ in range(_MOST_GATHERED):
        if change is None:
            break
        if change.kind == "gap" or selects is None or selects(change.key):
            kept.append(change)
            count += 1
            has_gap = has_gap or change.kind == "gap"
        if time.monotonic() >= end:
            break
        change = watch.next(0)
    if not kept:
        return None
    return Burst(tuple(map(_told, kept)), count - len(kept), has_gap, watch.version)


def _told(change: Change[Any, Any]) -> Told:
    if change.kind == "gap":
        return Told("gap", b"", "", "")
    return Told(change.kind, encode(change.key), label_of(change.key), _preview(change))


def _preview(change: Change[Any, Any]) -> str:
    try:
        record = change.record
    except KeyError:  # it is gone, and the engine has the latest state alone
        return ""
    except CoshelfError as error:  # it is damaged, or its server is away: the change is told all the same
        return f"<{plain(type(error).__name__)}>"
    if record is None:
        return ""
    found = record.preview(length=_LENGTH, steps=_STEPS)
    return found.text
