"""What diskcache loses without a word, coshelf.diskcache keeps: the table of docs/coming-from-diskcache.md.

That each row can go wrong is shown by diskcache itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import silent_losses as losses

OURS, OLD = "coshelf.diskcache", "diskcache"


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A directory for ours and one for the old one."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "old").mkdir()
    return tmp_path / "ours", tmp_path / "old"


@pytest.mark.parametrize("kind", ["Lock", "RLock", "BoundedSemaphore"])
def test_lock_is_free_when_its_holder_was_killed(places: tuple[Path, Path], kind: str) -> None:
    assert losses.lock_after_a_kill(OURS, places[0], kind, 60) == "yes"
    assert losses.lock_after_a_kill(OLD, places[1], kind, 0.2) == "no"


@pytest.mark.parametrize("how", ["replaced", "deleted"])
def test_rolled_back_block_leaves_large_values(places: tuple[Path, Path], how: str) -> None:
    assert losses.value_after_a_rollback(OURS, places[0], how) == "the value"
    assert losses.value_after_a_rollback(OLD, places[1], how) == "nothing"


def test_throttled_function_runs_as_often_as_it_may_in_all_processes(places: tuple[Path, Path]) -> None:
    assert losses.throttled_in_two_processes(OURS, places[0]) == 3
    assert losses.throttled_in_two_processes(OLD, places[1]) == 6


def test_limit_of_a_fanout_cache_holds_after_reopening(places: tuple[Path, Path]) -> None:
    assert 0 < losses.limit_after_reopening(OURS, places[0]) <= 2 * losses.MEBIBYTE
    assert losses.limit_after_reopening(OLD, places[1]) > 8 * losses.MEBIBYTE


def test_keys_of_a_fanout_cache_are_found_with_any_number_of_shards(places: tuple[Path, Path]) -> None:
    assert losses.keys_with_other_shards(OURS, places[0]) == 100
    assert losses.keys_with_other_shards(OLD, places[1]) < 100


@pytest.mark.parametrize(
    ("measure", "here", "there"),
    [
        pytest.param(losses.carriage_returns, "the same text", "13,000 characters fewer", id="carriage returns"),
        pytest.param(losses.default_limit, 20, 4, id="no limit unless one is set"),
        pytest.param(losses.small_limit, 30, 0, id="a small limit"),
        pytest.param(losses.disk_of_a_named_cache, "JSONDisk", "Disk", id="the disk of a named cache"),
        pytest.param(losses.equal_tuples, 1, 2, id="equal tuples"),
        pytest.param(losses.second_call_without_expiry, "1, the result", "`TypeError`", id="no expiry"),
        pytest.param(losses.planted_value, "`UntrustedValue`", "runs", id="a planted value"),
    ],
)
def test_fault_is_there_and_not_here(
    places: tuple[Path, Path], measure: Callable[[str, Path], object], here: object, there: object
) -> None:
    assert measure(OURS, places[0]) == here
    assert measure(OLD, places[1]) == there


def test_nan_is_a_number_that_is_stored(places: tuple[Path, Path]) -> None:
    assert str(losses.not_a_number(OURS, places[0])) == "nan"
    assert losses.not_a_number(OLD, places[1]) is None
