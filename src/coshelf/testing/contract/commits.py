"""Commits: what a batch does, and in which order."""

from __future__ import annotations

import random

import pytest

from coshelf.contract import ABSENT, Batch, Engine
from coshelf.keys import FIRST, LAST, encode
from coshelf.testing.contract.base import EngineTests
from coshelf.testing.contract.entries import A, B, C, D, E, body, contents, put, versions
from coshelf.testing.contract.key_samples import long_keys
from coshelf.testing.contract.requirements import needs

__all__ = ["CommitTests"]


class CommitTests(EngineTests):
    def test_commit_returns_the_version_that_its_puts_have(self, engine: Engine) -> None:
        first = put(engine, {A: 1, B: 2})
        second = put(engine, {B: 3, C: 4})
        assert versions(engine) == {A: first, B: second, C: second}

    def test_versions_are_never_used_again(self, engine: Engine) -> None:
        given = []
        for _ in range(5):
            given.append(put(engine, {A: 1}))
            given.append(put(engine, {A: 1}))
            engine.commit(Batch(deletes=frozenset((A,))))
            given.append(put(engine, {A: 1}))
            engine.commit(Batch(clears=((FIRST, LAST),)))
        assert len(set(given)) == len(given)

    def test_deleting_what_is_not_there_is_no_error(self, engine: Engine) -> None:
        put(engine, {A: 1})
        engine.commit(Batch(deletes=frozenset((B, A + b"x"))))
        assert contents(engine) == [(A, 1)]

    def test_deleted_entries_are_gone_and_no_others(self, engine: Engine) -> None:
        put(engine, {A: 1, B: 2, C: 3})
        engine.commit(Batch(deletes=frozenset((A, C))))
        assert engine.get_many([A, C]) == [None, None]
        assert contents(engine) == [(B, 2)]

    def test_empty_batch_changes_nothing(self, engine: Engine) -> None:
        put(engine, {A: 1})
        before = list(engine.scan(FIRST, LAST))
        engine.commit(Batch())
        assert list(engine.scan(FIRST, LAST)) == before

    def test_clear_empties_its_range_and_nothing_else(self, engine: Engine) -> None:
        put(engine, {A: 1, B: 2, C: 3, D: 4, E: 5})
        engine.commit(Batch(clears=((B, C), (C, D), (C, C), (E, A))))
        assert contents(engine) == [(A, 1), (D, 4), (E, 5)]
        engine.commit(Batch(clears=((FIRST, LAST),)))
        assert contents(engine) == []

    def test_clears_come_before_puts_and_deletes(self, engine: Engine) -> None:
        put(engine, {A: 1, B: 2, C: 3})
        engine.commit(Batch(clears=((FIRST, LAST),), puts={B: body(4), D: body(5)}, deletes=frozenset((A,))))
        assert contents(engine) == [(B, 4), (D, 5)]

    @needs("checks=batch")
    def test_checks_come_before_clears_deletes_and_puts(self, engine: Engine) -> None:
        old = put(engine, {A: 1, B: 2})
        engine.commit(
            Batch(
                checks={A: old, B: old, C: ABSENT},
                clears=((A, B),),
                deletes=frozenset((B,)),
                puts={A: body(3), C: body(4)},
            )
        )
        assert contents(engine) == [(A, 3), (C, 4)]

    def test_batch_of_thousands_is_one_commit(self, engine: Engine) -> None:
        many = self.some(5000)
        new = put(engine, {encode(number): number for number in range(many)})
        assert engine.count(FIRST, LAST) == many
        assert set(versions(engine).values()) == {new}

    @pytest.mark.parametrize("seed", range(4))
    def test_random_batches_do_what_they_do_to_a_dict(self, engine: Engine, seed: int) -> None:
        chance = random.Random(seed)
        keys = [*long_keys(engine.capabilities.largest_key), A, B, C, *(encode(number) for number in range(-5, 5))]
        model: dict[bytes, int] = {}
        for step in range(self.some(25)):
            start, stop = sorted(chance.sample(keys, 2))
            clears = ((start, stop),) if chance.random() < 0.2 else ()
            deletes = frozenset(chance.sample(keys, chance.randrange(20)))
            puts = {key: step for key in chance.sample(keys, chance.randrange(20)) if key not in deletes}
            engine.commit(Batch(clears=clears, deletes=deletes, puts={key: body(step) for key in puts}))
            gone = {key for key in model if clears and start <= key < stop} | deletes
            model = {key: value for key, value in model.items() if key not in gone} | puts
            assert contents(engine) == sorted(model.items())
            assert engine.count(FIRST, LAST) == len(model)
            start, stop = sorted(chance.sample(keys, 2))
            expected = sorted(item for item in model.items() if start <= item[0] < stop)
            assert contents(engine, start, stop, reverse=True) == expected[::-1]
            assert engine.count(start, stop) == len(expected)
