"""Trust where users have no numbers, as on Windows: the place of a shelf tells whether other users can write it.

The tests take the numbers of users away. What remains is what a Windows without ``ctypes.windll`` has: ``USERPROFILE``.
"""

from __future__ import annotations

import ctypes
import ntpath
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

import coshelf
import coshelf.trust.granting
from coshelf.errors import ShelfPermissionError, UnwritableValue
from coshelf.system.rights import profile_directories, users
from coshelf.trust.profile_directory import exposure_by_place


class Anything:
    """No plain data."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Anything)

    def __hash__(self) -> int:
        return 0


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The profile directory of a user without a number."""
    monkeypatch.delenv("COSHELF_SECRET_FILE", raising=False)
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "Users" / "ann"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "not-for-marks"))
    monkeypatch.delattr(ctypes, "windll", raising=False)  # Windows itself names another directory
    monkeypatch.setattr(users, "has_numbers", False)
    (tmp_path / "Users" / "ann").mkdir(parents=True)
    (tmp_path / "Users" / "bob").mkdir()
    yield tmp_path / "Users" / "ann"
    assert not (tmp_path / "not-for-marks").exists()


def reason(path: Path) -> str | None:
    return exposure_by_place(str(path), path.stat())


def made(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    target = f"sqlite:{path}"
    with coshelf.open(target, trust=True) as shelf:
        shelf["k"] = Anything()
    return target


def is_trusted(target: str) -> bool:
    with coshelf.open(target) as shelf:
        try:
            return bool(shelf["k"] == Anything())
        except coshelf.UntrustedValue:
            return False


def test_a_shelf_in_the_own_profile_directory_loads_any_object(profile: Path) -> None:
    assert is_trusted(made(profile / "a.db"))
    assert is_trusted(made(profile / "AppData" / "Local" / "Temp" / "a.db"))
    assert (profile / "AppData" / "Local" / "coshelf" / "secret").is_file(), "marks lie in the profile directory"


def test_a_shelf_outside_is_plain_data_and_says_why(profile: Path) -> None:
    for place in (profile.parent / "bob" / "a.db", profile.parent.parent / "a.db", profile.parent / "ann2" / "a.db"):
        target = made(place)
        assert not is_trusted(target)
        with coshelf.open(target) as shelf:
            shelf["plain"] = {"count": [1]}
            assert shelf["plain"] == {"count": [1]}
            with pytest.raises(UnwritableValue, match="not in this user's profile directory"):
                shelf["other"] = Anything()
            told = shelf.info().reason
        assert told is not None
        assert "not in this user's profile directory" in told
        with pytest.raises(ShelfPermissionError, match="move it into your profile directory"):
            coshelf.trust.granting.trust_shelf(target)


def test_a_copy_in_the_profile_directory_has_no_mark(profile: Path) -> None:
    target = made(profile / "a.db")
    (profile / "copy.db").write_bytes((profile / "a.db").read_bytes())
    assert not is_trusted(f"sqlite:{profile / 'copy.db'}")
    coshelf.trust.granting.trust_shelf(f"sqlite:{profile / 'copy.db'}")
    assert is_trusted(f"sqlite:{profile / 'copy.db'}")
    assert is_trusted(target)


def test_links_are_followed_to_the_place_of_the_file(profile: Path) -> None:
    outside = profile.parent.parent / "shared"
    made(outside / "a.db")
    (profile / "junction").symlink_to(outside)
    assert "not in this user's profile" in (reason(profile / "junction" / "a.db") or "")
    made(profile / "own.db")
    (outside / "into").symlink_to(profile)
    assert reason(outside / "into" / "own.db") is None
    (profile.parent / "linked").symlink_to(profile)
    assert reason(profile.parent / "linked" / "own.db") is None


def test_another_file_at_the_path_is_noticed(profile: Path) -> None:
    (profile / "one").touch()
    (profile / "two").touch()
    found = exposure_by_place(str(profile / "one"), (profile / "two").stat())
    assert found is not None
    assert "another file" in found
    found = exposure_by_place(str(profile / "gone"), (profile / "two").stat())
    assert found is not None
    assert "cannot be examined" in found


@pytest.mark.parametrize("place", ["AppData/LocalLow", "AppData/Local/Packages/app/AC", "AppData/Local/Temp/Low"])
def test_what_restricted_programs_write_is_not_trusted(place: str, profile: Path) -> None:
    (profile / place).mkdir(parents=True)
    (profile / place / "file").touch()
    assert "restricted" in (reason(profile / place / "file") or "")


def test_marks_are_not_made_where_a_link_leads_out_of_the_profile(profile: Path) -> None:
    elsewhere = profile.parent.parent / "elsewhere"
    elsewhere.mkdir()
    (profile / "AppData").mkdir()
    (profile / "AppData" / "Local").symlink_to(elsewhere)
    with pytest.warns(UserWarning, match="cannot be marked"), coshelf.open(f"sqlite:{profile / 'a.db'}") as shelf:
        shelf["plain"] = 1
    assert list(elsewhere.iterdir()) == []


def test_without_a_profile_directory_nothing_is_trusted(profile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (profile / "file").touch()
    for named in ("", "relative", str(profile / "missing"), "/"):
        monkeypatch.setenv("USERPROFILE", named)
        assert profile_directories.of_this_user() is None
        assert "no profile directory" in (reason(profile / "file") or "")
    monkeypatch.delenv("USERPROFILE")
    assert profile_directories.of_this_user() is None


@pytest.mark.parametrize("fails", [False, True])
def test_windows_is_asked_by_the_token_of_the_process(
    fails: bool, profile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its libraries are stand-ins. The environment names the profile directory of another user."""
    told = str(profile.parent / "bob")
    closed: list[Any] = []

    def open_process_token(process: Any, access: int, token: Any) -> int:
        assert (process, access) == (-1, 8)
        token._obj.value = 77
        return 1

    def get_user_profile_directory(token: Any, text: Any, length: Any) -> int:
        assert token.value == 77
        if text is None or fails:
            length._obj.value = len(told) + 1
            return 0
        assert len(text) >= len(told) + 1
        text.value = told
        return 1

    libraries = SimpleNamespace(
        kernel32=SimpleNamespace(GetCurrentProcess=Mock(return_value=-1), CloseHandle=Mock(side_effect=closed.append)),
        advapi32=SimpleNamespace(OpenProcessToken=Mock(side_effect=open_process_token)),
        userenv=SimpleNamespace(GetUserProfileDirectoryW=Mock(side_effect=get_user_profile_directory)),
    )
    monkeypatch.setattr(ctypes, "windll", libraries, raising=False)
    monkeypatch.setattr(profile_directories, "_by_token", profile_directories._by_token.__wrapped__)
    assert profile_directories.of_this_user() == (None if fails else told)
    assert [token.value for token in closed] == [77]


def test_without_ctypes_the_environment_is_not_believed(profile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert profile_directories.of_this_user() == str(profile)
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert profile_directories.of_this_user() is None


def test_paths_of_windows_are_compared_as_windows_does(monkeypatch: pytest.MonkeyPatch) -> None:
    same: list[tuple[str, str]] = []

    def samefile(one: str, other: str) -> bool:
        same.append((one, other))
        return True

    names = {"normcase": ntpath.normcase, "dirname": ntpath.dirname, "samefile": samefile}
    monkeypatch.setattr(profile_directories, "os", SimpleNamespace(path=SimpleNamespace(**names), sep="\\"))
    ann = "C:\\Users\\Ann"
    assert profile_directories.names_below(ann, "c:\\users\\ann\\Documents\\X.db") == ("documents", "x.db")
    assert same == [("c:\\users\\ann", ann)]
    for outside in (
        "C:\\Users\\Anna\\x.db",
        "C:\\Users\\Ann",
        "D:\\Users\\Ann\\x.db",
        "\\\\server\\C$\\Users\\Ann\\x.db",
    ):
        assert profile_directories.names_below(ann, outside) is None


def test_the_command_says_why_a_shelf_cannot_be_trusted(profile: Path) -> None:
    made(profile.parent / "a.db")
    program = """if True:
        import ctypes
        from coshelf.cli import main
        from coshelf.system.rights import users
        vars(ctypes).pop("windll", None)
        users.has_numbers = False
        main()
    """
    command = [sys.executable, "-c", program, "trust", f"sqlite:{profile.parent / 'a.db'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ)
    assert done.returncode == 3, done.stderr
    assert "is not in this user's profile directory" in done.stderr
    assert "hint: move it into your profile directory" in done.stderr
