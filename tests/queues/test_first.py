"""The first and last row of a range: what ``Engine.first`` and ``quick_take`` find, compared with scans."""

from __future__ import annotations

import pickle
import random
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf import native
from coshelf.contract import QUEUES, Batch
from coshelf.records import TRAILER

Shelf = coshelf.Shelf[Any, Any]
START, STOP, OTHER = b"\x0a0x\0A", b"\x0a0x\0B", b"\x0a0x\0T"


def test_it_is_the_first_or_last_of_a_scan_whatever_was_put_and_deleted(shelf: Shelf) -> None:
    engine, chance = shelf.engine_for("test"), random.Random(3)
    for turn in range(120):
        row = START + bytes([chance.randrange(30)]) + chance.choice([b"", b"\0"])
        if chance.random() < 0.5:
            engine.commit(Batch(puts={row: pickle.dumps(turn, 5)}))
        else:
            engine.commit(Batch(deletes=frozenset((row,))))
        if turn % 25 == 0:
            shelf.sync()
        for reverse in (False, True):
            found = engine.first(START, STOP, reverse=reverse)
            assert found == next(iter(engine.scan(START, STOP, reverse=reverse)), None)
    assert engine.first(OTHER, OTHER + b"\xff") is None
    assert engine.first(OTHER, OTHER + b"\xff", reverse=True) is None


@pytest.mark.skipif(not native.in_use, reason="it is a part of the module in C")
def test_it_is_taken_out_or_moved_in_one_commit(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf", flush_interval=3600) as shelf:
        engine, chance = shelf.engine_for("test"), random.Random(5)
        model: dict[bytes, int] = {}
        shelf["a"] = 1
        shelf.sync()
        shelf["a"] = 2
        for turn in range(300):
            if chance.random() < 0.6 or not model:
                row = START + chance.randbytes(2) + b"\0"
                assert engine.quick_store("", turn, row) is not False
                model[row] = turn
            else:
                first, moves = min(model), chance.random() < 0.5
                row, value, number, _ = engine.quick_take(START, STOP, OTHER if moves else None, b"told")
                assert value == model.pop(first)
                assert engine.get(first) is None
                if moves:
                    assert row == OTHER + first[len(START) : -1]
                    entry = engine.get(row)
                    assert entry is not None and entry.version == number
                    assert pickle.loads(entry.record) == b"told" + pickle.dumps(value, 5)
                    engine.commit(Batch(deletes=frozenset((row,)), checks={row: number}))
            if turn % 60 == 0:
                shelf.sync()
        assert {row: pickle.loads(entry.record) for row, entry in engine.scan(*QUEUES) if entry is not None} == model


@pytest.mark.skipif(not native.in_use, reason="it is a part of the module in C")
def test_it_leaves_to_python_what_is_not_plain_and_changes_nothing(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        engine = shelf.engine_for("test")
        shelf["a"] = 1
        shelf.sync()
        shelf["a"] = 2
        assert engine.quick_take(START, STOP, None, b"") is None
        bodies = [b"\x02\0", pickle.dumps(Path("x"), 5), pickle.dumps("x" * 70_000, 5), b"\x80"]
        for row, body in [(START + b"\1", pickle.dumps(1, 5)), *((START + b"\0", body) for body in bodies)]:
            engine.commit(Batch(puts={row: body}))
            assert engine.quick_take(START, STOP, None, b"") is NotImplemented
            assert engine.quick_take(START, STOP, OTHER, b"told") is NotImplemented
            found = engine.first(START, STOP)
            assert found is not None and (found[0], found[1].record[:-TRAILER]) == (row, body)
        for wrong in [(), (START,), (START, STOP, 1, b""), ("a", "b", None, b""), (START, STOP, None, "told")]:
            with pytest.raises(TypeError):
                engine.quick_take(*wrong)
