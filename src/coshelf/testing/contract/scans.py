"""Scans: the entries of a range in key order, as of one instant, by an iterator that can be closed like a generator."""

from __future__ import annotations

import contextlib
import gc
import tracemalloc
from itertools import islice

import pytest

from coshelf.contract import Batch, Engine
from coshelf.keys import FIRST, LAST, encode
from coshelf.testing.contract.base import EngineTests
from coshelf.testing.contract.entries import A, B, C, D, E, contents, put, scanning
from coshelf.testing.contract.key_samples import shuffled_in_parts
from coshelf.testing.contract.requirements import needs

__all__ = ["ScanTests"]


class ScanTests(EngineTests):
    def test_scan_of_nothing_is_empty(self, engine: Engine) -> None:
        assert contents(engine) == []
        assert contents(engine, reverse=True) == []

    def test_scan_is_in_key_order_whatever_the_order_of_puts(self, engine: Engine) -> None:
        keys = [encode(number) for number in range(-50, 50)]
        for some in shuffled_in_parts(keys, parts=4, seed=1):
            put(engine, {key: key.hex() for key in some})
        assert contents(engine) == [(key, key.hex()) for key in keys]

    def test_scan_includes_its_start_and_not_its_stop(self, engine: Engine) -> None:
        put(engine, {A: 1, B: 2, C: 3, D: 4})
        assert contents(engine, B, D) == [(B, 2), (C, 3)]
        assert contents(engine, B, D, reverse=True) == [(C, 3), (B, 2)]

    def test_scan_bounds_need_not_be_keys_of_entries(self, engine: Engine) -> None:
        put(engine, {A: 1, C: 3})
        assert contents(engine, A + b"\x00", LAST) == [(C, 3)]
        assert contents(engine, FIRST, C + b"\x00", reverse=True) == [(C, 3), (A, 1)]
        assert contents(engine, D, E) == []

    def test_scan_of_a_range_without_room_is_empty(self, engine: Engine) -> None:
        put(engine, {A: 1, B: 2, C: 3})
        for start, stop in ((B, B), (C, A)):
            assert contents(engine, start, stop) == []
            assert contents(engine, start, stop, reverse=True) == []
            assert engine.count(start, stop) == 0

    def test_reverse_scan_is_the_scan_backwards(self, engine: Engine) -> None:
        keys = [encode(number) for number in range(12)]
        put(engine, {key: key.hex() for key in keys[::2]})
        for start in keys:
            for stop in keys:
                assert contents(engine, start, stop, reverse=True) == contents(engine, start, stop)[::-1]

    def test_scan_gives_the_entries_that_get_gives(self, engine: Engine) -> None:
        put(engine, {A: 1, B: 2})
        put(engine, {B: 3})
        assert list(engine.scan(FIRST, LAST)) == [(A, engine.get(A)), (B, engine.get(B))]

    def test_scan_of_keys_only_gives_keys_without_entries(self, engine: Engine) -> None:
        put(engine, {A: 1, B: 2, C: 3})
        assert list(engine.scan(FIRST, C, keys_only=True)) == [(A, None), (B, None)]
        assert list(engine.scan(B, LAST, keys_only=True, reverse=True)) == [(C, None), (B, None)]

    def test_scan_of_thousands_misses_none(self, engine: Engine) -> None:
        keys = [encode(number) for number in range(self.some(3000))]
        put(engine, dict.fromkeys(keys))
        assert [key for key, _ in engine.scan(FIRST, LAST)] == keys
        assert [key for key, _ in engine.scan(FIRST, LAST, reverse=True, keys_only=True)] == keys[::-1]

    @needs("snapshots")
    @pytest.mark.parametrize("keys_only", [False, True])
    @pytest.mark.parametrize("reverse", [False, True])
    def test_scan_is_of_one_instant(self, engine: Engine, reverse: bool, keys_only: bool) -> None:
        many = self.some(3000)
        keys = [encode(number) for number in range(0, many, 2)]
        put(engine, dict.fromkeys(keys, "before"))
        expected = list(engine.scan(FIRST, LAST, reverse=reverse, keys_only=keys_only))
        scan = engine.scan(FIRST, LAST, reverse=reverse, keys_only=keys_only)
        seen = [next(scan)]
        put(engine, {encode(number): "after" for number in range(0, many, 3)})
        engine.commit(Batch(deletes=frozenset(keys[many // 4 : many // 4 + 100])))
        seen.extend(scan)
        assert seen == expected

    @needs("ordered=True")
    def test_scan_costs_what_is_taken_from_it(self, engine: Engine) -> None:
        size, number = 4096, self.some(2000)
        put(engine, {encode(i): i.to_bytes(4, "big") * (size // 4) for i in range(number)})
        gc.collect()
        tracemalloc.start()
        try:
            with contextlib.closing(scanning(engine)) as scan:
                next(scan)
                _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < size * number / 2

    @pytest.mark.parametrize("keys_only", [False, True])
    @pytest.mark.parametrize("taken", [0, 1, 3])
    def test_scan_can_be_closed_wherever_it_is(self, engine: Engine, taken: int, keys_only: bool) -> None:
        put(engine, {A: 1, B: 2})
        scan = scanning(engine, keys_only=keys_only)
        assert [key for key, _ in islice(scan, taken)] == [A, B][:taken]
        scan.close()
        scan.close()
        assert list(scan) == []

    @pytest.mark.parametrize("keys_only", [False, True])
    def test_closed_scans_hold_nothing(self, engine: Engine, keys_only: bool) -> None:
        # More of them than any table of readers has places.
        put(engine, {A: 1, B: 2})
        scans = []
        for _ in range(self.some(1000)):
            scan = scanning(engine, keys_only=keys_only)
            next(scan)
            scan.close()
            scans.append(scan)
        assert [list(scan) for scan in scans] == [[]] * len(scans)
        assert contents(engine) == [(A, 1), (B, 2)]

    def test_exhausted_scans_hold_nothing(self, engine: Engine) -> None:
        put(engine, {A: 1, B: 2})
        scans = []
        for _ in range(self.some(1000)):
            scan = engine.scan(FIRST, LAST, reverse=True)
            assert [key for key, _ in scan] == [B, A]
            scans.append(scan)
        assert contents(engine) == [(A, 1), (B, 2)]

    def test_collected_scans_hold_nothing(self, engine: Engine) -> None:
        put(engine, {A: 1, B: 2})
        for _ in range(self.some(1000)):
            scan = engine.scan(FIRST, LAST)
            assert next(scan)[0] == A
            del scan
        gc.collect()
        assert contents(engine) == [(A, 1), (B, 2)]
