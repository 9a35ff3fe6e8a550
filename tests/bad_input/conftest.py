"""Fixtures for bad input. It must raise a CoshelfError with a clear message. No file is lost or left behind."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

import coshelf
from forked import run
from starting import Program, as_user, environment

NOBODY = 65534

Picture = dict[str, tuple[Any, ...]]


def picture(directory: Path) -> Picture:
    """The state of everything below a directory: names, kinds, modes, owners, times and contents."""
    shown: Picture = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        content: Any = None
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        changed = 0 if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns
        shown[str(path.relative_to(directory))] = (
            *(status.st_mode, status.st_uid, status.st_gid, status.st_ino),
            *(changed, content),
        )
    return shown


@pytest.fixture(autouse=True)
def own_state_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the trust marks in a directory of the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that other users can reach."""
    directory = Path(tempfile.mkdtemp(prefix="coshelf-bad-input-"))
    directory.chmod(0o755)
    yield directory
    for path in (directory, *directory.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(directory)


@pytest.fixture
def unchanged() -> Callable[[Path], AbstractContextManager[None]]:
    """Asserts that a block leaves a directory as it was, byte for byte, and adds nothing to it."""

    @contextmanager
    def block(directory: Path) -> Iterator[None]:
        before = picture(directory)
        yield
        after = picture(directory)
        assert after.keys() == before.keys()
        assert after == before

    return block


@pytest.fixture
def refused() -> Callable[..., coshelf.CoshelfError]:
    """Opens what must be refused, and returns the error. It must be a CoshelfError that names the path."""

    def attempt(
        error: type[coshelf.CoshelfError], target: Any, flag: str = "c", *words: str, named: str | None = None
    ) -> coshelf.CoshelfError:
        with pytest.raises(coshelf.CoshelfError) as caught:
            coshelf.open(target, flag).close()  # type: ignore[arg-type]
        assert isinstance(caught.value, error), repr(caught.value)
        message = str(caught.value)
        assert (os.fsdecode(target) if named is None else named) in message
        for word in words:
            assert word in message
        return caught.value

    return attempt


class Python:
    """Runs a program in a process of its own, as this user or as a user without rights."""

    def __call__(
        self, program: Program, *arguments: object, user: int | None = None, check: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        its = environment() | {"PYTHONDONTWRITEBYTECODE": "1"} | variables
        if user is None:
            done = run(program, *arguments, environment=its, timeout=300)
        else:
            command = [sys.executable, *as_user(user, program), *map(str, arguments)]
            done = subprocess.run(command, env=its, capture_output=True, text=True, timeout=300, check=False)
        if check:
            assert done.returncode == 0, f"ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture(scope="session")
def python() -> Python:
    return Python()


@pytest.fixture(scope="session")
def powerless(python: Python) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program as a user to whom permissions apply: this user, or another one if the tests run as root."""
    if os.geteuid() != 0:
        return python

    def run(program: Program, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        return python(program, *arguments, user=NOBODY, **variables)

    return run


@pytest.fixture(scope="session")
def another_user(powerless: Any) -> Any:
    """As ``powerless``, but the user never owns the files of the test."""
    if os.geteuid() != 0:
        pytest.skip("only root can be two users")
    return powerless


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a file system for the test."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    places: list[Path] = []

    def mount(*arguments: object, at: Path | None = None) -> Path:
        place = at or Path(tempfile.mkdtemp(prefix="mount-", dir=tmp_path))
        done = subprocess.run(["mount", *map(str, arguments), str(place)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"cannot mount here: {done.stderr}")
        places.append(place)
        return place

    yield mount
    for place in reversed(places):
        subprocess.run(["umount", "--lazy", str(place)], check=True)
