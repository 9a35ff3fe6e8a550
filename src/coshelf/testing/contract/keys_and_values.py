"""Keys and values of all shapes: long, large, over the limits, reserved."""

from __future__ import annotations

import random

import pytest

from coshelf import records
from coshelf.contract import Batch, Engine
from coshelf.errors import KeyTooLong, ValueTooLarge
from coshelf.keys import FIRST, LAST
from coshelf.testing.contract.base import EngineTests
from coshelf.testing.contract.entries import A, B, C, body, contents, loaded, put
from coshelf.testing.contract.key_samples import long_keys, shuffled_in_parts
from coshelf.testing.contract.requirements import needs

__all__ = ["KeyAndValueTests"]


class KeyAndValueTests(EngineTests):
    def test_keys_may_begin_with_any_byte_that_is_not_reserved(self, engine: Engine) -> None:
        keys = [
            bytes([first]) + rest
            for first in range(FIRST[0], LAST[0], self.sparse())
            for rest in (b"", b"\x00", b"\xff")
        ]
        put(engine, {key: key for key in keys})
        assert contents(engine) == [(key, key) for key in keys]
        assert engine.count(FIRST, LAST) == len(keys)

    def test_long_keys_are_told_apart_and_kept_in_order(self, engine: Engine) -> None:
        keys = long_keys(engine.capabilities.largest_key)
        for some in shuffled_in_parts(keys, parts=5, seed=2):
            put(engine, {key: (len(key), key[-9:]) for key in some})
        expected = [(key, (len(key), key[-9:])) for key in keys]
        assert contents(engine) == expected
        assert contents(engine, reverse=True) == expected[::-1]
        assert engine.count(FIRST, LAST) == len(keys)
        assert all(loaded(engine.get(key)) == value for key, value in expected)

    def test_ranges_begin_and_end_at_long_keys(self, engine: Engine) -> None:
        keys = long_keys(engine.capabilities.largest_key)
        present = keys[::2]
        put(engine, dict.fromkeys(present, 0))
        for start in keys[:: self.sparse(5)]:
            for stop in keys[:: self.sparse(3)]:
                expected = [key for key in present if start <= key < stop]
                assert [key for key, _ in engine.scan(start, stop, keys_only=True)] == expected
                assert [key for key, _ in engine.scan(start, stop, keys_only=True, reverse=True)] == expected[::-1]
                assert engine.count(start, stop) == len(expected)

    def test_long_keys_go_one_by_one_and_leave_nothing(self, engine: Engine) -> None:
        keys = long_keys(engine.capabilities.largest_key)
        put(engine, dict.fromkeys(keys, 0))
        left = set(keys)
        for some in shuffled_in_parts(keys, parts=12, seed=3):
            engine.commit(Batch(deletes=frozenset(some)))
            left.difference_update(some)
            assert [key for key, _ in engine.scan(FIRST, LAST)] == sorted(left)
            assert engine.count(FIRST, LAST) == len(left)
            assert all(engine.get(key) is None for key in some)

    @needs("largest_key")
    def test_key_over_the_limit_is_refused_with_all_of_its_batch(self, engine: Engine) -> None:
        limit = engine.capabilities.largest_key
        assert limit is not None
        put(engine, {FIRST * limit: 1})
        with pytest.raises(KeyTooLong):
            put(engine, {A: 1, FIRST * (limit + 1): 1})
        assert engine.get(A) is None

    def test_values_of_some_megabytes_come_back_whole(self, engine: Engine) -> None:
        limit = engine.capabilities.largest_value
        size = 5_000_000 if limit is None else min(limit // 2, 5_000_000)
        big = random.Random(4).randbytes(size)
        put(engine, {A: big, B: 1})
        put(engine, {C: big[::-1]})
        assert loaded(engine.get(A)) == big
        assert contents(engine) == [(A, big), (B, 1), (C, big[::-1])]
        put(engine, {A: 2})
        assert contents(engine) == [(A, 2), (B, 1), (C, big[::-1])]

    @needs("largest_value")
    def test_value_over_the_limit_is_refused_with_all_of_its_batch(self, engine: Engine) -> None:
        limit = engine.capabilities.largest_value
        assert limit is not None
        if limit > 1 << 28:
            pytest.skip(f"a value of {limit} bytes is too large to try")
        with pytest.raises(ValueTooLarge):
            put(engine, {A: 1, B: bytes(limit + 1)})
        assert engine.get(A) is None

    def test_records_are_sealed_under_their_key(self, engine: Engine) -> None:
        keys = [A, *long_keys(engine.capabilities.largest_key)]
        put(engine, {key: len(key) for key in keys})
        for key, entry in engine.scan(FIRST, LAST):
            assert entry is not None
            assert entry.record[: -records.TRAILER] == body(len(key))
            assert records.is_intact(key, entry.record)
            if isinstance(entry.version, int):
                assert records.version(entry.record) == entry.version

    def test_reserved_rows_are_no_entries_of_the_shelf(self, engine: Engine) -> None:
        setting = b"\x01kit"
        put(engine, {setting: "set", A: 1})
        assert contents(engine) == [(A, 1)]
        assert engine.count(FIRST, LAST) == 1
        engine.commit(Batch(clears=((FIRST, LAST),)))
        assert engine.count(FIRST, LAST) == 0
        entry = engine.get(setting)
        assert loaded(entry) == "set"
        assert entry is not None
        assert records.is_intact(setting, entry.record)
        engine.commit(Batch(deletes=frozenset((setting,))))
        assert engine.get(setting) is None
        assert engine.count(FIRST, LAST) == 0
