"""Scans that go by pages give what a dict gives, in both directions, whatever the bounds, sizes and keys."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import coshelf

KINDS = {
    "small values": lambda number, chance: number,
    "some large values": lambda number, chance: "x" * (9_000 if chance.random() < 0.02 else 10),
}


def keys(kind: str) -> Iterator[Any]:
    for number in range(1_500):
        yield f"key{number:05d}" + ("y" * 600 if kind == "some long keys" and number % 97 == 0 else "")


@pytest.fixture(params=["delta", "base", "both"])
def place(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("value", KINDS)
@pytest.mark.parametrize("kind", ["short keys", "some long keys"])
def test_every_range_is_that_of_a_dict(kind: str, value: str, place: str, tmp_path: Path) -> None:
    chance = random.Random(f"{kind} {value}")
    entries = {key: KINDS[value](number, chance) for number, key in enumerate(keys(kind))}
    with coshelf.open(tmp_path / "a.shelf", flush_interval=1e6) as shelf:
        shelf.update({key: entries[key] for key in list(entries)[:: 2 if place == "both" else 1]})
        if place != "base":
            for key, entry in entries.items():
                if place == "delta" or key not in shelf:
                    shelf[key] = entry
        expected = sorted(entries)
        assert list(shelf) == expected and list(reversed(shelf)) == expected[::-1]
        assert list(shelf.items()) == [(key, entries[key]) for key in expected]
        for _ in range(40):
            start, stop = sorted(chance.sample(expected, 2))
            if chance.random() < 0.5:
                start, stop = start[:-1], stop + "z"
            within = [key for key in expected if start <= key < stop]
            assert list(shelf.keys(start=start, stop=stop)) == within
            assert list(shelf.items(start=start, stop=stop, reverse=True)) == [
                (key, entries[key]) for key in within[::-1]
            ]
            assert len(shelf.keys(start=start, stop=stop)) == len(within)


def test_a_page_under_way_ends_when_the_shelf_is_closed(tmp_path: Path) -> None:
    shelf = coshelf.open(tmp_path / "a.shelf")
    shelf.update({number: number for number in range(2_000)})
    walks = [iter(shelf), iter(shelf.items()), iter(shelf.values()), reversed(shelf)]
    for walk in walks:
        for _ in range(700):
            next(walk)
    shelf.close()
    for walk in walks:
        with pytest.raises(coshelf.ShelfClosed):
            next(walk)


def test_a_scan_reads_one_instant_while_others_write_and_flush(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf", flush_interval=0) as shelf:
        shelf.update(dict.fromkeys(range(1000), 0))
        for turn in range(1, 30):
            walk = iter(shelf.items())
            seen = [next(walk) for _ in range(turn * 30)]
            for number in range(0, 1_000, 50):
                shelf[number] = turn
            if turn % 5 == 0:
                shelf.sync()
            seen += walk
            assert [key for key, _ in seen] == list(range(1_000))
            assert {value for key, value in seen if key % 50 == 0} == {turn - 1}
