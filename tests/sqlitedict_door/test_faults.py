"""The table of docs/coming-from-sqlitedict.md: each fault is absent here, and sqlitedict itself has it."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlitedict_faults as faults

import coshelf.sqlitedict

RIGHT = {
    "end_of_block": "1",
    "fork": "1",
    "value_that_sqlite_refuses": "that call",
    "tuple_as_key": "that call",
    "none_as_key": "is refused",
    "lock_of_another": "that call, after less",
    "reading_what_is_missing": "nothing",
    "reader_that_writes": "0",
    "connection_of_get_tablenames": "closed",
    "planted_value": "an error",
    "copied": "1",
    "half_an_update": "0",
    "items_taken_twice": "400",
    "new_over_a_text": "stays, with an error",
    "beside_a_log": "1",
    "threads_of_an_object": "0",
}
LEFT_TO_CHANCE = {"items_taken_twice", "reading_what_is_missing"}
"""Races of sqlitedict."""


def test_every_fault_is_tried() -> None:
    assert RIGHT.keys() == faults.FAULTS.keys()


@pytest.mark.parametrize("fault", RIGHT)
def test_fault_is_absent(fault: str, tmp_path: Path) -> None:
    assert str(faults.FAULTS[fault][1](coshelf.sqlitedict, tmp_path)) == RIGHT[fault]


@pytest.mark.long  # some of them hang, and some wait for 5 seconds
@pytest.mark.parametrize("fault", sorted(RIGHT.keys() - LEFT_TO_CHANCE))
def test_fault_is_in_sqlitedict(fault: str, tmp_path: Path) -> None:
    assert faults.tried("sqlitedict", fault, tmp_path, 20.0) not in (RIGHT[fault], "")
