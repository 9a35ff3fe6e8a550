"""The delta is made by the first commit, so that opening, reading and closing cost nothing of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from insides import base_row, environment_of, flush_all
from support import Crew, Worker, beside

import coshelf
from coshelf.engines.lmdb.delta import deltas as deltas_module
from coshelf.engines.lmdb.files.sidecar_directory import delta_path

SCRIPTS = Path(__file__).parent / "scripts" / "made_late"

NOT_WRITTEN = [".a.shelf.coshelf/base-lock", ".a.shelf.coshelf/state"]


def test_reading_and_closing_makes_none(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"a": 1} and "b" not in shelf
        with shelf.snapshot() as snapshot:
            assert len(snapshot) == 1
        shelf.sync()
        assert shelf.stats().entries == 1
        assert not list(shelf.check().problems)
        with shelf.transaction() as t:
            assert t["a"] == 1
        assert beside(path) == ["a.shelf", *NOT_WRITTEN]
    assert beside(path) == ["a.shelf"]


@pytest.mark.parametrize("first", ["one", "batch", "large", "deletion", "transaction", "modify"])
def test_another_process_sees_what_the_first_commit_of_any_kind_brings(crew: Crew, path: str, first: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["old"] = 1
    reader = crew.start(
        SCRIPTS / "reads_early.py",
        path,
    )
    assert reader.hear() == "['old']"
    with coshelf.open(path, flush_interval=1000) as shelf:
        number = base_row(shelf).sequence
        match first:
            case "one":
                shelf["new"] = 1
            case "batch":
                shelf.update(new=1)
            case "large":
                shelf.update({"new": 1} | {f"new{n}": n for n in range(2000)})
            case "deletion":
                del shelf["old"]
            case "transaction":
                with shelf.transaction() as t:
                    t["new"] = 1
            case "modify":
                shelf.modify("new", lambda value: value + 1, default=0)
        assert environment_of(shelf).page.delta.is_made
        reader.tell()
        if first == "deletion":
            assert reader.hear() == "[] None None"
        elif first == "large":
            assert reader.hear() == "['new', 'new0', 'new1'] 1 1"
        else:
            assert reader.hear() == "['new', 'old'] 1 1"
        flush_all(shelf)
        assert base_row(shelf).sequence == number + 1
    reader.finish()
    assert beside(path) == ["a.shelf"]


def test_of_processes_that_commit_first_at_the_same_time_one_makes_it(crew: Crew, path: str) -> None:
    for turn in range(5):
        with coshelf.open(path) as keeper:
            workers = crew.start_many(
                4,
                SCRIPTS / "commits_first.py",
                path,
                turn,
            )
            for worker in workers:
                worker.finish()
            assert keeper["count"] == 80 * (turn + 1)
            assert len(keeper) == 80 * (turn + 1) + 1
    assert beside(path) == ["a.shelf"]


def test_of_threads_that_commit_first_at_the_same_time_one_makes_it(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "threads_commit_first.py",
        path,
    )


@pytest.mark.parametrize("place", ["delta-made", "delta-published"])
def test_killed_while_it_makes_it_a_process_leaves_the_others_able_to_commit(
    path: str, armed: Callable[..., Worker], place: str
) -> None:
    with coshelf.open(path) as shelf:
        shelf["old"] = 1
    with coshelf.open(path) as holder:
        victim = armed(f"{place}=kill", 'coshelf.open(path)["new"] = 1', path)
        victim.finish(-signal.SIGKILL)
        assert dict(holder) == {"old": 1}
        holder["other"] = 2
        assert dict(holder) == {"old": 1, "other": 2}
    assert beside(path) == ["a.shelf"]
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"old": 1, "other": 2}
    victim = armed(f"{place}=kill", 'coshelf.open(path)["new"] = 1', path)
    victim.finish(-signal.SIGKILL)
    with coshelf.open(path) as shelf:
        shelf["more"] = 3
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf) == {"old": 1, "other": 2, "more": 3}
    assert beside(path) == ["a.shelf"]


def test_a_handler_that_writes_while_it_is_made_is_refused_or_succeeds(crew: Crew, path: str) -> None:
    """And the interrupted commit, and those that follow, are there."""
    crew.run(
        SCRIPTS / "handler_that_writes.py",
        path,
    )


def test_a_child_forked_before_the_first_commit_makes_it_for_both(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "child_before_the_first_commit.py",
        path,
    )
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf) == {"child": 1, "parent": 2}


def test_where_there_is_no_space_for_it_commits_are_durable_at_once(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with coshelf.open(path, flush_interval=1000) as shelf:
        with monkeypatch.context() as patch:
            patch.setattr(deltas_module, "make_delta_files", no_space)
            shelf["a"] = 1
            assert base_row(shelf).sequence == environment_of(shelf).flusher.flush()
            assert not os.path.exists(delta_path(path, 0))
            shelf.update({n: n for n in range(1500)})
            with shelf.transaction() as t:
                t["b"] = t["a"] + 1
        shelf["c"] = 3
        assert os.path.exists(delta_path(path, 0))
        assert (shelf["a"], shelf["b"], shelf["c"], len(shelf)) == (1, 2, 3, 1503)
        flush_all(shelf)


def no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_shelf_that_was_made_smaller_before_the_first_commit_gets_one(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf.update(dict.fromkeys(range(500), "x" * 1000))
        shelf.clear()
        shelf.compact()
        assert beside(path) == ["a.shelf", *NOT_WRITTEN]
        shelf["a"] = 1
        assert dict(shelf) == {"a": 1}
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"a": 1}
