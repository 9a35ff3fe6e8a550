"""Checks: a batch commits only while entries have the versions that it names."""

from __future__ import annotations

import pytest

from coshelf.contract import ABSENT, Batch, Engine
from coshelf.errors import Conflict, Unsupported
from coshelf.keys import FIRST, LAST
from coshelf.testing.contract.base import EngineTests
from coshelf.testing.contract.entries import A, B, C, D, body, conflicts, loaded, put, versions
from coshelf.testing.contract.key_samples import long_keys
from coshelf.testing.contract.requirements import needs

__all__ = ["CheckTests"]


class CheckTests(EngineTests):
    def test_check_holds_while_the_version_is_the_same(self, engine: Engine) -> None:
        first = put(engine, {A: 1})
        put(engine, {B: 2})
        engine.commit(Batch(checks={A: first}, puts={A: body(3)}))
        assert loaded(engine.get(A)) == 3

    def test_check_fails_when_the_entry_was_overwritten(self, engine: Engine) -> None:
        first = put(engine, {A: 1})
        put(engine, {A: 1})
        assert conflicts(engine, {A: first}) == [A]

    def test_check_fails_when_the_entry_was_deleted_even_if_it_came_back(self, engine: Engine) -> None:
        first = put(engine, {A: 1})
        engine.commit(Batch(deletes=frozenset((A,))))
        assert conflicts(engine, {A: first}) == [A]
        put(engine, {A: 1})
        assert conflicts(engine, {A: first}) == [A]

    def test_check_for_absence_fails_when_there_is_an_entry(self, engine: Engine) -> None:
        assert conflicts(engine, {A: ABSENT}) == []
        put(engine, {A: 1})
        assert conflicts(engine, {A: ABSENT}) == [A]
        engine.commit(Batch(deletes=frozenset((A,))))
        assert conflicts(engine, {A: ABSENT}) == []

    def test_conflict_names_the_keys_whose_check_failed_and_no_others(self, engine: Engine) -> None:
        old = put(engine, {A: 1, B: 1, C: 1})
        put(engine, {B: 2})
        assert conflicts(engine, {A: old, B: old, C: ABSENT, D: ABSENT}) == [B, C]

    def test_failed_check_of_one_entry_changes_nothing(self, engine: Engine) -> None:
        old = put(engine, {A: 1})
        put(engine, {A: 2})
        before = list(engine.scan(FIRST, LAST))
        for batch in (
            Batch(checks={A: old}, puts={A: body(3)}),
            Batch(checks={A: old}, deletes=frozenset((A,))),
            Batch(checks={A: ABSENT}, puts={A: body(3)}),
            Batch(checks={B: old}, puts={B: body(3)}),
            Batch(checks={B: old}, deletes=frozenset((B,))),
        ):
            with pytest.raises(Conflict) as caught:
                engine.commit(batch)
            assert caught.value.keys == tuple(batch.checks)
        assert list(engine.scan(FIRST, LAST)) == before

    def test_checked_deletion_takes_the_entry_that_was_meant(self, engine: Engine) -> None:
        old = put(engine, {A: 1})
        engine.commit(Batch(checks={A: old}, deletes=frozenset((A,))))
        assert engine.get(A) is None
        assert engine.count(FIRST, LAST) == 0
        assert list(engine.scan(FIRST, LAST)) == []
        engine.commit(Batch(checks={A: ABSENT}, deletes=frozenset((A,))))
        new = engine.commit(Batch(checks={A: ABSENT}, puts={A: body(2)}))
        assert versions(engine) == {A: new}
        assert conflicts(engine, {A: old}) == [A]

    @needs("checks=entry")
    def test_what_spans_more_than_one_entry_is_refused_with_all_of_it(self, engine: Engine) -> None:
        old = put(engine, {A: 1})
        for batch in (
            Batch(checks={A: old}, puts={A: body(2), B: body(2)}),
            Batch(checks={A: old}, puts={A: body(2)}, deletes=frozenset((B,))),
            Batch(checks={A: old}, puts={B: body(2)}),
            Batch(checks={A: old}, clears=((FIRST, LAST),)),
        ):
            with pytest.raises(Unsupported):
                engine.commit(batch)
        assert versions(engine) == {A: old}

    @needs("checks=batch")
    def test_failed_check_changes_nothing(self, engine: Engine) -> None:
        old = put(engine, {A: 1, B: 1, C: 1})
        put(engine, {B: 2})
        before = list(engine.scan(FIRST, LAST))
        with pytest.raises(Conflict):
            engine.commit(
                Batch(
                    checks={A: old, B: old},
                    clears=((FIRST, LAST),),
                    deletes=frozenset((A,)),
                    puts={D: body(3), C: body(4)},
                )
            )
        assert list(engine.scan(FIRST, LAST)) == before
        assert engine.count(FIRST, LAST) == 3

    def test_checks_work_for_single_long_keys(self, engine: Engine) -> None:
        keys = long_keys(engine.capabilities.largest_key)[:: self.sparse(5)]
        old = put(engine, dict.fromkeys(keys, 1))
        for key in keys:
            new = engine.commit(Batch(checks={key: old}, puts={key: body(2)}))
            assert conflicts(engine, {key: old}) == [key]
            assert conflicts(engine, {key: new}) == []

    def test_checks_work_for_long_keys(self, engine: Engine) -> None:
        keys = long_keys(engine.capabilities.largest_key)
        old = put(engine, dict.fromkeys(keys[::2], 1))
        assert conflicts(engine, {key: ABSENT if i % 2 else old for i, key in enumerate(keys)}) == []
        assert conflicts(engine, {key: old if i % 2 else ABSENT for i, key in enumerate(keys)}) == keys
