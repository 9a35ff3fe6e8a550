"""Opening with each flag, closing, and opening again."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from coshelf.contract import EVERYTHING_GONE, Batch, Engine, OpenOptions
from coshelf.engines import open_engine
from coshelf.errors import ReadOnlyShelf, ShelfNotFound
from coshelf.keys import FIRST, LAST
from coshelf.testing.contract.base import EngineTests
from coshelf.testing.contract.entries import A, B, C, body, conflicts, contents, put
from coshelf.testing.contract.key_samples import long_keys
from coshelf.testing.contract.requirements import needs

__all__ = ["OpeningTests"]


class OpeningTests(EngineTests):
    def test_sync_changes_nothing(self, engine: Engine) -> None:
        put(engine, {A: 1})
        before = list(engine.scan(FIRST, LAST))
        engine.sync()
        assert list(engine.scan(FIRST, LAST)) == before

    def test_closing_twice_is_fine(self, engine: Engine) -> None:
        put(engine, {A: 1})
        engine.close()
        engine.close()

    @needs("persistent")
    def test_entries_outlive_the_engine_with_their_versions(self, engine: Engine, tmp_path: Path) -> None:
        keys = long_keys(engine.capabilities.largest_key)
        put(engine, {key: len(key) for key in keys})
        put(engine, {keys[0]: "later"})
        before = list(engine.scan(FIRST, LAST))
        with contextlib.closing(self.reopen(engine, tmp_path, OpenOptions())) as again:
            assert list(again.scan(FIRST, LAST)) == before
            assert again.count(FIRST, LAST) == len(keys)

    @needs("persistent")
    def test_versions_are_not_used_again_after_reopening(self, engine: Engine, tmp_path: Path) -> None:
        given = [put(engine, {A: 1}), put(engine, {A: 1})]
        engine.commit(Batch(deletes=frozenset((A,))))
        for _ in range(3):
            engine = self.reopen(engine, tmp_path, OpenOptions())
            given.append(put(engine, {A: 1}))
            engine.commit(Batch(clears=((FIRST, LAST),)))
        engine.close()
        assert len(set(given)) == len(given)

    @needs("persistent")
    def test_what_flag_n_commits_empties(self, engine: Engine, tmp_path: Path) -> None:
        put(engine, {A: 1, B: 2} | dict.fromkeys(long_keys(engine.capabilities.largest_key), 3))
        with contextlib.closing(self.reopen(engine, tmp_path, OpenOptions(flag="n"))) as again:
            again.commit(EVERYTHING_GONE)
            assert contents(again) == []
            assert again.count(FIRST, LAST) == 0
            put(again, {C: 3})
            assert contents(again) == [(C, 3)]

    @needs("persistent", "shared=processes", "watch=doorbell")
    def test_emptying_by_flag_n_is_a_commit_that_others_see(self, engine: Engine, tmp_path: Path) -> None:
        old = put(engine, {A: 1, B: 2})
        with engine.instant() as before:
            bell = engine.doorbell(A)
            sequence = bell.sequence()
            with contextlib.closing(self.open_engine(tmp_path, OpenOptions(flag="n"))) as other:
                assert contents(engine) == [(A, 1), (B, 2)]  # opening alone does not empty
                other.commit(EVERYTHING_GONE)
            assert bell.sequence() != sequence
            assert contents(engine) == []
            assert conflicts(engine, {A: old}) == [A]
            if engine.capabilities.snapshots:
                assert contents(before) == [(A, 1), (B, 2)]
        assert put(engine, {A: 1}) != old

    @needs("persistent")
    def test_flag_r_never_writes(self, engine: Engine, tmp_path: Path) -> None:
        put(engine, {A: 1})
        with contextlib.closing(self.reopen(engine, tmp_path, OpenOptions(flag="r"))) as reader:
            for batch in (Batch(puts={A: body(2)}), Batch(deletes=frozenset((A,))), Batch(clears=((FIRST, LAST),))):
                with pytest.raises(ReadOnlyShelf):
                    reader.commit(batch)
            with pytest.raises(ReadOnlyShelf):
                reader.put(A, body(2))
            assert contents(reader) == [(A, 1)]

    @needs("persistent")
    def test_flags_r_and_w_open_what_exists(self, engine: Engine, tmp_path: Path) -> None:
        put(engine, {A: 1})
        again = self.reopen(engine, tmp_path, OpenOptions(flag="w"))
        put(again, {B: 2})
        with contextlib.closing(self.reopen(again, tmp_path, OpenOptions(flag="r"))) as reader:
            assert contents(reader) == [(A, 1), (B, 2)]

    @needs("persistent", "shared=processes")
    @pytest.mark.parametrize("flag", ["r", "w"])
    def test_flags_r_and_w_make_nothing(self, tmp_path: Path, flag: Any) -> None:
        place = tmp_path / "nothing"
        place.mkdir()
        with pytest.raises(ShelfNotFound):
            self.open_engine(place, OpenOptions(flag=flag))
        assert list(place.iterdir()) == []

    def test_engine_that_rests_at_the_end_of_the_interpreter_can_still_be_used(self, engine: Engine) -> None:
        put(engine, {A: 1})
        engine.rest()
        put(engine, {B: 2})
        engine.rest()
        assert contents(engine) == [(A, 1), (B, 2)]

    def test_reopen_arguments_open_the_same_entries_or_are_a_type_error(self, engine: Engine) -> None:
        put(engine, {A: 1})
        if engine.capabilities.shared != "processes":
            with pytest.raises(TypeError):
                engine.reopen_arguments()
            return
        target, options = engine.reopen_arguments()
        with contextlib.closing(open_engine(target, options)) as second:
            assert contents(second) == [(A, 1)]
            put(second, {B: 2})
            assert contents(engine) == [(A, 1), (B, 2)]
