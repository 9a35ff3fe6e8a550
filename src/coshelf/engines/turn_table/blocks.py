"""Numbers of blocks of tokens, in a row of the shelf: tokens grow over the end of a table, and over power cuts."""

from __future__ import annotations

from collections.abc import Callable

from coshelf import records
from coshelf.contract import ABSENT, Batch, Engine
from coshelf.errors import Conflict

__all__ = ["next_block"]

_ROW = b"\x01turns"


def next_block(engine: Engine, commit_held: Callable[[Batch], object] | None = None) -> int:
    """The number of the next block. It is durable when this returns that the number was given.

    ``commit_held`` commits for the thread that holds the exclusive lock, on an engine that does not take it twice.
    """
    if not engine.owns_exclusive():
        number = _take_number(engine, engine.commit)
    elif commit_held is not None:
        number = _take_number(engine, commit_held)
    else:
        with engine.exclusive() as exclusive:
            number = _take_number(engine, exclusive.commit)
    engine.sync()
    return number


def _take_number(engine: Engine, commit: Callable[[Batch], object]) -> int:
    while True:
        entry = engine.get(_ROW)
        number = 0 if entry is None else int.from_bytes(entry.record[: -records.TRAILER], "big")
        version = ABSENT if entry is None else entry.version
        try:
            commit(Batch(puts={_ROW: (number + 1).to_bytes(8, "big")}, checks={_ROW: version}))
        except Conflict:
            continue
        return number
