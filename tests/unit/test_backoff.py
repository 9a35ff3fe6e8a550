"""Pauses between attempts grow up to a limit, and never last longer than the caller has time."""

from __future__ import annotations

import time

import pytest

from coshelf.contract import PollingBell
from coshelf.system.waiting.backoff import Backoff


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were slept, without sleeping."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


def test_pauses_grow_up_to_the_longest(slept: list[float]) -> None:
    backoff = Backoff(1, 5, 2)
    for _ in range(5):
        backoff.sleep()
    assert slept == [1, 2, 4, 5, 5]
    assert backoff.pause == 5


def test_a_pause_lasts_no_longer_than_the_caller_has_time(slept: list[float]) -> None:
    backoff = Backoff(4, 8)
    backoff.sleep(0.5)
    backoff.sleep(100)
    assert slept == [0.5, 8]


def test_a_part_of_each_pause_is_left_to_chance(slept: list[float]) -> None:
    backoff = Backoff(8, 8, spread=0.5)
    for _ in range(50):
        backoff.sleep()
    assert all(4 <= pause <= 8 for pause in slept)
    assert len(set(slept)) > 1


def test_a_polling_bell_pauses_and_ends_at_the_timeout(slept: list[float]) -> None:
    bell = PollingBell(0.1, 0.4)
    for timeout in (None, None, 0.05, None):
        bell.wait(bell.sequence(), timeout)
    assert slept == [0.1, 0.2, 0.05, 0.4]


def test_a_polling_bell_without_further_words_looks_every_5_ms(slept: list[float]) -> None:
    bell = PollingBell()
    for _ in range(3):
        bell.wait(0, None)
    assert slept == [0.005] * 3
