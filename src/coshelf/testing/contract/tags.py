"""Tags: an engine keeps the index of tags in the same commits as the entries, and in their instants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coshelf.contract import Batch, Engine, OpenOptions
from coshelf.keys import FIRST, LAST
from coshelf.testing.contract.base import EngineTests
from coshelf.testing.contract.entries import A, B, C, body
from coshelf.testing.contract.expiry import shelf_over
from coshelf.testing.contract.key_samples import long_keys
from coshelf.testing.contract.requirements import needs
from coshelf.testing.moving_clock import MovingClock
from coshelf.values.envelope import Envelope, enclosed_with_rows
from coshelf.values.tags import INDEX, encoded_tags, row_parts, texts_of

__all__ = ["TagsTests"]


def tagged(keys: list[bytes], *tags: str) -> Batch:
    """The batch that stores entries with tags."""
    return Batch(puts=enclosed_with_rows(dict.fromkeys(keys, body("value")), Envelope(None, encoded_tags(tags))))


def index(reader: Any) -> list[tuple[str, bytes]]:
    """The tags and keys in the index."""
    found = [row_parts(row) for row, _ in reader.scan(*INDEX, keys_only=True)]
    return [(next(texts_of([tag])), key) for tag, key in found]


class TagsTests(EngineTests):
    @needs("tags")
    def test_index_is_read_in_the_order_of_the_keys_of_a_tag(self, engine: Engine) -> None:
        engine.commit(tagged([C, A], "x"))
        engine.commit(tagged([B], "y", "x"))
        assert index(engine) == [("x", A), ("x", B), ("x", C), ("y", B)]
        assert engine.count(FIRST, LAST) == 3
        assert [key for key, _ in engine.scan(FIRST, LAST, keys_only=True)] == [A, B, C]

    @needs("tags", "snapshots")
    def test_snapshot_has_the_tags_of_its_instant(self, engine: Engine) -> None:
        engine.commit(tagged([A], "x"))
        with engine.snapshot() as snapshot:
            engine.commit(Batch(deletes=frozenset(tagged([A], "x").puts)))
            engine.commit(tagged([B], "x"))
            assert index(snapshot) == [("x", A)]
        assert index(engine) == [("x", B)]

    @needs("tags")
    def test_rows_of_long_keys_and_tags_are_removed_with_a_range(self, engine: Engine) -> None:
        tag = "t" * 255
        most = engine.capabilities.largest_key
        keys = long_keys(None if most is None else most - len(tag) - 2)[::3]
        engine.commit(tagged(keys, tag))
        assert index(engine) == [(tag, key) for key in keys]
        engine.commit(Batch(clears=((FIRST, LAST),)))
        assert [key for _, key in index(engine)] == keys
        engine.commit(Batch(clears=(INDEX,)))
        assert index(engine) == []

    @needs("tags", "persistent")
    def test_tags_outlive_closing(self, tmp_path: Path) -> None:
        options = OpenOptions()
        engine = self.open_engine(tmp_path, options)
        engine.commit(tagged([A, B], "x"))
        engine = self.reopen(engine, tmp_path, options)
        assert index(engine) == [("x", A), ("x", B)]
        engine.close()

    @needs("tags")
    def test_entries_are_found_and_deleted_by_their_tags(self, engine: Engine) -> None:
        shelf = shelf_over(engine)
        shelf.update({number: number for number in range(self.some(60))}, tags=("x", "y"))
        shelf.set("a", 1, tags=("y",))
        shelf["b"] = 1
        assert list(shelf.tagged("x")) == list(range(self.some(60)))
        assert list(reversed(shelf.tagged("y")))[:2] == ["a", self.some(60) - 1]
        assert shelf.delete_tagged("x") == self.some(60)
        assert list(shelf) == ["a", "b"]
        assert index(engine) == [("y", b"\x30a")]

    @needs("tags", "expiry")
    def test_expired_entries_have_no_tags(self, engine: Engine) -> None:
        with MovingClock() as clock:
            shelf = shelf_over(engine)
            shelf.set("a", 1, expire=60, tags=("x",))
            shelf.set("b", 1, expire=90, tags=("x",))
            clock.pass_by(60)
            assert list(shelf.tagged("x")) == ["b"]
            assert shelf.delete_tagged("x") == 1
            assert len(shelf) == 0
