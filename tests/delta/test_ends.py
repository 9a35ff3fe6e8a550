"""``sync``, ``close``, a normal exit and a shelf that is collected: each has everything in the base."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from insides import commits_to_base, flush_all, is_clean, waiting
from support import Crew, beside, sidecars

import coshelf
from collecting import collect
from coshelf.engines.lmdb.shelf_row import check_row

SCRIPTS = Path(__file__).parent / "scripts" / "ends"
WRITES = SCRIPTS / "writes.py"


def test_sync_carries_everything_that_was_committed_by_anybody(crew: Crew, path: str) -> None:
    with coshelf.open(path, flush_interval=1000) as shelf:
        other = crew.start(WRITES, path, "os._exit when told")
        other.expect("written")
        assert waiting(shelf)
        shelf.sync()
        assert not waiting(shelf) and is_clean(shelf)
        before = commits_to_base(path)
        shelf.sync()
        assert commits_to_base(path) == before, "there was nothing to do"


def test_close_carries_everything_though_others_have_it_open(crew: Crew, path: str) -> None:
    with coshelf.open(path, flush_interval=1000) as stays:
        crew.run(WRITES, path, "close")
        assert not waiting(stays)
        assert dict(stays) == {"a": 1, "b": [2]}


def test_the_last_close_leaves_the_file_alone_and_it_is_the_whole_shelf(crew: Crew, path: str, tmp_path: Path) -> None:
    crew.run(WRITES, path, "close")
    assert beside(path) == ["a.shelf"]
    copy = tmp_path / "copy.shelf"
    copy.write_bytes(Path(path).read_bytes())
    with coshelf.open(copy, "r") as shelf:
        assert dict(shelf) == {"a": 1, "b": [2]}


@pytest.mark.parametrize("end", ["end of script", "sys.exit", "del", "collected"])
def test_at_a_normal_end_of_the_program_nobody_has_to_close(crew: Crew, path: str, end: str) -> None:
    crew.run(WRITES, path, end)
    assert beside(path) == ["a.shelf"]
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf) == {"a": 1, "b": [2]}


def test_an_error_that_ends_the_program_is_a_normal_end(crew: Crew, path: str) -> None:
    crew.start(WRITES, path, "error").finish(1)
    assert beside(path) == ["a.shelf"]
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf) == {"a": 1, "b": [2]}


def test_a_shelf_that_is_collected_is_flushed_while_the_program_goes_on(path: str) -> None:
    shelf = coshelf.open(path, flush_interval=1000)
    shelf["first"] = 1
    flush_all(shelf)
    shelf["a"] = 1
    assert waiting(shelf)
    del shelf
    collect()
    assert beside(path) == ["a.shelf"]
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf) == {"first": 1, "a": 1}


def test_an_end_without_any_notice_leaves_it_to_the_next_opener(crew: Crew, path: str) -> None:
    crew.run(WRITES, path, "os._exit")
    assert beside(path) == ["a.shelf", *sidecars(path)]
    descriptor = os.open(path, os.O_RDONLY)
    try:
        before = check_row(descriptor, path).sequence
        with coshelf.open(path) as shelf:
            assert dict(shelf) == {"a": 1, "b": [2]}
        assert check_row(descriptor, path).sequence > before
    finally:
        os.close(descriptor)
    assert beside(path) == ["a.shelf"]


def test_writeback_is_carried_too(crew: Crew, path: str) -> None:
    crew.run(
        """
        shelf = coshelf.open(path, writeback=True, flush_interval=1000)
        shelf["a"] = []
        shelf["a"].append(1)
        """,
        path,
    )
    assert beside(path) == ["a.shelf"]
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf) == {"a": [1]}


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_child_of_multiprocessing_need_not_close_either(crew: Crew, path: str, method: str) -> None:
    """It ends without what runs at exit, and its parent, who may never look again, does not know that it wrote."""
    crew.run(
        SCRIPTS / "child_of_multiprocessing.py",
        path,
        method,
    )
