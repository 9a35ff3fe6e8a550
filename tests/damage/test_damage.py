"""Whatever part of a closed shelf is damaged: never a crash, a wrong value, or a missing key that nothing tells of."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

MEASURE = str(Path(__file__).parent / "measure.py")
SHAPES = ["few", "thousands", "long keys", "large values", "after deletes"]
HARMLESS = {"right", "told"}


def measure(*arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run([sys.executable, MEASURE, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def outcomes_of(results: list[dict[str, Any]]) -> Counter[str]:
    return sum((Counter(result["outcomes"]) for result in results), Counter())


def check(results: list[dict[str, Any]]) -> None:
    for result in results:
        assert not result["bad"], result
        assert set(result["outcomes"]) <= HARMLESS
    assert outcomes_of(results)["told"]


@pytest.mark.parametrize("shape", SHAPES)
def test_damage_of_every_kind_is_told_or_harmless(shape: str) -> None:
    check(measure("--shapes", shape, "--trials", "5"))


@pytest.mark.parametrize("count", [150, pytest.param(10_000, marks=pytest.mark.long)])
def test_flip_of_any_byte_of_a_small_shelf_s_structure_is_told_or_harmless(count: int) -> None:
    """Some of them, drawn, where there is little time."""
    results = measure("--shapes", "few", "--kinds", "structure", "--trials", str(count))
    check(results)
    assert outcomes_of(results).total() >= min(count, 400)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_flip_of_any_bit_of_a_small_shelf_s_structure_is_told_or_harmless() -> None:
    check(measure("--shapes", "few", "--kinds", "every bit"))


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["zeros", "ones", "stale", "blank pages", "structure"])
@pytest.mark.parametrize("shape", ["thousands", "long keys", "after deletes"])
def test_every_region_is_damaged_in_turn(shape: str, kind: str) -> None:
    check(measure("--shapes", shape, "--kinds", kind, *(["--trials", "6000"] if kind == "structure" else [])))


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["bits", "swaps"])
def test_many_chance_damages(shape: str, kind: str) -> None:
    check(measure("--shapes", shape, "--kinds", kind, "--trials", "2000"))


def check_crafted(results: list[dict[str, Any]]) -> None:
    """What it holds may be wrong: whoever makes a file says what is in it. It never crashes who opens it."""
    for result in results:
        assert not {"crash", "hang"} & set(result["outcomes"]), result
    assert outcomes_of(results)["told"]


@pytest.mark.parametrize("shape", SHAPES)
def test_no_crafted_structure_crashes_who_opens_what_is_not_theirs(shape: str) -> None:
    check_crafted(measure("--shapes", shape, "--stamps", "crafted", "--trials", "5"))


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_crafted_structure_of_many_crashes(shape: str) -> None:
    check_crafted(measure("--shapes", shape, "--stamps", "crafted", "--trials", "1500"))


def test_the_same_damage_does_harm_where_there_is_no_stamp() -> None:
    """So the trials can fail: LMDB alone crashes, loses keys and gives older values."""
    results = measure("--shapes", "after deletes", "--kinds", "blank pages,stale", "--trials", "60", "--stamps", "none")
    found = outcomes_of(results)
    assert found["crash"]
    assert found["missing"]
    assert found["wrong"]


def test_damage_to_the_pages_that_lead_to_others_is_told_in_a_large_shelf() -> None:
    """Of large shelves only these are stamped. Most crashes are left, but a header or branch is never an older one."""
    stamped, unstamped = (
        outcomes_of(measure("--shapes", "thousands", "--kinds", "stale", "--trials", "50", "--stamps", stamps))
        for stamps in ("inner", "none")
    )
    assert stamped["told"] > unstamped["told"]
    assert not stamped["wrong"]
    assert unstamped["wrong"]
