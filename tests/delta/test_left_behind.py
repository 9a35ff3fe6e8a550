"""What stays after SIGKILL: adopted by the next opener if it belongs to the shelf as it is, replaced if not."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from insides import base_row, environment_of, is_clean, until, waiting
from support import Crew, Worker, beside, sidecars

import coshelf
from coshelf.engines.lmdb.delta.state import DeltaState
from coshelf.engines.lmdb.files.sidecar_directory import delta_path, sidecar_directory, state_path
from coshelf.engines.lmdb.shelf_row import check_row
from coshelf.system.processes import boot

SCRIPTS = Path(__file__).parent / "scripts" / "left_behind"

VICTIM = SCRIPTS / "victim.py"
BASE = {"kept": 1, "gone": 1}
WHOLE = {"kept": 1, "waiting": 2, "x" * 600: 3}


@pytest.fixture
def left(crew: Crew, path: str) -> str:
    """The path of a shelf whose only process was killed."""
    victim = crew.start(VICTIM, path)
    victim.expect("waiting")
    victim.kill()
    assert beside(path) == ["a.shelf", *sidecars(path)]
    return path


def sequence_of_base(path: str) -> int:
    """Of a shelf that this process has not open."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return check_row(descriptor, path).sequence
    finally:
        os.close(descriptor)


def overwrite(name: str, content: bytes) -> None:
    with open(name, "r+b") as file:
        file.write(content)


def replace_by_link(name: str) -> None:
    os.unlink(name)
    os.symlink("/dev/null", name)


def change_state_page(path: str, change: Callable[[DeltaState], None]) -> None:
    with open(state_path(path), "r+b") as file:
        page = bytearray(file.read())
        change(DeltaState(page))
        file.seek(0)
        file.write(page)


def in_state_page(change: Callable[[DeltaState], None]) -> Callable[[str], None]:
    return lambda path: change_state_page(path, change)


def change_identity(**fields: Any) -> Callable[[str], None]:
    return in_state_page(lambda state: state.set_identity(state.identity()._replace(**fields)))


def check(path: str, expected: dict[str, int]) -> None:
    """It opens, has this and nothing else, works, and nothing is left in the end."""
    with coshelf.open(path, timeout=60) as shelf:
        assert dict(shelf) == expected
        assert len(shelf) == len(expected)
        shelf["new"] = 4
        shelf.sync()
        assert dict(shelf) == expected | {"new": 4}
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf) == expected | {"new": 4}
    assert beside(path) == ["a.shelf"]


@pytest.mark.usefixtures("each_kind")
def test_the_next_opener_adopts_it(left: str) -> None:
    assert len(WHOLE) == 3
    check(left, WHOLE)


@pytest.mark.parametrize("flag", ["r", "w", "c"])
def test_whatever_the_flag_of_the_next_opener_it_sees_everything(left: str, flag: coshelf.Flag) -> None:
    with coshelf.open(left, flag) as shelf:
        assert dict(shelf) == WHOLE
    check(left, WHOLE)


def test_who_opens_it_flushes_it_though_it_never_reads(left: str) -> None:
    """From then on it is safe from power loss."""
    with coshelf.open(left) as shelf:
        until(lambda: is_clean(shelf))
        assert not waiting(shelf)


def test_killed_again_and_again_before_a_flush_everything_adds_up(crew: Crew, left: str) -> None:
    before = sequence_of_base(left)
    expected: dict[object, int] = dict(WHOLE)
    for turn in range(3):
        victim = crew.start(
            SCRIPTS / "killed_again.py",
            left,
            turn,
        )
        victim.expect("done")
        victim.kill()
        expected["turn", turn] = 1
    assert sequence_of_base(left) == before
    with coshelf.open(left, "r") as shelf:
        assert dict(shelf) == expected


DOES_NOT_BELONG: dict[str, Callable[[str], None]] = {
    "another boot": change_identity(boot=b"another boot's id"[:16]),
    "another shelf": change_identity(store_id=bytes(16)),
    "another inode": change_identity(inode=1),
    "another device": change_identity(device=1),
    "a kind that there is not": change_identity(kind=7),
    "no delta": change_identity(kind=0),
    "another generation": change_identity(generation=5),
    "another state of the base": in_state_page(lambda state: state.announce(b"1" * 16, b"2" * 16)),
    "the delta is gone": lambda path: os.unlink(delta_path(path, 0)),
    "a link in its place": lambda path: replace_by_link(delta_path(path, 0)),
    "a truncated state page": lambda path: os.truncate(state_path(path), 300),
    "an empty state page": lambda path: os.truncate(state_path(path), 0),
    "no state page": lambda path: os.unlink(state_path(path)),
    "garbage in the place of the state page": lambda path: overwrite(state_path(path), b"\xa7" * 4096),
    "garbage behind its head": in_state_page(lambda state: state.page.__setitem__(slice(64, 4096), b"\xa7" * 4032)),
}  # fmt: skip


@pytest.mark.usefixtures("each_kind")
@pytest.mark.parametrize("what", DOES_NOT_BELONG)
def test_what_does_not_belong_is_replaced_and_the_base_is_the_shelf(left: str, what: str) -> None:
    DOES_NOT_BELONG[what](left)
    check(left, BASE)


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("sidecar", ["delta-lock", "base-lock"])
@pytest.mark.parametrize("damage", ["gone", "empty", "garbage"])
def test_lock_files_of_base_and_table_are_made_anew_and_nothing_is_lost(left: str, sidecar: str, damage: str) -> None:
    lock = os.path.join(sidecar_directory(left), sidecar)
    os.unlink(lock)
    if damage != "gone":
        with open(lock, "wb") as file:
            file.write(b"\xa7" * 10_000 if damage == "garbage" else b"")
    check(left, WHOLE)


