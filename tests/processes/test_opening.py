"""Opening and closing by many processes at once, what lies beside the file, and other names for it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support import Crew, beside, sidecars

import coshelf
from coshelf.errors import OpenUnderAnotherName

SCRIPTS = Path(__file__).parent / "scripts" / "opening"


def test_a_hundred_processes_make_one_new_shelf(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "hundred_processes.py",
        path,
    )


def test_many_new_shelves_are_made_by_many_at_once(crew: Crew, path: str) -> None:
    """Each round a new name: the making itself is raced for, some hundred times."""
    workers = crew.start_many(
        6,
        SCRIPTS / "many_new_shelves.py",
        path,
    )
    for worker in workers:
        worker.finish()
    assert beside(path) == sorted(["a.shelf", *(f"a.shelf.{turn}" for turn in range(60))])
    for turn in range(60):
        with coshelf.open(f"{path}.{turn}") as shelf:
            assert dict(shelf) == dict.fromkeys(range(6), turn)


def test_a_file_in_the_making_that_another_takes_for_a_leftover_is_made_again(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "taken_for_a_leftover.py",
        path,
    )


@pytest.mark.parametrize("turns", [50, pytest.param(250, marks=pytest.mark.long)])
def test_opening_and_closing_in_a_tight_loop_by_six_processes_never_fails(crew: Crew, path: str, turns: int) -> None:
    workers = crew.start_many(
        6,
        SCRIPTS / "tight_loop.py",
        path,
        turns,
    )
    for worker in workers:
        worker.finish()
    assert beside(path) == ["a.shelf"]
    with coshelf.open(path) as shelf:
        assert dict(shelf) == dict.fromkeys(range(6), turns - 5)


def test_readers_and_writers_may_come_and_go(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["n"] = 0
    workers = [
        crew.start(
            SCRIPTS / "come_and_go.py",
            path,
            flag,
        )
        for flag in "rrww"
    ]
    for worker in workers:
        worker.finish()
    with coshelf.open(path) as shelf:
        assert shelf["n"] == 300
    assert beside(path) == ["a.shelf"]


def test_only_the_file_is_left_after_the_last_clean_close_and_can_be_copied(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        assert beside(path) == ["a.shelf", *(name for name in sidecars(path) if "delta" not in name)]
        crew.run("with coshelf.open(path) as shelf: shelf['child'] = 1", path)
        assert beside(path) == ["a.shelf", *sidecars(path)]
        shelf["mine"] = 2
    assert beside(path) == ["a.shelf"]
    copy = path + ".copy"
    shutil.copy(path, copy)
    with coshelf.open(path) as shelf, coshelf.open(copy) as other:
        assert dict(other) == dict(shelf) == {"child": 1, "mine": 2}
        other["mine"] = 3
        assert shelf["mine"] == 2


def test_a_shelf_that_nobody_closed_is_closed_at_the_end_of_the_program(crew: Crew, path: str) -> None:
    crew.run("shelf = coshelf.open(path); shelf['a'] = 1", path)
    assert beside(path) == ["a.shelf"]
    crew.run("coshelf.open(path)['a'] = 2; keep = coshelf.open(path).snapshot()", path)
    assert beside(path) == ["a.shelf"]


@pytest.mark.parametrize("before", ["nothing before", "finalized before"])
def test_the_end_of_the_program_writes_back(crew: Crew, path: str, before: str) -> None:
    """Whatever else is to be done at the end: what was registered before would otherwise run after us."""
    crew.run(SCRIPTS / "written_back_at_the_end.py", path, before)
    with coshelf.open(path) as shelf:
        assert shelf["a"] == [1]


def test_a_crash_leaves_sidecars_and_the_next_open_works(crew: Crew, path: str) -> None:
    victim = crew.start(
        SCRIPTS / "crash.py",
        path,
    )
    victim.expect("open")
    victim.kill()
    assert beside(path) == ["a.shelf", *sidecars(path)]
    with coshelf.open(path, timeout=60) as shelf:
        assert dict(shelf) == {"a": 1}
        shelf["a"] = 2
    assert beside(path) == ["a.shelf"]


def test_sidecars_of_another_boot_or_another_file_do_no_harm(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
    for name in [path.removesuffix("a.shelf") + name for name in sidecars(path)]:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"\xff" * 8192)
    with coshelf.open(path, timeout=60) as shelf:
        assert dict(shelf) == {"a": 1}
        shelf["a"] = 2
    assert beside(path) == ["a.shelf"]


# --- other names -----------------------------------------------------------------------------------------------------

OPEN_ELSEWHERE = SCRIPTS / "open_elsewhere.py"


def test_a_symbolic_link_is_the_same_shelf(crew: Crew, path: str) -> None:
    directory = os.path.join(os.path.dirname(path), "elsewhere")
    os.mkdir(directory)
    link = os.path.join(directory, "link.shelf")
    os.symlink(path, link)
    other = crew.start(OPEN_ELSEWHERE, path)
    other.expect("open")
    with coshelf.open(link, timeout=60) as shelf:
        assert shelf["a"] == 1
        with coshelf.open(path) as same:
            same["b"] = 1
            assert shelf["b"] == 1
        shelf["b"] = 2
        assert os.listdir(directory) == ["link.shelf"]
        other.tell()
        other.finish()
        assert shelf["a"] == 2
    assert beside(path) == ["a.shelf", "elsewhere"]


@pytest.mark.parametrize("flag", ["r", "w", "c", "n"])
def test_a_hard_link_to_an_open_shelf_is_refused(crew: Crew, path: str, flag: str) -> None:
    other = crew.start(OPEN_ELSEWHERE, path)
    other.expect("open")
    os.link(path, path + ".hard")
    with pytest.raises(OpenUnderAnotherName):
        coshelf.open(path + ".hard", flag, timeout=0.05)
    other.tell()
    other.finish()
    # Nobody has it open: then it may be.
    with coshelf.open(path + ".hard", flag.replace("n", "c"), timeout=60) as shelf:
        assert dict(shelf) == {"a": 2}
    assert beside(path) == ["a.shelf", "a.shelf.hard"]


def test_a_hard_link_in_the_same_process_is_refused(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
        os.link(path, path + ".hard")
        with pytest.raises(OpenUnderAnotherName):
            coshelf.open(path + ".hard")
        shelf["a"] = 2
    assert beside(path) == ["a.shelf", "a.shelf.hard"]


def test_a_shelf_that_was_renamed_while_open_is_refused_by_its_new_name(crew: Crew, path: str) -> None:
    other = crew.start(OPEN_ELSEWHERE, path)
    other.expect("open")
    os.rename(path, path + ".renamed")
    with pytest.raises(OpenUnderAnotherName):
        coshelf.open(path + ".renamed", timeout=0.05)
    os.rename(path + ".renamed", path)
    with coshelf.open(path, timeout=60) as shelf:
        shelf["b"] = 1
    other.tell()
    other.finish()
    assert beside(path) == ["a.shelf"]


def test_a_file_renamed_onto_an_open_shelf_is_another_shelf(crew: Crew, path: str) -> None:
    with coshelf.open(path + ".new") as shelf:
        shelf["new"] = True
    other = crew.start(
        SCRIPTS / "renamed_onto.py",
        path,
    )
    other.expect("open")
    os.rename(path + ".new", path)
    with coshelf.open(path, timeout=60) as shelf:
        shelf["b"] = 1
        other.tell()
        assert other.finish() == ["gone"]
        assert dict(shelf) == {"new": True, "b": 1}
        with coshelf.open(path) as again:
            again["c"] = 1
    crew.run("with coshelf.open(path) as shelf: assert dict(shelf) == {'new': True, 'b': 1, 'c': 1}", path)
    assert beside(path) == ["a.shelf"]


def test_a_deleted_shelf_and_a_new_one_at_its_path_do_not_disturb_each_other(crew: Crew, path: str) -> None:
    old = crew.start(
        SCRIPTS / "deleted_and_new.py",
        path,
    )
    old.expect("open")
    os.unlink(path)
    with coshelf.open(path, timeout=60) as shelf:
        shelf["new"] = 1
        with shelf.transaction() as t:  # two locks, not one
            t["newer"] = 2
            old.tell()
            old.finish()
        crew.run("with coshelf.open(path) as shelf: shelf['newest'] = 3", path)
        assert dict(shelf) == {"new": 1, "newer": 2, "newest": 3}
    assert beside(path) == ["a.shelf"]


def test_in_one_process_a_new_shelf_waits_for_the_deleted_one_to_be_closed(crew: Crew, path: str) -> None:
    old = coshelf.open(path, timeout=1)
    old["old"] = 1
    os.unlink(path)
    with pytest.raises(coshelf.ShelfGone):
        coshelf.open(path, timeout=1)
    assert dict(old) == {"old": 1}
    with pytest.raises(coshelf.ShelfGone):
        old.close()
    with coshelf.open(path, timeout=60) as new:
        new["new"] = 1
        assert dict(new) == {"new": 1}
        crew.run("with coshelf.open(path) as shelf: shelf['other'] = 3", path)
        assert dict(new) == {"new": 1, "other": 3}
    assert beside(path) == ["a.shelf"]
