"""Snapshots: readers that show one instant."""

from __future__ import annotations

import contextlib

from coshelf.contract import Batch, Engine
from coshelf.keys import FIRST, LAST, encode
from coshelf.testing.contract.base import EngineTests
from coshelf.testing.contract.entries import A, B, body, contents, loaded, put, scanning
from coshelf.testing.contract.key_samples import long_keys
from coshelf.testing.contract.requirements import needs
from coshelf.testing.contract.task import Task

__all__ = ["SnapshotTests"]


class SnapshotTests(EngineTests):
    @needs("snapshots")
    def test_snapshot_stays_at_its_instant(self, engine: Engine) -> None:
        keys = [encode(number) for number in range(100)]
        put(engine, dict.fromkeys(keys, "before"))
        before = list(engine.scan(FIRST, LAST))
        with engine.snapshot() as snapshot:
            put(engine, dict.fromkeys(keys[::2], "after") | {A: "new"})
            engine.commit(Batch(deletes=frozenset(keys[1::4])))
            engine.commit(Batch(clears=((keys[50], keys[60]),)))
            assert list(snapshot.scan(FIRST, LAST)) == before
            assert list(snapshot.scan(keys[40], keys[70], reverse=True)) == before[40:70][::-1]
            assert [key for key, _ in snapshot.scan(FIRST, LAST, keys_only=True)] == keys
            assert [snapshot.get(key) for key in keys] == [entry for _, entry in before]
            assert snapshot.get_many([A, keys[3], keys[4]]) == [None, before[3][1], before[4][1]]
            assert snapshot.count(FIRST, LAST) == 100
            assert snapshot.count(keys[40], keys[70]) == 30
        assert engine.get(keys[1]) is None

    @needs("snapshots")
    def test_snapshot_of_long_keys_stays_at_its_instant(self, engine: Engine) -> None:
        keys = long_keys(engine.capabilities.largest_key)
        put(engine, dict.fromkeys(keys[::2], "before"))
        with engine.snapshot() as snapshot:
            engine.commit(Batch(clears=((FIRST, LAST),), puts={key: body("after") for key in keys[1::2]}))
            assert contents(snapshot) == [(key, "before") for key in keys[::2]]
            assert snapshot.count(FIRST, LAST) == len(keys[::2])
            assert snapshot.get(keys[1]) is None
            assert loaded(snapshot.get(keys[::2][-1])) == "before"

    @needs("snapshots")
    def test_each_snapshot_has_its_own_instant(self, engine: Engine) -> None:
        with contextlib.ExitStack() as stack:
            held = []
            for number in range(20):
                held.append((number, stack.enter_context(engine.snapshot())))
                put(engine, {encode(number): number, A: number})
            for number, snapshot in reversed(held):
                expected = [(encode(i), i) for i in range(number)] + ([(A, number - 1)] if number else [])
                assert contents(snapshot) == expected

    @needs("snapshots")
    def test_snapshot_of_a_snapshot_is_another_handle_on_the_same_instant(self, engine: Engine) -> None:
        put(engine, {A: 1})
        snapshot = engine.snapshot()
        put(engine, {A: 2, B: 2})
        with snapshot.snapshot() as second:
            snapshot.close()
            put(engine, {A: 3})
            assert contents(second) == [(A, 1)]
            assert second.get(B) is None

    @needs("snapshots")
    def test_scan_of_a_snapshot_goes_on_while_others_commit(self, engine: Engine) -> None:
        put(engine, {encode(number): 0 for number in range(1000)})
        with engine.snapshot() as snapshot, contextlib.closing(scanning(snapshot)) as scan:
            next(scan)
            engine.commit(Batch(clears=((FIRST, LAST),)))
            assert sum(1 for _ in scan) == 999

    @needs("snapshots")
    def test_snapshot_can_be_read_by_another_thread(self, engine: Engine) -> None:
        put(engine, {A: 1})
        with engine.snapshot() as snapshot:
            put(engine, {A: 2})
            assert Task(lambda: contents(snapshot)).finish() == [(A, 1)]

    @needs("snapshots")
    def test_closing_a_snapshot_twice_is_fine(self, engine: Engine) -> None:
        snapshot = engine.snapshot()
        snapshot.close()
        snapshot.close()

    @needs("snapshots")
    def test_closed_snapshots_hold_nothing(self, engine: Engine) -> None:
        put(engine, {A: 1})
        kept = []
        for _ in range(1000):
            with engine.snapshot() as snapshot:
                assert snapshot.count(FIRST, LAST) == 1
            kept.append(snapshot)
        assert contents(engine) == [(A, 1)]
