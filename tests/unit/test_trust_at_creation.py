"""A shelf bears its maker's mark as soon as it has its name, so that a process that finds it there trusts it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import coshelf
import coshelf.engines.lmdb
import coshelf.engines.sqlite
from coshelf.trust import marks

SCRIPTS = Path(__file__).parent / "scripts" / "trust_at_creation"
PROCESSES, ROUNDS = 4, 3

# What opens a shelf after it was made, in each engine with files that have their content before their name.
OPENS = {"": (coshelf.engines.lmdb.environment, "acquire"), "sqlite:": (coshelf.engines.sqlite, "Sidecars")}


class Mine:
    """Not plain data."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mine)

    __hash__ = None  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state directory of this test's user, not made yet."""
    monkeypatch.delenv("COSHELF_SECRET_FILE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "coshelf"


@pytest.fixture(params=[False, True], ids=["state", "secret file"])
def _mark_of_either_kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param:
        secret = tmp_path / "secret"
        secret.write_bytes(os.urandom(32))
        monkeypatch.setenv("COSHELF_SECRET_FILE", str(secret))


def before_opening(monkeypatch: pytest.MonkeyPatch, engine: str, act: Callable[[], None]) -> None:
    """Act once in the moment between the making of a shelf and its opening by the process that made it."""
    module, name = OPENS[engine]
    opens, acts = getattr(module, name), [act]

    def opened(*arguments: Any, **options: Any) -> Any:
        if acts:
            acts.pop()()
        return opens(*arguments, **options)

    monkeypatch.setattr(module, name, opened)


def stored_by_another(target: str) -> None:
    subprocess.run([sys.executable, SCRIPTS / "store_own.py", target], check=True, timeout=60)


@pytest.mark.parametrize("engine", OPENS)
@pytest.mark.parametrize("flag", ["c", "n"])
@pytest.mark.usefixtures("_mark_of_either_kind")
def test_process_that_opens_a_shelf_before_its_maker_does_trusts_it(
    engine: str, flag: coshelf.opening.Flag, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new"
    if flag == "n":
        path.touch()  # it is made in the place of an empty file
    target = f"{engine}{path}"
    before_opening(monkeypatch, engine, lambda: stored_by_another(target))
    with coshelf.open(target, flag) as shelf:
        shelf["mine"] = Mine()
        assert shelf["mine"] == Mine()
    assert coshelf.check(target).problems == []


@pytest.mark.parametrize("engine", OPENS)
def test_file_put_into_the_place_of_a_new_shelf_gets_no_mark(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, planted = tmp_path / "new", tmp_path / "planted"
    with coshelf.open(f"{engine}{planted}", trust=True) as shelf:
        shelf["theirs"] = Mine()
    shutil.copy(planted, tmp_path / "copy")  # another inode, as that of a file which this user did not make
    before_opening(monkeypatch, engine, lambda: os.rename(tmp_path / "copy", path))
    for _ in range(2):  # the maker of the file that was replaced, and whoever opens it later
        with coshelf.open(f"{engine}{path}") as shelf, pytest.raises(coshelf.UntrustedValue):
            shelf["theirs"]


@pytest.mark.parametrize("engine", OPENS)
def test_maker_that_finds_the_name_taken_leaves_no_mark(
    engine: str, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new"
    stranger = tmp_path / "stranger"
    with coshelf.open(f"{engine}{stranger}", trust=True) as shelf:
        shelf["theirs"] = Mine()
    shutil.copy(stranger, tmp_path / "copy")
    before = set(os.listdir(state / "trusted"))
    marking = marks.mark

    def mark(*arguments: Any) -> bytes | None:
        row = marking(*arguments)
        os.rename(tmp_path / "copy", path)  # it appears while this process makes its own
        return row

    with monkeypatch.context() as patched:
        patched.setattr(marks, "mark", mark)
        with coshelf.open(f"{engine}{path}") as shelf, pytest.raises(coshelf.UntrustedValue):
            shelf["theirs"]
    assert set(os.listdir(state / "trusted")) == before
    assert [name for name in os.listdir(tmp_path) if name.endswith(".new")] == []


@pytest.mark.parametrize("engine", OPENS)
def test_failed_making_leaves_no_mark(
    engine: str, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", full)
        with pytest.raises(coshelf.StorageFull):
            coshelf.open(f"{engine}{tmp_path / 'new'}")
    assert os.listdir(state / "trusted") == []
    assert not (tmp_path / "new").exists()


def test_directory_is_opened_after_its_maker_has_marked_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, others, marking = f"files:{tmp_path / 'new'}", [], marks.mark

    def mark(*arguments: Any) -> bytes | None:
        command = [sys.executable, SCRIPTS / "store_own.py", target, tmp_path]
        other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        others.append(other)
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        with contextlib.suppress(subprocess.TimeoutExpired):
            other.wait(0.2)  # it finds the directory without the mark meanwhile
        return marking(*arguments)

    monkeypatch.setattr(marks, "mark", mark)
    with coshelf.open(target) as shelf:
        (other,) = others
        assert other.communicate(timeout=60)[0] == "trusted\n"
        assert len(shelf) == 1
    assert (tmp_path / "new").stat().st_mode & 0o7777 == 0o700


def test_directory_whose_maker_died_opens_as_one_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "new"
    path.mkdir()
    path.chmod(0o1700)
    with coshelf.open(f"files:{path}") as shelf, pytest.raises(coshelf.UnwritableValue):
        shelf["mine"] = Mine()


@pytest.mark.parametrize("engine", [*OPENS, "files:"])
def test_processes_that_open_a_new_shelf_at_once_all_trust_it(engine: str, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        target = f"{engine}{tmp_path / str(number)}"
        begin = tmp_path / f"begin-{number}"
        command = [sys.executable, SCRIPTS / "store_own.py", target, begin]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()  # it is ready
        begin.touch()
        assert [process.communicate(timeout=60)[0] for process in processes] == ["trusted\n"] * PROCESSES
