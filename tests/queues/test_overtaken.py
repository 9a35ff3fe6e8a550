"""What is seen of a large item while another task takes it. Its body has a row of its own, which is read later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import coshelf
from coshelf.contract import Batch, Reader
from coshelf.coordination.items import Items
from coshelf.coordination.queue_rows import Item
from coshelf.errors import DamagedRecord

Shelf = coshelf.Shelf[Any, Any]
LARGE = "x" * 40_000


@pytest.fixture
def before_next_value(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Has a call made between the reading of an item's row and that of its value."""
    calls: list[Callable[[], object]] = []
    value = Items.value

    def value_after_calls(items: Items, item: Item, reader: Reader) -> Any:
        while calls:
            calls.pop()()
        return value(items, item, reader)

    monkeypatch.setattr(Items, "value", value_after_calls)
    return calls.append


@pytest.mark.parametrize("then", ["get", "take", "peek"])
def test_what_another_gets_first_is_passed_over(
    shelf: Shelf, before_next_value: Callable[[Callable[[], object]], None], then: str
) -> None:
    jobs, other = shelf.queue("jobs"), shelf.queue("jobs")
    jobs.put_many([LARGE + "a", LARGE + "b"])
    before_next_value(lambda: other.get(block=False))
    if then == "take":
        with jobs.take(block=False) as job:
            found = job
    else:
        found = getattr(jobs, then)() if then == "peek" else jobs.get(block=False)
    # Where the body is in the row, a peek shows what was first when that was read.
    assert found[-1] == "b" or (then == "peek" and not jobs.rows.moves)
    assert len(jobs) == (then == "peek")


def test_a_failed_item_that_is_retried_meanwhile_is_not_shown(
    shelf: Shelf, before_next_value: Callable[[Callable[[], object]], None]
) -> None:
    jobs = shelf.queue("jobs", attempts=1)
    jobs.put_many([LARGE + "a", LARGE + "b"])
    for _ in range(2):
        with pytest.raises(KeyError), jobs.take():
            raise KeyError
    before_next_value(lambda: (jobs.failed.retry(), jobs.clear()))
    assert [item.value[-1] for item in jobs.failed] in ([], ["a"], ["b"], ["a", "b"])
    assert len(jobs.failed) == 0


def test_an_item_without_its_value_is_damaged(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    jobs.put(LARGE)
    if not jobs.rows.moves:
        pytest.skip("the engine keeps a body in the row of its item")
    (item,) = jobs.rows.items(shelf.engine_for("test"), "available")
    jobs.ground.commit(Batch(deletes=frozenset({jobs.rows.name_of(item.place)})))
    with pytest.raises(DamagedRecord, match="has lost its value"):
        jobs.get(block=False)
