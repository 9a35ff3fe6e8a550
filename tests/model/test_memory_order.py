"""The order of memory in the log (docs/model/order.pml) is enough on aarch64, and each part of it is needed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

WEAKENED = {
    "SEQLOCK": "ODD_RELEASE RELEASE_FENCE EVEN_RELEASE MUTEX EPOCH_ACQUIRE HEAD_ACQUIRE ACQUIRE_FENCE",
    "COMMIT": "SLOT_RELEASE HEAD_RELEASE HEAD_ACQUIRE",
    "CLEAN": "CLEAN_RELEASE DIRTY_ACQUIRE",
    "CLAIM": "UNLOCK_RELEASE LOCK_ACQUIRE LOOK",
    "RECOVERY": "BUMP_RELEASE MUTEX EPOCH_ACQUIRE ACQUIRE_FENCE",
}
WEAKER = [(part, order) for part, orders in WEAKENED.items() for order in orders.split()]


@pytest.mark.parametrize("part", WEAKENED)
def test_order_is_enough(part: str, errors_in: Callable[[str, str], int]) -> None:
    assert errors_in("order.pml", part) == 0


@pytest.mark.parametrize(("part", "order"), WEAKER)
def test_weaker_order_fails_on_aarch64(part: str, order: str, errors_in: Callable[[str, str], int]) -> None:
    assert errors_in("order.pml", f"{part} WEAKEN_{order}") == 1


@pytest.mark.parametrize(("part", "order"), WEAKER)
def test_x86_fails_only_if_the_mutex_is_not_locked(part: str, order: str, errors_in: Callable[[str, str], int]) -> None:
    assert errors_in("order.pml", f"{part} X86 WEAKEN_{order}") == (1 if order == "LOOK" else 0)
