"""Expiry: an engine keeps the index of times in the same commits as the entries, and in their instants."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest

from coshelf.contract import Batch, Engine, OpenOptions
from coshelf.keys import FIRST, LAST
from coshelf.mapping.handle import Handle
from coshelf.mapping.shelf import Shelf
from coshelf.testing.contract.base import EngineTests
from coshelf.testing.contract.entries import A, B, C, body, put
from coshelf.testing.contract.key_samples import long_keys
from coshelf.testing.contract.requirements import needs
from coshelf.values.expiry import INDEX, MARK, row_key, row_of, stamped, time_of
from coshelf.values.large_buffers import LargeBuffers
from coshelf.values.pickled import PickleCodec
from coshelf.values.pickles import Pickles

__all__ = ["ExpiryTests"]


LATER = 1 << 60
"""A time that does not come. What has expired may be removed at any commit."""


def expiring(times: dict[bytes, int]) -> Batch:
    """The batch that stores entries with these times."""
    puts = {key: stamped(body("value"), time) for key, time in times.items()}
    return Batch(puts=puts | {row_key(time, key): MARK for key, time in times.items()})


def index(reader: Any) -> list[tuple[int, bytes]]:
    """The times and keys in the index."""
    return [row_of(row) for row, _ in reader.scan(*INDEX, keys_only=True)]


def _not_reopened(*_: Any) -> NoReturn:
    raise AssertionError("the shelf of this test is not reopened")


def shelf_over(engine: Engine) -> Shelf[Any, Any]:
    """A shelf on an engine. The engine is closed by its own test."""
    return Shelf(Handle(engine, PickleCodec(Pickles(), LargeBuffers(engine.blobs)), "c", _not_reopened))


def needs_index(engine: Engine) -> None:
    """Skip the test if the engine knows the times by itself, so that it needs no index."""
    if engine.hides_expired:
        pytest.skip(f"the {engine.name} engine has no index of times")


class ExpiryTests(EngineTests):
    @needs("expiry")
    def test_entries_with_times_are_as_any_others(self, engine: Engine) -> None:
        keys = long_keys(engine.capabilities.largest_key)[::3]
        engine.commit(expiring({key: LATER + number for number, key in enumerate(keys)}))
        assert engine.count(FIRST, LAST) == len(keys)
        assert [key for key, _ in engine.scan(FIRST, LAST, keys_only=True)] == keys
        found = [entry for entry in engine.get_many(keys) if entry is not None]
        assert [time_of(entry.record) for entry in found] == [LATER + number for number in range(len(keys))]
        engine.commit(Batch(clears=(INDEX, (FIRST, LAST))))
        assert engine.count(FIRST, LAST) == 0
        assert engine.first_expiry() is None

    @needs("expiry")
    def test_index_is_read_in_the_order_of_the_times(self, engine: Engine) -> None:
        needs_index(engine)
        assert engine.first_expiry() is None
        engine.commit(expiring({A: LATER + 300, B: LATER + 20, C: LATER << 1}))
        assert index(engine) == [(LATER + 20, B), (LATER + 300, A), (LATER << 1, C)]
        assert engine.first_expiry() == LATER + 20
        assert engine.count(FIRST, LAST) == 3
        assert [key for key, _ in engine.scan(FIRST, LAST, keys_only=True)] == [A, B, C]

    @needs("expiry", "snapshots")
    def test_snapshot_has_the_index_of_its_instant(self, engine: Engine) -> None:
        needs_index(engine)
        engine.commit(expiring({A: LATER + 300}))
        with engine.snapshot() as snapshot:
            engine.commit(Batch(deletes=frozenset({A, row_key(LATER + 300, A)})))
            engine.commit(expiring({B: LATER + 20}))
            assert index(snapshot) == [(LATER + 300, A)]
            assert snapshot.first_expiry() == LATER + 300
        assert index(engine) == [(LATER + 20, B)]

    @needs("expiry")
    def test_rows_of_long_keys_are_removed_with_a_range(self, engine: Engine) -> None:
        needs_index(engine)
        keys = long_keys(engine.capabilities.largest_key)[::3]
        engine.commit(expiring({key: LATER + number for number, key in enumerate(keys)}))
        assert [key for _, key in index(engine)] == keys
        engine.commit(Batch(clears=((FIRST, LAST),)))
        assert [key for _, key in index(engine)] == keys
        engine.commit(Batch(clears=(INDEX,)))
        assert index(engine) == []
        assert engine.count(FIRST, LAST) == 0

    @needs("expiry", "persistent")
    def test_index_outlives_closing(self, engine: Engine, tmp_path: Path) -> None:
        needs_index(engine)
        engine.close()
        options = OpenOptions()
        engine = self.open_engine(tmp_path, options)
        engine.commit(expiring({A: 1 << 62, B: 1 << 61}))
        engine = self.reopen(engine, tmp_path, options)
        assert index(engine) == [(1 << 61, B), (1 << 62, A)]
        engine.close()

    @needs("expiry", "persistent")
    def test_times_outlive_closing(self, engine: Engine, tmp_path: Path) -> None:
        with self.moving_clock() as clock:
            first = shelf_over(engine)
            first.update({"a": 1, "b": 2}, expire=60)
            first.set("c", 3, expire=61)
            engine = self.reopen(engine, tmp_path, OpenOptions())
            shelf = shelf_over(engine)
            assert dict(shelf) == {"a": 1, "b": 2, "c": 3}
            clock.pass_by(60)
            assert (list(shelf), len(shelf), "a" in shelf) == (["c"], 1, False)
            engine.close()

    @needs("expiry")
    def test_key_that_has_expired_is_free(self, engine: Engine) -> None:
        with self.moving_clock() as clock:
            shelf = shelf_over(engine)
            assert shelf.add("lock", 1, expire=60)
            clock.pass_by(59)
            assert not shelf.add("lock", 2, expire=60)
            clock.pass_by(1)
            assert not shelf.touch("lock", expire=60)
            assert shelf.add("lock", 3, expire=60)
            assert (shelf["lock"], shelf.expires("lock")) == (3, clock.now() / 1_000_000 + 60)
            clock.pass_by(60)
            assert shelf.incr("lock", default=10) == 11
            assert shelf.expires("lock") is None

    @needs("expiry")
    def test_expired_entries_are_missing_for_every_way_of_reading(self, engine: Engine) -> None:
        with self.moving_clock() as clock:
            shelf = shelf_over(engine)
            put(engine, {C: "value"})
            shelf.update({"a": 1, "b": 2}, expire=60)
            before = shelf.keys()
            clock.pass_by(60)
            assert list(before) == list(shelf) == ["c"]
            assert dict(shelf.items()) == shelf.copy() == {"c": "value"}
            assert len(shelf) == len(shelf.keys()) == 1
            assert len(shelf.keys("[ab]")) == len(shelf.keys(prefix="a")) == 0
            assert shelf.get_many(["a", "b", "c"]) == {"c": "value"}
            assert "a" not in shelf
            assert shelf.get("a") is None
            assert shelf.cursor().first() == ("c", "value")
            assert [record.key for record in shelf.records()] == ["c"]
            assert list(reversed(shelf)) == ["c"]

    @needs("expiry")
    def test_what_has_expired_can_be_removed(self, engine: Engine) -> None:
        with self.moving_clock() as clock:
            shelf = shelf_over(engine)
            shelf.update({number: number for number in range(self.some(60))}, expire=60)
            shelf["stays"] = 1
            shelf.set("later", 1, expire=600)
            clock.pass_by(60)
            shelf.expire()
            if not engine.hides_expired:
                assert [key for _, key in index(engine)] == [b"\x30later"]
            assert shelf.expire() == 0
            assert engine.count(FIRST, LAST) == 2

    @needs("expiry", "snapshots")
    def test_snapshot_goes_by_its_own_instant(self, engine: Engine) -> None:
        with self.moving_clock() as clock:
            shelf = shelf_over(engine)
            shelf.update({"a": 1, "b": 2}, expire=60)
            shelf.set("c", 3, expire=10)
            clock.pass_by(10)
            with shelf.snapshot() as snapshot:
                clock.pass_by(50)
                shelf.expire()
                assert snapshot.copy() == {"a": 1, "b": 2}
                assert len(snapshot) == 2
                assert "c" not in snapshot
            assert len(shelf) == 0
