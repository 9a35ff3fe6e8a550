"""Scans show the rows of the delta over those of the base, page by page."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import coshelf
from coshelf import records
from coshelf.engines.lmdb.delta.newer_rows import NewerRows


def key_of(number: int) -> bytes:
    return b"k%03d" % number


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_pages_show_what_a_dict_would(seed: int, reverse: bool) -> None:
    chance = random.Random(f"newer rows {seed}")
    base = {key_of(number): b"old" for number in chance.sample(range(200), chance.randrange(150))}
    newer = {
        key_of(number): bytes(records.TRAILER) if chance.random() < 0.4 else b"a longer record"
        for number in sorted(chance.sample(range(200), chance.randrange(80)))
    }
    start, stop = key_of(chance.randrange(100)), key_of(chance.randrange(100, 200))
    expected = {key: record for key, record in (base | newer).items() if len(record) != records.TRAILER}
    chosen = sorted((row for row in expected.items() if start <= row[0] < stop), reverse=reverse)
    rows = sorted((row for row in base.items() if start <= row[0] < stop), reverse=reverse)
    for keys_only in (False, True):
        over = NewerRows(newer, start, stop, reverse=reverse, keys_only=keys_only)
        found, at = [], 0
        while at < len(rows):
            page = rows[at : at + chance.randrange(1, 30)]
            at += len(page)
            found += over.over([key for key, _ in page] if keys_only else page)
        found += over.over([])
        assert found == ([key for key, _ in chosen] if keys_only else chosen)


def test_page_without_newer_rows_is_not_copied() -> None:
    over = NewerRows({b"z": b"a longer record"}, b"a", b"zz", reverse=False, keys_only=False)
    page = [(b"b", b"1"), (b"c", b"2")]
    assert over.over(page) is page


@pytest.mark.parametrize("seed", range(4))
def test_scans_of_a_dirty_shelf_are_those_of_a_dict(tmp_path: Path, seed: int) -> None:
    chance = random.Random(f"dirty scans {seed}")
    with coshelf.open(tmp_path / "s.shelf", flush_interval=3600) as shelf:
        model = {f"{number:04}": number for number in chance.sample(range(3000), 1500)}
        shelf.update(model)
        shelf.sync()
        for number in chance.sample(range(3000), 300):
            key = f"{number:04}"
            if chance.random() < 0.5:
                shelf[key] = model[key] = -number
            elif model.pop(key, None) is not None:
                del shelf[key]
        for _ in range(10):
            start, stop = f"{chance.randrange(3000):04}", f"{chance.randrange(3000):04}"
            for reverse in (False, True):
                expected = sorted((row for row in model.items() if start <= row[0] < stop), reverse=reverse)
                assert [*iter(shelf.items(start=start, stop=stop, reverse=reverse))] == expected
                assert [*iter(shelf.keys(start=start, stop=stop, reverse=reverse))] == [key for key, _ in expected]
        assert [*iter(shelf.items())] == sorted(model.items())
        assert shelf.get_many(f"{number:04}" for number in range(3000)) == model


def test_scan_of_the_delta_alone_ends_with_its_shelf(tmp_path: Path) -> None:
    shelf = coshelf.open(tmp_path / "s.shelf", flush_interval=3600)
    for number in range(20):
        shelf[number] = number
    keys = iter(shelf.keys())
    assert next(keys) == 0
    shelf.close()
    with pytest.raises(coshelf.ShelfClosed):
        list(keys)
