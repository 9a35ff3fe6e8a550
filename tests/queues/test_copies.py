"""Queues and deques are kept by copies, backups, compaction and salvage. What is taken is available in a copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import coshelf
from coshelf.transfer import copy_entries

Shelf = coshelf.Shelf[Any, Any]
LARGE = "x" * 40_000
ARRAY = np.arange(300_000)


def fill(shelf: Shelf) -> None:
    shelf["entry"] = 1
    jobs, recent = shelf.queue("größe", attempts=1), shelf.deque("recent")
    jobs.put("fails", priority=-1)
    with pytest.raises(KeyError), jobs.take():
        raise KeyError("why")
    jobs.put_many(["a", LARGE, "c"])
    jobs.put("later", delay=1000)
    recent.extend(["a", LARGE, "c"])
    recent.rotate(1)


def compare(shelf: Shelf) -> None:
    jobs, recent = shelf.queue("größe", attempts=1), shelf.deque("recent")
    assert shelf["entry"] == 1
    assert list(recent) == ["c", "a", LARGE]
    assert [(item.value, item.error) for item in jobs.failed] == [("fails", "KeyError: 'why'")]
    assert len(jobs) == 4
    jobs.put("new")
    assert [jobs.get_nowait() for _ in range(4)] == ["a", LARGE, "c", "new"]
    assert len(jobs) == 1


def backed_up(source: Shelf, place: Path) -> Any:
    source.backup(place / "copy.shelf")
    return place / "copy.shelf"


def compacted(source: Shelf, place: Path) -> Any:
    source.compact()
    return source.name


def salvaged(source: Shelf, place: Path) -> Any:
    source.sync()
    shutil.copy(source.name, place / "left.shelf")
    coshelf.salvage(place / "left.shelf", place / "copy.shelf")
    return place / "copy.shelf"


def copied(source: Shelf, place: Path) -> Any:
    copy_entries(source, place / "copy.shelf")
    return place / "copy.shelf"


@pytest.mark.parametrize("way", [backed_up, compacted, salvaged, copied])
def test_items_are_kept(tmp_path: Path, way: Callable[[Shelf, Path], Any]) -> None:
    with coshelf.open(tmp_path / "a.shelf") as source:
        fill(source)
        made = way(source, tmp_path)
        if made != source.name:
            compare(source)
    with coshelf.open(made) as copy:
        compare(copy)


def test_what_is_taken_is_available_in_a_copy(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as source:
        jobs = source.queue("jobs")
        jobs.put("a")
        with jobs.take():
            source.backup(tmp_path / "copy.shelf")
        assert len(jobs) == 0
    with coshelf.open(tmp_path / "copy.shelf") as copy:
        taking = copy.queue("jobs").take(block=False)
        with taking as job:
            assert (job, taking.attempt) == ("a", 2)


def test_arrays_are_kept_by_a_backup(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as source:
        source.queue("jobs").put(ARRAY)
        source.deque("recent").append(ARRAY)
        source.backup(tmp_path / "copy.shelf")
    with coshelf.open(tmp_path / "copy.shelf") as copy:
        assert (copy.queue("jobs").get() == ARRAY).all()
        assert (copy.deque("recent").pop() == ARRAY).all()


@pytest.mark.parametrize("to", ["lmdb", "sqlite", "files"])
@pytest.mark.parametrize("target", ["lmdb", "mapping", "sqlite", "files"], indirect=True)
def test_items_are_copied_between_engines(shelf: Shelf, tmp_path: Path, to: str) -> None:
    fill(shelf)
    place = f"{to}:{tmp_path}/copy"
    copy_entries(shelf, place)
    with coshelf.open(place) as copy:
        compare(copy)
