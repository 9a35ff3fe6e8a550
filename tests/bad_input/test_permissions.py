"""Rights that are missing: a clear error, or reading without a trace."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "permissions"

ENTRIES = {n: [n, "x" * n] for n in range(50)}

_OPEN = SCRIPTS / "opens_with_rights.py"

_READ = SCRIPTS / "reads_with_rights.py"


@pytest.fixture
def path(place: Path) -> Path:
    """A closed shelf in a directory that everybody can reach."""
    with coshelf.open(place / "my.shelf") as shelf:
        shelf.update(ENTRIES)
    return place / "my.shelf"


@pytest.mark.parametrize("flag", ["r", "w", "c", "n"])
def test_file_without_any_rights_is_a_permission_error(flag: str, path: Path, powerless: Any, unchanged: Any) -> None:
    path.chmod(0)
    with unchanged(path.parent):
        powerless(_OPEN, path, flag, "ShelfPermissionError", path, "read" if flag == "r" else "write")


@pytest.mark.parametrize("flag", ["w", "c", "n"])
def test_file_that_may_only_be_read_is_a_permission_error_for_writers(
    flag: str, path: Path, powerless: Any, unchanged: Any
) -> None:
    path.chmod(0o444)
    with unchanged(path.parent):
        powerless(_OPEN, path, flag, "ShelfPermissionError", path, "write")


@pytest.mark.parametrize("flag", ["w", "c", "n"])
def test_writing_needs_the_directory_for_the_sidecars(flag: str, path: Path, powerless: Any, unchanged: Any) -> None:
    path.chmod(0o666)
    path.parent.chmod(0o555)
    with unchanged(path.parent):
        powerless(_OPEN, path, flag, "ShelfPermissionError", path, "beside the shelf")


@pytest.mark.parametrize("flag", ["c", "n"])
def test_making_a_shelf_in_a_directory_that_may_not_be_written(
    flag: str, path: Path, powerless: Any, unchanged: Any
) -> None:
    path.parent.chmod(0o555)
    with unchanged(path.parent):
        powerless(_OPEN, path.parent / "new.shelf", flag, "ShelfPermissionError", path.parent / "new.shelf", "create")


@pytest.mark.parametrize("flag", ["r", "w", "c", "n"])
def test_directory_that_may_not_be_entered(flag: str, path: Path, powerless: Any, unchanged: Any) -> None:
    (path.parent / "closed").mkdir(mode=0o700)
    path.rename(path.parent / "closed" / "my.shelf")
    (path.parent / "closed").chmod(0)
    try:
        inside = path.parent / "closed" / "my.shelf"
        powerless(_OPEN, inside, flag, "ShelfPermissionError", inside)
    finally:
        (path.parent / "closed").chmod(0o700)


@pytest.mark.parametrize("mode", [0o444, 0o644])
def test_reading_in_a_read_only_directory_leaves_no_trace(
    mode: int, path: Path, powerless: Any, unchanged: Any
) -> None:
    path.chmod(mode)
    path.parent.chmod(0o555)
    with unchanged(path.parent):
        powerless(_READ, path)


def test_reading_another_users_closed_shelf_leaves_no_trace(path: Path, another_user: Any, unchanged: Any) -> None:
    path.chmod(0o644)
    with unchanged(path.parent):
        another_user(_READ, path)


def test_reading_another_users_shelf_in_ones_own_directory_leaves_no_trace(
    path: Path, another_user: Any, unchanged: Any
) -> None:
    path.chmod(0o644)
    path.parent.chmod(0o777)
    with unchanged(path.parent):
        another_user(_READ, path)


@pytest.mark.parametrize("flag", ["w", "c", "n"])
def test_sidecar_that_may_not_be_written_is_named(flag: str, path: Path, another_user: Any, unchanged: Any) -> None:
    path.chmod(0o666)
    path.parent.chmod(0o777)
    with coshelf.open(path):
        for name in (".my.shelf.coshelf/base-lock", ".my.shelf.coshelf/state"):
            (path.parent / name).chmod(0o644)
        with unchanged(path.parent):
            another_user(_OPEN, path, flag, "ShelfPermissionError", path, "sidecar")


def test_reader_whose_sidecar_may_not_be_written_reads_without_locks(
    path: Path, another_user: Any, unchanged: Any
) -> None:
    path.chmod(0o666)
    with coshelf.open(path):
        for name in (".my.shelf.coshelf/base-lock", ".my.shelf.coshelf/state"):
            (path.parent / name).chmod(0o644)
        with unchanged(path.parent):
            another_user(_READ, path)


@pytest.mark.parametrize("flag", ["r", "w"])
def test_lock_file_alone_that_may_not_be_written_is_a_permission_error(
    flag: str, path: Path, another_user: Any, unchanged: Any
) -> None:
    path.chmod(0o666)
    with coshelf.open(path):
        (path.parent / ".my.shelf.coshelf/base-lock").chmod(0)
        with unchanged(path.parent):
            if flag == "r":
                another_user(_READ, path)
            else:
                another_user(_OPEN, path, flag, "ShelfPermissionError", path)


_READ_WHILE_WRITTEN = SCRIPTS / "reads_while_written.py"


def test_reader_without_locks_sees_right_values_while_the_owner_writes(path: Path, another_user: Any) -> None:
    import threading

    path.chmod(0o644)
    with coshelf.open(path, "n", durability="commit") as shelf:  # such a reader sees the base alone
        shelf.update({n: (n, 1, "x") for n in range(100)} | {"count": 0})
        beside = set(os.listdir(path.parent))
        done = threading.Event()
        committed = 0

        def write() -> None:
            nonlocal committed
            while not done.is_set():
                committed += 1
                size = committed * 37 % 900
                shelf.update({n: (n, size, "x" * size) for n in range(100)} | {"count": committed})

        writer = threading.Thread(target=write)
        writer.start()
        try:
            another_user(_READ_WHILE_WRITTEN, path, 150)
        finally:
            done.set()
            writer.join()
        assert set(os.listdir(path.parent)) == beside
        assert committed > 10
        assert shelf["count"] == committed
    assert os.listdir(path.parent) == ["my.shelf"]


def test_read_only_mount_is_read_without_a_trace(path: Path, mounted: Any, unchanged: Any) -> None:
    place = mounted("--bind", "-o", "ro", path.parent)
    try:
        (place / "probe").touch()
    except OSError:
        pass
    else:  # an old mount, which ignores ro with bind
        (place / "probe").unlink()
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
    with unchanged(place), coshelf.open(place / "my.shelf", "r") as shelf:
        assert dict(shelf) == ENTRIES
        with pytest.raises(coshelf.ReadOnlyShelf, match=r"my\.shelf"):
            shelf[1] = 1
    for flag in ("w", "c", "n"):
        with unchanged(place), pytest.raises(coshelf.ShelfPermissionError, match=r"my\.shelf"):
            coshelf.open(place / "my.shelf", flag)
    for flag in ("c", "n"):
        with unchanged(place), pytest.raises(coshelf.ShelfPermissionError, match=r"new\.shelf"):
            coshelf.open(place / "new.shelf", flag)


def test_reader_registers_where_it_may(path: Path) -> None:
    """Flag "r" never writes the file, but keeps what it reads from being overwritten."""
    before = path.read_bytes()
    with coshelf.open(path, "r") as shelf:
        assert {"base-lock", "state"} <= set(os.listdir(path.parent / ".my.shelf.coshelf"))
        assert shelf[7] == ENTRIES[7]
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["my.shelf"]


def test_sidecars_have_mode_and_owner_of_the_file(path: Path, another_user: Any) -> None:
    path.chmod(0o640)
    os.chown(path, 65534, 65534)
    with coshelf.open(path):
        for name in (".my.shelf.coshelf/base-lock", ".my.shelf.coshelf/state"):
            status = (path.parent / name).stat()
            assert stat.S_IMODE(status.st_mode) == 0o640
            assert (status.st_uid, status.st_gid) == (65534, 65534)
        another_user("import coshelf, sys; coshelf.open(sys.argv[1])['new'] = 1", path)
    assert sys.modules
