"""What tests/expiry claims of entries that expire holds on servers, whose clocks the tests move."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import test_entries
import test_together
from postgresql import MovedClock, Postgresql

import coshelf
from coshelf.testing.moving_clock import MovingClock

CLAIMS = [
    function
    for module in (test_entries, test_together)
    for name, function in vars(module).items()
    if name.startswith("test_") and set(inspect.signature(function).parameters) <= {"shelf", "clock"}
]


@pytest.fixture
def clock(postgresql: Postgresql) -> Iterator[MovingClock]:
    with MovedClock(postgresql) as clock:
        yield clock


@pytest.fixture
def shelf(postgresql: Postgresql, clock: MovingClock) -> Iterator[coshelf.Shelf[Any, Any]]:
    with coshelf.open(postgresql.moved_url()) as shelf:
        yield shelf


@pytest.mark.parametrize("claim", CLAIMS, ids=[function.__name__ for function in CLAIMS])
def test_claim_holds(claim: Callable[..., None], shelf: coshelf.Shelf[Any, Any], clock: MovingClock) -> None:
    given = {"shelf": shelf, "clock": clock}
    claim(**{name: given[name] for name in inspect.signature(claim).parameters})
