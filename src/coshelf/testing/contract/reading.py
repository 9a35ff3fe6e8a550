"""Getting entries by their keys, and counting them."""

from __future__ import annotations

from coshelf.contract import Batch, Engine
from coshelf.keys import FIRST, LAST, encode
from coshelf.testing.contract.base import EngineTests
from coshelf.testing.contract.entries import A, B, C, D, body, loaded, put

__all__ = ["ReadingTests"]


class ReadingTests(EngineTests):
    def test_missing_key_has_no_entry(self, engine: Engine) -> None:
        put(engine, {A: 1, C: 3})
        assert engine.get(B) is None
        assert engine.get(A + b"a") is None

    def test_entry_is_what_was_put_last(self, engine: Engine) -> None:
        put(engine, {A: 1, B: 2})
        put(engine, {A: 3})
        assert loaded(engine.get(A)) == 3
        assert loaded(engine.get(B)) == 2

    def test_get_many_answers_in_the_order_of_the_keys(self, engine: Engine) -> None:
        put(engine, {A: 1, B: 2, C: 3})
        assert engine.get_many([C, D, A, C]) == [engine.get(C), None, engine.get(A), engine.get(C)]

    def test_get_many_of_no_keys_is_empty(self, engine: Engine) -> None:
        assert engine.get_many([]) == []

    def test_count_counts_the_entries_from_start_to_before_stop(self, engine: Engine) -> None:
        keys = [encode(number) for number in range(10)]
        put(engine, dict.fromkeys(keys, 0))
        for i, start in enumerate(keys):
            for j, stop in enumerate(keys):
                assert engine.count(start, stop) == max(0, j - i)
        assert engine.count(FIRST, LAST) == 10

    def test_count_follows_puts_deletes_and_clears(self, engine: Engine) -> None:
        assert engine.count(FIRST, LAST) == 0
        put(engine, {A: 1, B: 2, C: 3})
        put(engine, {A: 4})
        assert engine.count(FIRST, LAST) == 3
        engine.commit(Batch(deletes=frozenset((A, D))))
        assert engine.count(FIRST, LAST) == 2
        engine.commit(Batch(clears=((B, C), (B, D)), puts={B: body(5)}))
        assert engine.count(FIRST, LAST) == 1
