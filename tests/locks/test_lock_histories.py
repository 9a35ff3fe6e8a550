"""What processes did with a lock could have been done by one after the other, also when some were killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from linearizability import Operation, find_order
from lock_histories import apply, check, record
from support import Crew


@pytest.fixture(params=["lmdb", "sqlite", "files"])
def shared_url(request: pytest.FixtureRequest, path: str) -> str:
    return f"{request.param}:{Path(path).parent}/{'directory' if request.param == 'files' else 'a.shelf'}"


def test_history_of_killed_processes_is_one_of_a_lock(crew: Crew, shared_url: str, tmp_path: Path) -> None:
    check(record(crew, shared_url, tmp_path / "journal", seed=1, players=3, rounds=40, kills=4))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 12))
def test_long_histories_are_those_of_a_lock(crew: Crew, shared_url: str, tmp_path: Path, seed: int) -> None:
    check(record(crew, shared_url, tmp_path / "journal", seed=seed, players=6, rounds=300, kills=30))


def test_check_finds_two_holders() -> None:
    history = [
        Operation("a", ("take", "a", 1), 0, 1, result=True),
        Operation("b", ("take", "b", 2), 2, 3, result=True),
        Operation("a", ("give", "a", None), 4, 5, result=True),
    ]
    assert find_order(history, (None, 0), apply) is None
    assert find_order([*history, Operation("a", ("death", "a", None), 1)], (None, 0), apply) is None


def test_check_finds_a_token_that_did_not_grow() -> None:
    history = [
        Operation("a", ("take", "a", 2), 0, 1, result=True),
        Operation("a", ("give", "a", None), 2, 3, result=True),
        Operation("b", ("take", "b", 2), 4, 5, result=True),
    ]
    assert find_order(history, (None, 0), apply) is None


def test_check_lets_the_lock_of_a_dead_process_go() -> None:
    history = [
        Operation("a", ("take", "a", None), 0),
        Operation("a", ("death", "a", None), 1),
        Operation("b", ("take", "b", 2), 2, 3, result=True),
    ]
    assert find_order(history, (None, 0), apply) is not None
