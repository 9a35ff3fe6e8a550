"""What tests/expiry claims of entries that expire holds on servers, whose clocks the tests move."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import objects
import pytest
import test_entries
import test_together
from postgresql import MovedClock, Postgresql
from redis_clock import MovingRedisClock
from valkey_servers import Server, a_name

import coshelf
from coshelf.testing.moving_clock import MovingClock

CLAIMS = [
    function
    for module in (test_entries, test_together)
    for name, function in vars(module).items()
    if name.startswith("test_") and set(inspect.signature(function).parameters) <= {"shelf", "clock"}
]

# An object store commits no transaction that writes several entries. Its own tests have the rest of these.
WIDE = {
    "test_counters_keep_their_time_and_begin_anew",
    "test_transaction_has_all_that_the_shelf_has",
    "test_transaction_does_not_see_what_has_expired",
}


@pytest.fixture(params=["postgresql", "moto", "weed", "server_base"])
def store(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
def clock(store: Any) -> Iterator[MovingClock]:
    with clock_of(store) as clock:
        yield clock


def clock_of(store: Any) -> MovingClock:
    if isinstance(store, Server):
        return MovingRedisClock()
    return MovedClock(store) if isinstance(store, Postgresql) else objects.MovedClock()


@pytest.fixture
def url(store: Any) -> str:
    """Of a shelf that goes by the clock."""
    if isinstance(store, Server):
        return f"{store.url}/0/{a_name()}"
    found: str = store.moved_url() if isinstance(store, Postgresql) else store.url()
    return found


@pytest.fixture
def shelf(url: str, clock: MovingClock) -> Iterator[coshelf.Shelf[Any, Any]]:
    with coshelf.open(url) as shelf:
        yield shelf


@pytest.mark.parametrize("claim", CLAIMS, ids=[function.__name__ for function in CLAIMS])
def test_claim_holds(claim: Callable[..., None], shelf: coshelf.Shelf[Any, Any], clock: MovingClock) -> None:
    if shelf.capabilities.atomic == "none" and claim.__name__ in WIDE:
        pytest.skip("it writes several entries in one transaction")
    given = {"shelf": shelf, "clock": clock}
    claim(**{name: given[name] for name in inspect.signature(claim).parameters})


def test_waiting_reader_does_not_get_what_has_expired(shelf: coshelf.Shelf[Any, Any], clock: MovingClock) -> None:
    shelf.set("a", 1, expire=60)
    assert shelf.wait("a") == 1
    clock.pass_by(60)
    with pytest.raises(coshelf.WaitTimeout):
        shelf.wait("a", timeout=0.05)
    shelf["a"] = 2
    assert shelf.wait("a") == 2


def test_memoized_result_is_computed_again_after_its_time(shelf: coshelf.Shelf[Any, Any], clock: MovingClock) -> None:
    calls: list[int] = []

    @shelf.memoize(expire=60)
    def double(number: int) -> int:
        calls.append(number)
        return 2 * number

    assert [double(1), double(1), len(calls)] == [2, 2, 1]
    clock.pass_by(59)
    assert [double(1), len(calls)] == [2, 1]
    clock.pass_by(1)
    assert [double(1), len(calls), double.cache_info().currsize] == [2, 2, 1]


def test_default_of_the_shelf_applies(url: str, clock: MovingClock) -> None:
    with coshelf.open(url, expire=60) as shelf:
        shelf["a"] = 1
        with coshelf.open(url) as other:
            other.update(b=1)
            clock.pass_by(60)
            assert dict(other) == {}
            assert shelf.expire() == 2
