"""Sets the limits of a shelf when it is opened. Row ``01 "limits"``; docs/format.md, "Limits"."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from coshelf.contract import ABSENT, Batch, Engine, Flag
from coshelf.errors import Conflict, InvalidLimit, Unsupported
from coshelf.values.limits import LIMITS_ROW, Eviction, Limits, bytes_of, count_of, policy

__all__ = ["AskedLimits", "asked_limits", "limits_of", "settle_limits"]


@dataclass(frozen=True, slots=True)
class AskedLimits:
    """What the caller of ``open`` asks for. None: as the shelf has it. 0: no limit."""

    max_bytes: int | None = None
    max_entries: int | None = None
    evict: Eviction | None = None


def asked_limits(max_bytes: Any, max_entries: Any, evict: Any) -> AskedLimits | None:
    """The options of ``open``; None if nothing is asked for. Raises :class:`InvalidLimit`."""
    if max_bytes is None and max_entries is None and evict is None:
        return None
    if max_bytes is not None:
        max_bytes = 0 if max_bytes is False else bytes_of(max_bytes)
    if max_entries is not None:
        max_entries = 0 if max_entries is False else count_of(max_entries, "max_entries")
    return AskedLimits(max_bytes, max_entries, None if evict is None else policy(evict))


def limits_of(engine: Engine) -> Limits:
    """The limits that a shelf has."""
    return _look(engine)[1]


def _look(engine: Engine) -> tuple[Any, Limits]:
    entry = engine.get(LIMITS_ROW) if engine.capabilities.bounded else None
    if entry is None:
        return ABSENT, Limits()
    return entry.version, Limits.of(entry.record, engine.where)


def settle_limits(engine: Engine, flag: Flag, asked: AskedLimits | None) -> None:
    """Store the limits that follow from those of the shelf and from what the caller asks for.

    With flag "r" nothing is stored. Raises :class:`Unsupported` and :class:`InvalidLimit`.
    """
    if asked is None:
        return
    if not engine.capabilities.bounded:
        if not (asked.max_bytes or asked.max_entries):
            return
        raise Unsupported(
            f"shelves of the {engine.name} engine cannot have limits ({engine.where})\n"
            "  hint: use a file of the lmdb engine, or leave max_bytes= and max_entries= out"
        )
    while True:
        version, has = _look(engine)
        wanted = _agreed(asked, has, engine.where)
        if flag == "r" or wanted == has or not (wanted or has):
            return
        changed = {"puts": {LIMITS_ROW: wanted.body()}} if wanted else {"deletes": frozenset((LIMITS_ROW,))}
        try:
            engine.commit(Batch(**changed, checks={LIMITS_ROW: version}))
        except Conflict:
            continue  # another process opens it at the same time
        engine.sync()  # the limits hold from here on
        return


def _agreed(asked: AskedLimits, has: Limits, where: str) -> Limits:
    given = {name: value for name, value in dataclasses.asdict(asked).items() if value is not None}
    wanted = dataclasses.replace(has, **given)
    if asked.evict is not None and not wanted and not (asked.max_bytes == 0 or asked.max_entries == 0):
        raise InvalidLimit(
            f"evict={asked.evict!r} needs a limit, and {where} has none\n"
            "  hint: give max_bytes= or max_entries= as well"
        )
    return wanted
