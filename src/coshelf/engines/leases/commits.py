"""Compare and swap of single rows, also when a reply is lost."""

from __future__ import annotations

from collections.abc import Callable

from coshelf.contract import ABSENT, Batch, Engine, Entry
from coshelf.errors import Conflict, OutcomeUnknown
from coshelf.system.waiting.backoff import Backoff

__all__ = ["swap"]

_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.1


def _store_if(engine: Engine, key: bytes, body: bytes, before: Entry | None) -> bool:
    """Store a row in the place of what was read. Return False if it has changed meanwhile."""
    try:
        engine.commit(Batch(puts={key: body}, checks={key: ABSENT if before is None else before.version}))
    except Conflict:
        return False
    return True


def _remove_if(engine: Engine, key: bytes, before: Entry) -> bool:
    """Remove a row that is as it was read. Return False if it has changed meanwhile."""
    try:
        engine.commit(Batch(deletes=frozenset((key,)), checks={key: before.version}))
    except Conflict:
        return False
    return True


def swap(engine: Engine, key: bytes, change: Callable[[Entry | None], bytes | None]) -> None:
    """Change a row, and repeat that as long as others change it meanwhile.

    After a lost reply it looks again. So ``change`` must find out whether it has happened already.

    Args:
        engine: the engine.
        key: the row.
        change: takes what is stored, and returns the new body; b"" to remove the row; None to leave it.
    """
    backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, spread=0.9)
    losses = 0
    while True:
        before = engine.get(key)
        body = change(before)
        if body is None:
            return
        try:
            if body:
                is_done = _store_if(engine, key, body, before)
            else:
                is_done = before is None or _remove_if(engine, key, before)
            if is_done:
                return
        except OutcomeUnknown:
            losses += 1
            if losses > 1:
                raise
        backoff.sleep()
