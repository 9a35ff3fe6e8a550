"""The index of times on lmdb: its first time, looked up quickly. docs/design.md, "Expiry"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from coshelf.engines.lmdb.delta.delta import is_deletion
from coshelf.engines.lmdb.delta.state import DIRTY
from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.files.state_page import TIMES
from coshelf.values.expiry import INDEX, row_of

if TYPE_CHECKING:
    import lmdb

    from coshelf.engines.lmdb.open_files import OpenFiles

__all__ = ["earlier", "first_in_base", "first_in_both", "has_rows"]


def first_in_base(transaction: lmdb.Transaction[bytes]) -> int | None:
    """The first time in the index of the base; None if it is empty."""
    cursor = transaction.cursor()
    if not cursor.set_range(INDEX[0]) or cursor.key() >= INDEX[1]:
        return None
    return row_of(cursor.key())[0]


def first_in_delta(environment: OpenFiles) -> int | None:
    """The first time in the index of the delta; None if that is empty. The caller is inside the environment."""
    state = environment.delta_state
    if state is None or not state.words[DIRTY]:
        return None
    for row, record in environment.current_delta().rows(*INDEX):
        if not is_deletion(record):
            return row_of(row)[0]
    return None


def first_in_both(environment: OpenFiles) -> int | None:
    """The first time in the index of base and delta. If the state page says that there is none, this is quick."""
    base = environment.enter()
    try:
        state = environment.delta_state
        if state is not None and not state.words[TIMES]:
            return None
        with translated(environment.path, "read"):
            newer = first_in_delta(environment)  # first: what a flush takes out of the delta is in the base then
            with base.begin() as transaction:
                return earlier(newer, first_in_base(transaction))
    finally:
        environment.leave()


def has_rows(puts: Iterable[bytes]) -> bool:
    """Whether rows of the index are among the keys."""
    return any(INDEX[0] <= key < INDEX[1] for key in puts)


def earlier(one: int | None, other: int | None) -> int | None:
    """The earlier of two times."""
    return one if other is None else other if one is None else min(one, other)
