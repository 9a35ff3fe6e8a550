"""The files engine where the system or the file system lacks a facility: it does without, or it refuses."""

from __future__ import annotations

import argparse
import errno
import os
import pickle
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import coshelf
from coshelf.engines.files import opening
from coshelf.errors import Unsupported
from coshelf.pickleshare import PickleShareDB
from coshelf.system.file_systems import attributes, directory_changes
from coshelf.system.files import directories

PATIENCE = 60.0


def refusing(number: int) -> Any:
    def refuse(*_: object, **__: object) -> Any:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.fixture(params=["no calls", errno.ENOTSUP, errno.ENOSYS, errno.EPERM])
def no_attributes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {} if request.param == "no calls" else dict.fromkeys(("getxattr", "setxattr"), refusing(request.param))
    monkeypatch.setattr(attributes, "os", SimpleNamespace(strerror=os.strerror, **calls))


@pytest.mark.usefixtures("no_attributes")
def test_shelf_without_attributes_is_trusted_by_its_maker(tmp_path: Path) -> None:
    with coshelf.open(f"files:{tmp_path}/db") as shelf:
        shelf["a"] = argparse.Namespace(a=1)  # which is no plain data
    with coshelf.open(f"files:{tmp_path}/db") as shelf:
        assert shelf["a"] == argparse.Namespace(a=1)
    assert PickleShareDB(tmp_path / "db").keys() == ["a"]
    (name,) = (name for name in os.listdir(tmp_path / "db/.coshelf") if name.startswith("store-"))

    (tmp_path / "db").rename(tmp_path / "moved")  # keeps the mark, as its inode stays
    (tmp_path / "copy").mkdir(0o700)
    (tmp_path / "copy/.coshelf" / name).mkdir(parents=True)
    (tmp_path / "copy/a").write_bytes(pickle.dumps(argparse.Namespace(a=1)))
    with coshelf.open(f"files:{tmp_path}/moved") as shelf:
        assert shelf["a"] == argparse.Namespace(a=1)
    with coshelf.open(f"files:{tmp_path}/copy") as shelf, pytest.raises(coshelf.UntrustedValue):
        shelf["a"]


@pytest.mark.usefixtures("no_attributes")
def test_directory_that_is_marked_again_has_one_id(tmp_path: Path) -> None:
    with coshelf.open(f"files:{tmp_path}/db", mode=0o660) as shelf:
        shelf[1] = "escaped"
        engine: Any = shelf._handle.engine
        engine.trust()
        engine.trust()
    assert len(list((tmp_path / "db/.coshelf").glob("store-*"))) == 1
    assert (tmp_path / "db/.coshelf").stat().st_mode & 0o777 == 0o770


def test_directory_of_another_program_is_not_taken_for_the_engines_own_when_it_is_marked(
    tmp_path: Path, no_attributes: None
) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db/notes.txt").write_text("not a pickle")
    with coshelf.open(f"files:{tmp_path}/db") as shelf:
        engine: Any = shelf._handle.engine
        engine.trust()
        assert engine.distrust() is None
        assert list(shelf) == []
    with pytest.raises(coshelf.NotAShelf, match="not made by coshelf"):
        coshelf.open(f"files:{tmp_path}/db", "n")
    assert (tmp_path / "db/notes.txt").read_text() == "not a pickle"


@pytest.fixture(params=["no inotify", "no /proc", errno.ENOSYS, errno.EPERM, errno.EMFILE])
def no_reports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no inotify":
        monkeypatch.setattr(directory_changes, "_inotify", lambda: None)
    elif request.param == "no /proc":
        monkeypatch.setattr(directory_changes, "exact_name", lambda _: None)
    else:
        monkeypatch.setattr(directory_changes, "_checked", refusing(request.param))


@pytest.mark.usefixtures("no_reports")
def test_changes_are_seen_without_reports_of_the_kernel(tmp_path: Path) -> None:
    with coshelf.open(f"files:{tmp_path}/db") as shelf, coshelf.open(f"files:{tmp_path}/db") as other:
        watch = shelf.watch()
        writer = threading.Thread(target=other.__setitem__, args=("b/a", 1))
        writer.start()
        assert shelf.wait("b/a", timeout=PATIENCE) == 1
        writer.join()
        change = watch.next(timeout=PATIENCE)
        assert change is not None
        assert change.key == "b/a"
        watch.close()


def test_directory_without_descriptors_is_refused_and_none_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "can_descend", False)
    for target in (f"files:{tmp_path}/db", f"{tmp_path}/db/"):
        with pytest.raises(Unsupported, match="the files engine needs POSIX"):
            coshelf.open(target)
    with pytest.raises(Unsupported, match="the files engine needs POSIX"):
        PickleShareDB(tmp_path / "db")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_file_system_without_locks_refuses_changes_and_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with coshelf.open(f"files:{tmp_path}/db") as shelf:
        shelf["a"] = 1
    monkeypatch.setattr("coshelf.system.locks.flock.fcntl.flock", refusing(number))
    with coshelf.open(f"files:{tmp_path}/db") as shelf:
        with pytest.raises(coshelf.CoshelfError, match=r"cannot (be locked|lock)"):
            shelf["a"] = 2
        assert shelf["a"] == 1


def test_keys_are_found_where_access_is_not_told_for_the_effective_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directories, "_has_effective_access", False)
    with coshelf.open(f"files:{tmp_path}/db") as shelf:
        assert "no/path/" not in shelf
        shelf["no/path/"] = shelf["path"] = 1
        assert dict(shelf) == {"no/path/": 1, "path": 1}
