"""What every engine refuses is refused in one place, before the engine sees it, whatever way a batch comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from coshelf.contract import Batch, Engine, OpenOptions
from coshelf.engines.memory import MemoryEngine
from coshelf.errors import BatchTooLarge, KeyTooLong, ReadOnlyShelf, Unsupported, ValueTooLarge
from coshelf.keys import FIRST, LAST, encode

A, B = encode("a"), encode("b")
Commit = Callable[[Batch], object]

TOO_MUCH = {
    "a long key": (KeyTooLong, Batch(puts={A: b"x", FIRST * 21: b"x"})),
    "a large value": (ValueTooLarge, Batch(puts={A: b"x", B: b"x" * 101})),
    "many puts": (BatchTooLarge, Batch(puts={encode(str(number)): b"x" * 90 for number in range(10)})),
    "many deletions": (BatchTooLarge, Batch(puts={A: b"x"}, deletes=frozenset(encode(n) for n in range(20)))),
}


@pytest.fixture
def engine() -> Engine:
    engine = MemoryEngine(OpenOptions())
    engine.capabilities = replace(engine.capabilities, largest_key=20, largest_value=100, largest_batch=1000)
    return engine


@contextmanager
def by_commit(engine: Engine) -> Iterator[Commit]:
    yield engine.commit


@contextmanager
def in_a_transaction(engine: Engine) -> Iterator[Commit]:
    with engine.exclusive() as lock:
        yield lock.commit


@pytest.mark.parametrize("way", [by_commit, in_a_transaction])
@pytest.mark.parametrize("kind", TOO_MUCH)
def test_more_than_the_capabilities_promise_is_refused_whole(engine: Engine, kind: str, way: object) -> None:
    error, batch = TOO_MUCH[kind]
    with way(engine) as commit, pytest.raises(error):  # type: ignore[operator]
        commit(batch)
    assert engine.count(FIRST, LAST) == 0


@pytest.mark.parametrize("way", [by_commit, in_a_transaction])
def test_what_just_fits_is_stored(engine: Engine, way: object) -> None:
    with way(engine) as commit:  # type: ignore[operator]
        commit(Batch(puts={FIRST * 20: b"x" * 100}))
        commit(Batch(puts={encode(number): b"x" * 90 for number in range(6)}))
    assert engine.count(FIRST, LAST) == 7


def test_an_engine_that_checks_one_entry_refuses_checks_of_several(engine: Engine) -> None:
    version = engine.put(A, b"x")
    engine.capabilities = replace(engine.capabilities, checks="entry")
    with pytest.raises(BatchTooLarge):
        engine.commit(Batch(checks={A: version}, puts={A: b"y", B: b"y"}))
    with pytest.raises(Unsupported, match="'a', which was read"):
        engine.commit(Batch(checks={A: version}, puts={B: b"y"}))
    engine.commit(Batch(checks={A: version}, puts={A: b"y"}))
    assert engine.count(FIRST, LAST) == 1


def test_a_reader_writes_in_no_way() -> None:
    reader = MemoryEngine(OpenOptions(flag="r"))
    with pytest.raises(ReadOnlyShelf):
        reader.commit(Batch(puts={A: b"x"}))
    with pytest.raises(ReadOnlyShelf):
        reader.put(A, b"x")
    with pytest.raises(ReadOnlyShelf), reader.exclusive():
        pass
