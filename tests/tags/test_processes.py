"""Tags between processes: one deletes what others store, and a kill in the middle of deleting."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.keys import FIRST, LAST, decode
from coshelf.values.envelope import tags_of
from coshelf.values.tags import INDEX, row_parts

Shelf = coshelf.Shelf[Any, Any]
SCRIPTS = Path(__file__).parent / "scripts"


def begun(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A process with a script, that has begun."""
    program = [sys.executable, str(SCRIPTS / script), *map(str, arguments)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def refuse_inconsistency(shelf: Shelf) -> None:
    """Fail if an entry has no row for one of its tags, or a tag does not find exactly the entries that have it."""
    engine = shelf._handle.engine
    rows = {row_parts(row) for row, _ in engine.scan(*INDEX, keys_only=True)}
    carried = {(tag, key) for key, entry in engine.scan(FIRST, LAST) if entry for tag in tags_of(entry.record)}
    assert carried <= rows
    for tag in {tag for tag, _ in rows}:
        assert list(shelf.tagged(tag[1:].decode())) == [decode(key) for found, key in sorted(carried) if found == tag]


@pytest.fixture(params=["", "sqlite:"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{request.param}{tmp_path / 'a.shelf'}"


def test_each_entry_is_deleted_once_while_others_store(target: str) -> None:
    entries = 300
    with coshelf.open(target, flush_interval=0.01) as shelf, begun("tagging_writer.py", target, entries) as writer:
        numbers = 0
        while writer.poll() is None:
            with shelf.transaction() as transaction:
                found = list(transaction.tagged("x"))
                assert transaction.delete_tagged("x") == len(found)
            numbers += sum(isinstance(key, int) for key in found)
            numbers += shelf.delete_tagged("of 0")  # the writer gives this tag to numbers alone
        refuse_inconsistency(shelf)
        left = list(shelf.tagged("x"))
        assert numbers + len(left) == entries  # each was deleted once, and none is lost
        assert shelf.delete_tagged("x") == len(left)
        # What lost the tag before it was deleted stays, with its last value.
        assert dict(shelf) == {f"kept {number}": "plain" for number in range(entries)}
        assert shelf.check().ok


def test_kill_while_deleting_removes_all_or_nothing(target: str) -> None:
    draw = random.Random(4)
    for _ in range(6):
        with begun("killed_deleter.py", target, 400, 100_000) as process:
            time.sleep(draw.random() * 0.1)
            process.kill()
        with coshelf.open(target) as shelf:
            refuse_inconsistency(shelf)
            assert len(shelf) in (0, 400)
            assert len(shelf) == len(shelf.tagged("x")) == len(shelf.tagged("y"))
            assert shelf.check().ok


def test_kill_between_two_steps_leaves_the_later_keys(target: str) -> None:
    draw = random.Random(5)
    for _ in range(6):
        with begun("killed_deleter.py", target, 400, 7) as process:
            time.sleep(draw.random() * 0.1)
            process.kill()
        with coshelf.open(target) as shelf:
            refuse_inconsistency(shelf)
            left = list(shelf)
            assert left == list(range(400 - len(left), 400))
            assert len(left) % 7 in (0, 400 % 7)
            assert shelf.delete_tagged("y") == len(left)
            assert len(shelf) == 0
