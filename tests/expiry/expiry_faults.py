"""Faults that a shelf with times could have. The day must find each of them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from coshelf.contract import Batch
from coshelf.engines.lmdb import base_writer, long_keys
from coshelf.engines.lmdb.base_writer import BaseWriter
from coshelf.mapping import expiring
from coshelf.mapping.lapsing import LapsingTransaction
from coshelf.mapping.living import Living, LivingSnapshot
from coshelf.mapping.overlay import Overlay
from coshelf.system import clock
from coshelf.values.expiry import row_of, until

__all__ = ["SABOTAGES", "SABOTAGES_OF_LMDB"]

Patch = pytest.MonkeyPatch


def len_forgets_the_time(patch: Patch) -> None:
    patch.setattr(Living, "count", lambda self, start, stop: self._reader.count(start, stop))


def keys_forget_the_time(patch: Patch) -> None:
    patch.setattr(Living, "key_pages", lambda self, *given, **more: self._reader.key_pages(*given, **more))


def touch_keeps_the_old_time(patch: Patch) -> None:
    patch.setattr(LapsingTransaction, "touch", lambda self, key, expire=None: key in self)


def touch_drops_the_value(patch: Patch) -> None:
    put = LapsingTransaction._put_for
    patch.setattr(LapsingTransaction, "_put_for", lambda self, key, _, length: put(self, key, b"\x80\x04N.", length))


def change_makes_permanent(patch: Patch) -> None:
    put_back = LapsingTransaction._put_back
    patch.setattr(
        LapsingTransaction,
        "_put_back",
        lambda self, overlay, encoded, body, record: put_back(self, overlay, encoded, body, None),
    )


def transaction_writes_no_rows(patch: Patch) -> None:
    patch.setattr(Overlay, "note_rows", lambda self, envelope, key: None)


def snapshot_goes_on_with_the_clock(patch: Patch) -> None:
    def make(self: Any, reader: Any, now: Callable[[], int]) -> None:
        Living.__init__(self, reader, now)
        self.now = now

    patch.setattr(LivingSnapshot, "__init__", make)


def removal_of_what_was_stored_anew(patch: Patch) -> None:
    def removal(reader: Any, now: int, most: int) -> tuple[Batch, int] | None:
        rows = [row for row, _ in reader.scan(*until(now), keys_only=True)]
        keys = {row_of(row)[1] for row in rows}
        return (Batch(deletes=frozenset(keys.union(rows))), len(keys)) if rows else None

    patch.setattr(expiring, "removal", removal)


def removal_of_rows_alone(patch: Patch) -> None:
    def removal(reader: Any, now: int, most: int) -> tuple[Batch, int] | None:
        rows = [row for row, _ in reader.scan(*until(now), keys_only=True)]
        return (Batch(deletes=frozenset(rows)), 0) if rows else None

    patch.setattr(expiring, "removal", removal)


def sweep_of_what_was_stored_anew(patch: Patch) -> None:
    def sweep(self: Any, number: int, written: int) -> None:
        for row, _ in list(long_keys.walk(self._transaction, *until(clock.now()), False, True)):
            self._delete(row_of(row)[1])
            self._delete(row)

    patch.setattr(BaseWriter, "sweep", sweep)


def sweep_by_a_clock_that_is_fast(patch: Patch) -> None:
    # The module's own name for the clock: a flush thread must not put back a clock that a test has stopped meanwhile.
    patch.setattr(base_writer, "clock", SimpleNamespace(now=lambda: clock.now() + 1))


def flush_forgets_that_there_are_times(patch: Patch) -> None:
    real = BaseWriter.sweep

    def sweep(self: Any, number: int, written: int) -> None:
        real(self, number, written)
        self.has_times = False

    patch.setattr(BaseWriter, "sweep", sweep)


SABOTAGES: list[Callable[[Patch], None]] = [
    len_forgets_the_time,
    keys_forget_the_time,
    touch_keeps_the_old_time,
    touch_drops_the_value,
    change_makes_permanent,
    transaction_writes_no_rows,
    snapshot_goes_on_with_the_clock,
    removal_of_what_was_stored_anew,
    removal_of_rows_alone,
]
SABOTAGES_OF_LMDB: list[Callable[[Patch], None]] = [
    sweep_of_what_was_stored_anew,
    sweep_by_a_clock_that_is_fast,
    flush_forgets_that_there_are_times,
]