def test_a_base_overwritten_in_place_by_an_older_copy_disowns_the_delta(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["old"] = 1
    shutil.copyfile(path, path + ".copy")
    victim = crew.start(VICTIM, path)
    victim.expect("waiting")
    victim.kill()
    os.truncate(path, os.path.getsize(path + ".copy"))
    with open(path + ".copy", "rb") as copy, open(path, "r+b") as file:  # the same inode
        file.write(copy.read())
    os.unlink(path + ".copy")
    check(path, {"old": 1})


def test_copied_along_with_the_delta_the_copy_is_the_base_alone(left: str) -> None:
    folder = os.path.dirname(left)
    copied = folder + "-copied"
    shutil.copytree(folder, copied)
    try:
        check(os.path.join(copied, "a.shelf"), BASE)
    finally:
        shutil.rmtree(copied)
    check(left, WHOLE)


def test_a_folder_renamed_with_all_its_files_is_the_whole_shelf(left: str) -> None:
    folder = os.path.dirname(left)
    os.rename(folder, folder + "-renamed")
    try:
        check(os.path.join(folder + "-renamed", "a.shelf"), WHOLE)
    finally:
        os.rename(folder + "-renamed", folder)


def test_another_file_renamed_onto_the_shelf_disowns_the_delta(left: str, tmp_path: object) -> None:
    other = f"{left}.other"
    with coshelf.open(other) as shelf:
        shelf["other"] = 1
    os.rename(other, left)
    check(left, {"other": 1})


def test_a_real_reboot_is_another_boot_id(left: str) -> None:
    """As the next opener sees it after one: what the kernel says has changed, not the state page."""
    with open(left + ".boot", "w") as file:
        file.write("01234567-89ab-cdef-0123-456789abcdef\n")
    subprocess.run([sys.executable, SCRIPTS / "after_a_reboot.py", left, left + ".boot", *sorted(BASE)], check=True)
    os.unlink(left + ".boot")
    check(left, BASE)


@pytest.mark.parametrize("content", [b"", b"\n", b"no hexadecimal\n"])
def test_a_boot_id_that_says_nothing_is_none(tmp_path: object, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    name = f"{tmp_path}/boot_id"
    with open(name, "wb") as file:
        file.write(content)
    monkeypatch.setattr(boot, "_BOOT_ID", name)
    assert boot.boot_id() is None


READ = SCRIPTS / "reads.py"


@pytest.mark.usefixtures("each_kind")
@pytest.mark.parametrize("size", [0, 4096, 8192])
def test_a_delta_that_was_cut_is_an_error_and_nothing_is_written_over(left: str, size: int) -> None:
    """Never a crash, and never a commit whose number the base has already."""
    os.truncate(delta_path(left, 0), size)
    done = subprocess.run([sys.executable, READ, left], capture_output=True, text=True)
    assert done.returncode == 3, done
    os.unlink(delta_path(left, 0))  # the way out: without it the base is the shelf
    check(left, BASE)


@pytest.mark.usefixtures("each_kind")
def test_a_delta_that_was_cut_behind_its_rows_loses_nothing_that_nobody_is_told_of(left: str) -> None:
    """The rows can be read, and flushed, but the delta cannot be emptied: in the background, or when closing."""
    os.truncate(delta_path(left, 0), 20_000)
    done = subprocess.run([sys.executable, READ, left], capture_output=True, text=True)
    assert done.returncode in (0, 3), done
    with contextlib.suppress(FileNotFoundError):
        os.unlink(delta_path(left, 0))
    with coshelf.open(left, "r") as shelf:
        found = dict(shelf)
    assert found == WHOLE or (found == BASE and done.returncode == 3)
    check(left, found)


@pytest.mark.usefixtures("each_kind")
def test_a_cleaned_delta_that_was_emptied_is_an_error_too(crew: Crew, path: str) -> None:
    victim = crew.start(VICTIM, path)
    victim.expect("waiting")
    victim.tell()
    victim.expect("synced")
    victim.kill()
    os.truncate(delta_path(path, 0), 0)
    with pytest.raises(
        coshelf.DamagedShelf, match=r"the base has commits that it never had|this size is not that of the log"
    ):
        coshelf.open(path)


def test_an_opener_that_comes_while_a_holder_lives_takes_the_delta_as_it_is(crew: Crew, path: str) -> None:
    first = crew.start(VICTIM, path)
    first.expect("waiting")
    with coshelf.open(path, "r") as shelf:
        before = base_row(shelf)
        first.kill()
        with coshelf.open(path, "r") as again:
            assert dict(shelf) == dict(again) == WHOLE
        assert base_row(shelf) == before
        assert not environment_of(shelf).may_write
    check(path, WHOLE)


@pytest.mark.parametrize(
    "place", ["flush-locked", "flush-copied", "flush-committed", "empty-begun", "empty-done", "flush-done"]
)
def test_an_older_base_put_back_after_a_death_in_a_flush_is_a_state_that_was(
    path: str, armed: Callable[..., Worker], place: str
) -> None:
    victim = armed(
        f"{place}=kill@1000",
        SCRIPTS / "died_in_a_flush.py",
        path,
        place,
    )
    victim.finish(-signal.SIGKILL)
    with open(path + ".copy", "rb") as copy:
        older = copy.read()
    os.unlink(path + ".copy")
    os.truncate(path, len(older))
    overwrite(path, older)
    with coshelf.open(path, "r") as shelf:
        found = dict(shelf)
    assert found in ({"a": 1, "gone": 1}, {"a": 1, "b": 2})
    check(path, found)
