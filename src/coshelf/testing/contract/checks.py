"""Checks: a batch commits only while entries have the versions that it names."""

from __future__ import annotations

import pytest

from coshelf.engines.contract import ABSENT, Batch, Engine
from coshelf.errors import Conflict
from coshelf.keys import FIRST, LAST
from coshelf.testing.contract.base import EngineTests
from coshelf.testing.contract.entries import A, B, C, D, body, conflicts, loaded, put
from coshelf.testing.contract.key_samples import long_keys

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

    def test_checks_work_for_long_keys(self, engine: Engine) -> None:
        keys = long_keys(engine.capabilities.largest_key)
        old = put(engine, dict.fromkeys(keys[::2], 1))
        assert conflicts(engine, {key: ABSENT if i % 2 else old for i, key in enumerate(keys)}) == []
        assert conflicts(engine, {key: old if i % 2 else ABSENT for i, key in enumerate(keys)}) == keys
