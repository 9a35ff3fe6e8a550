"""Puts that wait in a file come back whole, in order, and of equal keys the last one."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

import coshelf
from coshelf.engines.lmdb import spooled
from coshelf.engines.lmdb.spooled import SpooledPuts


@pytest.mark.parametrize("limit", [1, 1_000, 30_000, 1 << 30])
def test_all_come_in_the_order_of_their_keys_and_the_last_of_equal_ones(limit: int, tmp_path: Path) -> None:
    chance = random.Random(limit)
    puts, expected = SpooledPuts(str(tmp_path), limit), {}
    for _ in range(2_000):
        key, body = b"%d" % chance.randrange(700), chance.randbytes(chance.randrange(60))
        puts[key] = expected[key] = body
    assert puts.is_spooled == (limit < 1 << 30)
    for _ in range(2):
        assert list(puts.in_order()) == sorted(expected.items())
    assert list(puts) == sorted(expected)
    assert all(puts[key] == expected[key] for key in chance.sample(sorted(expected), 20))
    assert len(puts) >= len(expected)
    puts[b"later"] = b"x"
    assert list(puts.in_order()) == sorted({**expected, b"later": b"x"}.items())


def test_a_look_up_between_puts_loses_nothing(tmp_path: Path) -> None:
    puts, expected = SpooledPuts(str(tmp_path), 30_000), {}
    for number in range(1_000):
        key = b"%d" % number
        puts[key] = expected[key] = b"x" * number
        if number % 100 == 99:
            assert puts[b"0"] == b""
    assert list(puts.in_order()) == sorted(expected.items())


def test_what_is_held_stays_within_the_limit(tmp_path: Path) -> None:
    puts = SpooledPuts(str(tmp_path), 10_000)
    largest = 0
    for number in range(1_000):
        puts[b"%d" % number] = b"x" * 100
        largest = max(largest, len(puts._held))
    assert largest < 10_000 / 300 + 1


def test_no_file_is_left_or_seen(tmp_path: Path) -> None:
    puts = SpooledPuts(str(tmp_path), 1)
    puts[b"a"] = b"b"
    assert puts.is_spooled and os.listdir(tmp_path) == []


def test_a_key_that_is_not_there_is_a_key_error(tmp_path: Path) -> None:
    puts = SpooledPuts(str(tmp_path), 1)
    puts[b"a"] = b"b"
    with pytest.raises(KeyError):
        puts[b"b"]


@pytest.mark.parametrize("limit", [2_000, 1 << 30])
def test_an_update_that_waits_in_a_file_is_one_commit(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooled.SpooledPuts.__init__, "__defaults__", (limit,))
    entries = [(key, str(turn) * 20) for turn in range(3) for key in [*range(400), "long" * 400, ("t", turn)]]
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["before"] = 1
        with shelf.snapshot() as then:
            shelf.update(entries)
            assert dict(then) == {"before": 1}
        assert dict(shelf) == {"before": 1, **dict(entries)}
        versions = {shelf._handle.engine.get(shelf._namespace.encode(key)).version for key, _ in entries}  # type: ignore[union-attr]
        assert len(versions) == 1


def test_an_update_that_fails_half_way_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooled.SpooledPuts.__init__, "__defaults__", (2_000,))

    def entries():
        yield from ((number, number) for number in range(100))
        raise RuntimeError("no more")

    with coshelf.open(tmp_path / "a.shelf") as shelf:
        with pytest.raises(RuntimeError, match="no more"):
            shelf.update(entries())
        with pytest.raises(coshelf.UnwritableValue):
            shelf.update([*((number, number) for number in range(100)), ("bad", lambda: 0)])
        assert len(shelf) == 0
    assert os.listdir(tmp_path) == ["a.shelf"]
