"""Flag "r": sees what is in the delta, and never changes the shelf's file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from insides import environment_of, flush_threads, waiting
from support import Crew, beside, sidecars

import coshelf
from coshelf.engines.lmdb.files.sidecar_directory import delta_path

SCRIPTS = Path(__file__).parent / "scripts" / "read_only"

WHOLE = {"base": 1, "a": 1, "x" * 700: 2} | {("many", n): n for n in range(3000)}
VICTIM = SCRIPTS / "left_to_read.py"


def use(shelf: Any) -> None:
    """Every way to read, and what waits for nothing where nothing may be written."""
    assert dict(shelf) == WHOLE
    assert len(shelf) == len(WHOLE)
    assert "gone" not in shelf and shelf["a"] == 1 and shelf["x" * 700] == 2
    with shelf.snapshot() as snapshot:
        assert dict(snapshot) == WHOLE
    assert sum(1 for _ in shelf.items(prefix=("many",))) == 3000
    shelf.sync()
    with pytest.raises(coshelf.ReadOnlyShelf):
        shelf["a"] = 2
    with pytest.raises(coshelf.ReadOnlyShelf):
        del shelf["a"]


def test_of_a_killed_process_it_reads_everything_and_leaves_it_to_the_next(crew: Crew, path: str) -> None:
    victim = crew.start(VICTIM, path)
    victim.expect("waiting")
    victim.kill()
    before = Path(path).read_bytes()
    for _ in range(2):
        with coshelf.open(path, "r") as shelf:
            environment_of(shelf).page.delta.last_flush = 0.0  # as if nobody had cared for long
            use(shelf)
            assert len(waiting(shelf)) == 3003
            assert not flush_threads()
        assert Path(path).read_bytes() == before
        assert beside(path) == ["a.shelf", *sidecars(path)]
    with coshelf.open(path) as shelf:
        assert dict(shelf) == WHOLE
    assert Path(path).read_bytes() != before
    assert beside(path) == ["a.shelf"]


def test_of_a_living_process_it_reads_everything_and_flushes_nothing(crew: Crew, path: str) -> None:
    writer = crew.start(VICTIM, path)
    writer.expect("waiting")
    before = Path(path).read_bytes()
    with coshelf.open(path, "r") as shelf:
        use(shelf)
        assert len(waiting(shelf)) == 3003
        assert Path(path).read_bytes() == before
    assert Path(path).read_bytes() == before
    writer.tell()
    writer.finish()
    assert beside(path) == ["a.shelf"]


def test_the_last_one_to_close_leaves_what_a_killed_one_left(crew: Crew, path: str) -> None:
    victim = crew.start(VICTIM, path)
    victim.expect("waiting")
    with coshelf.open(path, "r") as shelf:
        victim.kill()
        assert dict(shelf) == WHOLE
    assert beside(path) == ["a.shelf", *sidecars(path)]
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf) == WHOLE


def test_a_writer_in_the_same_process_may_flush(crew: Crew, path: str) -> None:
    victim = crew.start(VICTIM, path)
    victim.expect("waiting")
    victim.kill()
    with coshelf.open(path, "r") as reader:
        assert len(waiting(reader)) == 3003
        with coshelf.open(path, "w") as writer:
            writer["new"] = 1
        assert not waiting(reader)
        assert dict(reader) == WHOLE | {"new": 1}
    assert beside(path) == ["a.shelf"]


def test_a_clean_shelf_is_left_as_it_was(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf.update(a=1, b=2)
    before = Path(path).read_bytes()
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf) == {"a": 1, "b": 2}
        assert environment_of(shelf).has_delta
        assert not os.path.exists(delta_path(path, 0))
    assert Path(path).read_bytes() == before
    assert beside(path) == ["a.shelf"]
