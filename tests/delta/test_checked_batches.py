"""Small batches that check one version commit, or conflict, as the versions of a dict say."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf import keys, records
from coshelf.contract import ABSENT, Batch, Engine
from coshelf.errors import Conflict

_KEYS = [keys.encode(key) for key in ("a", "b", "c", 1, 2, "x" * 600)]
_BODIES = [b"\x80\x05K\x01.", b"\x80\x05K\x02.", b"\x80\x05" + b"B\xe8\x03\0\0" + bytes(1000) + b"."]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with coshelf.open(tmp_path / "my.shelf", flush_interval=1000) as shelf:
        shelf["a"] = 0
        assert shelf["a"] == 0  # the quick ways are in use from here on, where there are some
        shelf.clear()
        shelf["a"] = 0
        del shelf["a"]
        yield shelf._handle.engine


def _body(engine: Engine, key: bytes) -> bytes | None:
    entry = engine.get(key)
    return None if entry is None else entry.record[: -records.TRAILER]


@pytest.mark.parametrize("seed", range(3))
def test_a_batch_commits_exactly_if_the_version_is_right(engine: Engine, seed: int) -> None:
    chance = random.Random(seed)
    bodies: dict[bytes, bytes] = {}
    versions: dict[bytes, Any] = {}
    for _ in range(600):
        chosen = chance.sample(_KEYS, chance.randrange(1, 4))
        deletes = frozenset(key for key in chosen if chance.random() < 0.3)
        puts = {key: chance.choice(_BODIES) for key in chosen if key not in deletes}
        checked = chance.choice(_KEYS)
        right = versions.get(checked, ABSENT)
        version = right if chance.random() < 0.7 else chance.choice([ABSENT, 1, *versions.values()])
        batch = Batch(puts=puts, deletes=deletes, checks={checked: version})
        if version != right:
            with pytest.raises(Conflict) as caught:
                engine.commit(batch)
            assert caught.value.keys == (checked,)
        else:
            number = engine.commit(batch)
            for key in deletes:
                bodies.pop(key, None)
                versions.pop(key, None)
            bodies.update(puts)
            versions.update(dict.fromkeys(puts, number))
        if chance.random() < 0.05:
            engine.sync()
        for key in _KEYS:
            entry = engine.get(key)
            assert (None if entry is None else entry.version) == versions.get(key)
            assert _body(engine, key) == bodies.get(key)


def test_a_batch_is_refused_within_a_transaction_of_this_thread(engine: Engine) -> None:
    batch = Batch(puts={_KEYS[0]: _BODIES[0]}, checks={_KEYS[0]: ABSENT})
    with engine.exclusive(), pytest.raises(coshelf.TransactionInProgress):
        engine.commit(batch)
    engine.commit(batch)
    assert _body(engine, _KEYS[0]) == _BODIES[0]
