"""A day of simulated time: whatever is done to entries that expire, a shelf has what a dict with times has."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from expiry_faults import SABOTAGES, SABOTAGES_OF_LMDB
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

import coshelf
from coshelf.contract import Flag
from coshelf.keys import FIRST, LAST
from coshelf.testing import DayMachine
from coshelf.values.expiry import INDEX, row_of, time_of, until

IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # nothing here is about the disk
# Shrinking a failure takes minutes, so it is left to who looks into one: take `phases` away.
BOUNDED = settings(
    max_examples=12,
    stateful_step_count=40,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class Day(DayMachine):
    """A day on an engine, of which the index by time is looked at, too."""

    where: ClassVar[str]
    default: ClassVar[int | None] = None
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="coshelf-day-", dir=IN_MEMORY))
        self.mapping: dict[bytes, bytes] = {}
        super().__init__()
        self.committed.content.time_of_new = lambda: self._until(self.default)

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            shutil.rmtree(self.place)

    def open_shelf(self, flag: Flag = "c") -> coshelf.Shelf[Any, Any]:
        target = self.mapping if self.where == "mapping" else self.where.format(self.place / "a.shelf")
        return coshelf.open(target, flag, **self.options)

    @invariant()
    @precondition(lambda self: self.block is None)
    def each_time_has_its_row(self) -> None:
        engine = self.shelf._handle.engine
        rows = {row_of(row) for row, _ in engine.scan(*INDEX, keys_only=True)}
        times = {(time_of(entry.record), key) for key, entry in engine.scan(FIRST, LAST) if entry is not None}
        assert {(time, key) for time, key in times if time is not None} <= rows

    @rule()
    @precondition(lambda self: self.block is None)
    def remove_what_has_expired(self) -> None:
        super().remove_what_has_expired()
        engine = self.shelf._handle.engine
        assert engine.count(FIRST, LAST) == len(self.committed)
        assert list(engine.scan(*until(self.clock.now()), keys_only=True)) == []


class LmdbDay(Day):
    """Flushes at every second move of the clock, and when a rule syncs, opens or closes."""

    where = "{}"
    options: ClassVar = {"flush_interval": 3600}  # not by time: the same in each run
    moves = 0

    def _pass_by(self, seconds: float) -> None:
        super()._pass_by(seconds)
        self.moves += 1
        if self.moves % 2 and self.block is None:
            self.shelf["moves"] = self.committed["moves"] = self.moves
            self.shelf.sync()


class SqliteDay(Day):
    where = "sqlite:{}"


class MappingDay(Day):
    where = "mapping"


class MemoryDay(Day):
    where = "memory:"


class DayWithDefault(MemoryDay):
    """All entries that are stored without a time expire after ten minutes."""

    default = 600
    options: ClassVar = {"expire": 600}


DAYS = {"lmdb": LmdbDay, "sqlite": SqliteDay, "mapping": MappingDay, "memory": MemoryDay, "default": DayWithDefault}


@pytest.mark.parametrize("day", DAYS.values(), ids=DAYS)
def test_shelf_is_as_a_dict_with_times(day: type[Day]) -> None:
    run_state_machine_as_test(day, settings=BOUNDED)


@pytest.mark.long
@pytest.mark.parametrize("day", DAYS.values(), ids=DAYS)
def test_shelf_is_as_a_dict_with_times_on_many_days(day: type[Day]) -> None:
    run_state_machine_as_test(day, settings=settings(BOUNDED, max_examples=300, stateful_step_count=80))


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.__name__)
def test_broken_shelf_is_convicted(sabotage: Callable[[pytest.MonkeyPatch], None], monkeypatch: Any) -> None:
    sabotage(monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(MemoryDay, settings=settings(BOUNDED, max_examples=100))


@pytest.mark.parametrize("sabotage", SABOTAGES_OF_LMDB, ids=lambda sabotage: sabotage.__name__)
def test_broken_engine_is_convicted(sabotage: Callable[[pytest.MonkeyPatch], None], monkeypatch: Any) -> None:
    sabotage(monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(LmdbDay, settings=settings(BOUNDED, max_examples=100))
