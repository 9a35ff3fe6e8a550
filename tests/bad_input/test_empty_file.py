"""An empty file, as ``NamedTemporaryFile`` leaves one, is a fresh start for flag "n", if it is this user's."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "empty_file"

SCHEMES = ["", "sqlite:"]
each_engine = pytest.mark.parametrize("scheme", SCHEMES)


@each_engine
@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_temporary_file_becomes_a_shelf_with_its_permission_bits(scheme: str, mode: int) -> None:
    with tempfile.NamedTemporaryFile() as file:
        os.chmod(file.name, mode)
        with coshelf.open(scheme + file.name, "n") as shelf:
            shelf["a"] = {1}
            assert shelf.info().trusted
        with coshelf.open(scheme + file.name) as shelf:
            assert dict(shelf) == {"a": {1}}
        assert stat.S_IMODE(os.stat(file.name).st_mode) == mode


@each_engine
def test_empty_file_behind_a_link_becomes_a_shelf_and_the_link_stays(scheme: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    with coshelf.open(f"{scheme}{tmp_path}/link", "n") as shelf:
        shelf["a"] = 1
    assert (tmp_path / "link").is_symlink()
    with coshelf.open(f"{scheme}{tmp_path}/file", "r") as shelf:
        assert dict(shelf) == {"a": 1}


@each_engine
@pytest.mark.parametrize("flag", ["r", "w", "c"])
def test_other_flags_refuse_it(scheme: str, flag: Any, tmp_path: Path, unchanged: Any) -> None:
    (tmp_path / "file").touch()
    with unchanged(tmp_path), pytest.raises(coshelf.NotAShelf):
        coshelf.open(f"{scheme}{tmp_path}/file", flag)


@each_engine
def test_empty_file_with_a_second_name_is_refused(scheme: str, tmp_path: Path, unchanged: Any) -> None:
    """Its other name would lead to the empty file still."""
    (tmp_path / "file").touch()
    (tmp_path / "other").hardlink_to(tmp_path / "file")
    with unchanged(tmp_path), pytest.raises(coshelf.NotAShelf):
        coshelf.open(f"{scheme}{tmp_path}/file", "n")


@each_engine
def test_empty_file_of_another_user_is_refused(scheme: str, place: Path, another_user: Any) -> None:
    (place / "file").touch(mode=0o666)
    (place / "file").chmod(0o666)
    place.chmod(0o777)
    code = SCRIPTS / "refused.py"
    assert another_user(code, f"{scheme}{place}/file").stdout == "refused\n"
    assert (place / "file").stat().st_size == 0


@each_engine
def test_many_processes_that_take_it_at_once_have_one_shelf(scheme: str, tmp_path: Path) -> None:
    code = SCRIPTS / "takes_it.py"
    (tmp_path / "file").touch()
    target = f"{scheme}{tmp_path}/file"
    started = [
        subprocess.Popen([sys.executable, code, target, f"{number}"], stdin=subprocess.PIPE, text=True)
        for number in range(5)
    ]
    with coshelf.open(target, "n") as shelf:
        for process in started:
            process.communicate("go on\n", timeout=300)
            assert process.returncode == 0
        found = dict(shelf)
    # Each of them may have emptied it before the last one had it open; nobody has another file.
    assert found == dict(coshelf.open(target, "r"))
    assert os.listdir(tmp_path) == ["file"] or scheme
