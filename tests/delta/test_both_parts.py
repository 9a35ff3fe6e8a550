"""Reads over base and delta together: as from one dict, whatever lies where."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from insides import flush_all, is_clean, waiting

import coshelf
from coshelf import keys

LONG = "x" * 600
TYPES = {"numbers": int, "words": str, "tuples": tuple}


@pytest.fixture
def shelf(path: str) -> Iterator[coshelf.Shelf[Any, Any]]:
    """Nothing is flushed but by who asks for it."""
    with coshelf.open(path, flush_interval=1000) as shelf:
        shelf["first"] = 1
        flush_all(shelf)
        del shelf["first"]
        flush_all(shelf)
        yield shelf


def test_length_is_exact_whatever_waits(shelf: Any) -> None:
    shelf.update({n: n for n in range(10)})
    flush_all(shelf)
    assert len(shelf) == 10
    shelf[0] = "over"  # in both parts
    assert len(shelf) == 10
    shelf["new"] = 1
    assert len(shelf) == 11
    del shelf[1]  # in the base, deleted in the delta
    assert len(shelf) == 10
    del shelf["new"]  # never in the base
    assert len(shelf) == 9
    shelf[1] = "again"
    assert len(shelf) == 10
    shelf[LONG] = 1
    assert len(shelf) == 11
    del shelf[LONG]
    assert len(shelf) == 10
    assert waiting(shelf)
    assert len(shelf.keys(start=0, stop=5)) == 5
    flush_all(shelf)
    assert len(shelf) == 10


def test_what_was_deleted_is_gone_for_every_way_to_read(shelf: Any) -> None:
    shelf.update({n: n for n in range(5)})
    flush_all(shelf)
    del shelf[2]
    assert list(waiting(shelf).values()) == [True]
    with pytest.raises(KeyError):
        shelf[2]
    with pytest.raises(KeyError):
        del shelf[2]
    with pytest.raises(KeyError):
        shelf.pop(2)
    assert 2 not in shelf
    assert shelf.get(2, "gone") == "gone"
    assert shelf.get_many([1, 2, 3]) == {1: 1, 3: 3}
    assert list(shelf) == [0, 1, 3, 4]
    assert list(shelf.keys(reverse=True)) == [4, 3, 1, 0]
    assert dict(shelf.items(start=2)) == {3: 3, 4: 4}
    with shelf.snapshot() as snapshot:
        assert 2 not in snapshot and len(snapshot) == 4
        cursor = snapshot.cursor()
        assert cursor.seek(2) == (3, 3)
    with shelf.transaction() as t:
        assert 2 not in t and list(t) == [0, 1, 3, 4]
    assert shelf.setdefault(2, "new") == "new"
    assert list(shelf) == [0, 1, 2, 3, 4]


def test_popitem_takes_what_is_last_in_both_parts_together(shelf: Any) -> None:
    shelf.update({1: 1, 3: 3, 5: 5})
    flush_all(shelf)
    shelf[2] = 2
    shelf[6] = 6
    del shelf[5]
    assert [shelf.popitem() for _ in range(2)] == [(6, 6), (3, 3)]
    assert shelf.popitem(last=False) == (1, 1)
    assert shelf.popitem() == (2, 2)
    with pytest.raises(KeyError):
        shelf.popitem()


def test_long_keys_in_the_delta(shelf: Any) -> None:
    """They lie there under a digest, apart from the others, and are found in their places all the same."""
    names = [*("x" * size + end for size in (480, 485, 486, 500, 2000) for end in ("", "a", "b")), "w", "y", "xy"]
    shelf.update(dict.fromkeys(names[::2], 0))
    flush_all(shelf)
    expected = dict.fromkeys(names[::2], 0)
    for turn, name in enumerate(names):
        if turn % 3:
            shelf[name] = expected[name] = turn
        else:
            expected.pop(name, None)
            shelf.pop(name, None)
    for flushed in (False, True):
        if flushed:
            flush_all(shelf)
        assert bool(waiting(shelf)) != flushed
        assert list(shelf.items()) == sorted(expected.items())
        assert list(shelf.items(reverse=True)) == sorted(expected.items(), reverse=True)
        assert len(shelf) == len(expected)
        for name in names:
            assert shelf.get(name) == expected.get(name)
            assert list(shelf.keys(prefix=name)) == sorted(key for key in expected if key.startswith(name))
            assert list(shelf.keys(start=name)) == sorted(key for key in expected if key >= name)
            assert list(shelf.keys(stop=name, reverse=True)) == sorted(key for key in expected if key < name)[::-1]
    for name in list(expected):
        del shelf[name]
    assert len(shelf) == 0 and not list(shelf)
    flush_all(shelf)
    assert len(shelf) == 0 and not list(shelf)


@pytest.mark.parametrize("seed", range(4))
def test_ranges_and_prefixes_equal_those_of_a_model(shelf: Any, seed: int) -> None:
    chance = random.Random(seed)
    words = ["", "a", "ab", "b", "x" * 492, "x" * 493, "x" * 600, "x" * 600 + "y", "z" * 3000]
    names = [*range(-5, 40), *words, *((word, n) for word in ("a", "ab", LONG) for n in range(12))]
    model: dict[Any, Any] = {}
    unflushed = 0
    for turn in range(250):
        for _ in range(chance.randrange(6)):
            name = chance.choice(names)
            if chance.random() < 0.35:
                assert shelf.pop(name, None) == model.pop(name, None)
            else:
                shelf[name] = model[name] = (turn, "v" * chance.choice([0, 10, 400]))
        if chance.random() < 0.06:
            shelf.sync()
        unflushed += not is_clean(shelf)
        in_order = sorted(model, key=keys.encode)
        reverse = chance.random() < 0.5
        step = -1 if reverse else 1
        kind = chance.choice(["numbers", "words", "tuples", "prefix", "tuple prefix", "all"])
        if kind == "all":
            found, expected = shelf.items(reverse=reverse), in_order
        elif kind == "prefix":
            prefix = chance.choice(words[1:])
            found = shelf.items(prefix=prefix, reverse=reverse)
            expected = [key for key in in_order if isinstance(key, str) and key.startswith(prefix)]
        elif kind == "tuple prefix":
            word = chance.choice(["a", "ab", LONG])
            found = shelf.items(prefix=(word,), reverse=reverse)
            expected = [key for key in in_order if isinstance(key, tuple) and key[0] == word]
        else:
            of_kind = [name for name in names if type(name) is TYPES[kind]]
            start, stop = sorted(chance.sample(of_kind, 2))
            found = shelf.items(start=start, stop=stop, reverse=reverse)
            expected = [key for key in in_order if keys.encode(start) <= keys.encode(key) < keys.encode(stop)]
        assert list(found) == [(key, model[key]) for key in expected[::step]], (turn, kind)
        assert len(shelf) == len(model)
        name = chance.choice(names)
        assert shelf.get(name) == model.get(name)
    assert unflushed > 200


def test_much_that_waits_is_flushed_by_who_scans_it(shelf: Any) -> None:
    for batch in range(3):
        shelf.update({(batch, n): n for n in range(1000)})
    assert len(waiting(shelf)) == 3000
    assert sum(1 for _ in shelf) == 3000
    assert not waiting(shelf)


def test_a_scan_of_a_small_range_leaves_the_rest_where_it_is(shelf: Any) -> None:
    for batch in range(3):
        shelf.update({(batch, n): n for n in range(1000)})
    assert [value for _, value in shelf.items(start=(1, 5), stop=(1, 10))] == [5, 6, 7, 8, 9]
    assert len(shelf.keys(prefix=(1,))) == 1000
    assert len(waiting(shelf)) == 3000
