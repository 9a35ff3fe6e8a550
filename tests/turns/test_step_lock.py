"""The table of turns where there are no robust mutexes: a lock on a file takes the place of the table's mutex."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import coshelf
from coshelf import native
from coshelf.engines.turn_table.step_lock import StepLock
from coshelf.errors import StorageError, TurnTimeout
from coshelf.system.locks import ranges
from coshelf.system.memory import mutexes
from coshelf.system.processes import boot

DIES = """
import os, signal, sys
from coshelf.engines.turn_table.step_lock import StepLock
memory = memoryview(bytearray(64))
lock = StepLock(sys.argv[1], 0o600, os.stat("."))
shared = __import__("coshelf.system.memory.shared", fromlist=["shared"]).shared
lock.of(shared(os.open(sys.argv[2], os.O_RDWR), 64, writable=True), 0).take()
os.kill(os.getpid(), signal.SIGKILL)
"""
OTHER = """
import sys
import coshelf
from coshelf import native
from coshelf.system.locks import ranges
from coshelf.system.memory import mutexes
from coshelf.system.processes import boot
native.shares_memory, mutexes.kind, boot.boot_id = False, lambda: None, lambda: None
ranges.have_open_file_locks = False
from coshelf.engines.turn_table import table_file
table_file.boot_id = lambda: None
with coshelf.open(sys.argv[1]) as shelf:
    with shelf.lock("stove"):
        print("holds", flush=True)
        sys.stdin.readline()
    print("gave back", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def without_mutexes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "shares_memory", False)
    monkeypatch.setattr(mutexes, "kind", lambda: None)


@pytest.fixture
def without_more(without_mutexes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there is no boot id and no lock of an open file, either."""
    monkeypatch.setattr(ranges, "have_open_file_locks", False)
    monkeypatch.setattr(boot, "boot_id", lambda: None)
    monkeypatch.setattr("coshelf.engines.turn_table.table_file.boot_id", lambda: None)


def test_death_in_the_middle_of_a_step_is_noticed(tmp_path: Path) -> None:
    table = tmp_path / "turns"
    table.write_bytes(bytes(64))
    subprocess.run([sys.executable, "-c", DIES, str(tmp_path / "step"), str(table)], check=False)
    lock = StepLock(str(tmp_path / "step"), 0o600, os.stat(tmp_path)).of(memoryview(bytearray(table.read_bytes())), 0)
    assert lock.take()
    assert lock.is_held_by(threading.get_native_id())
    lock.give_back_by(threading.get_native_id())
    assert not lock.is_held_by(threading.get_native_id())
    assert not lock.take()
    lock.give_back_by(threading.get_native_id())
    lock.give_back_by(threading.get_native_id())  # an interrupt may have it given back twice
    lock.close()


@pytest.mark.usefixtures("without_mutexes")
def test_files_of_the_table_go_with_the_last_process(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "recipes.shelf") as shelf:
        with shelf.lock("stove"):
            names = set(os.listdir(tmp_path / ".recipes.shelf.coshelf"))
            assert {"turns", "turns-step"} <= names
        with shelf.lock("stove"):
            pass
    assert os.listdir(tmp_path) == ["recipes.shelf"]


@pytest.mark.usefixtures("without_more")
def test_lock_keeps_other_processes_out_by_files_alone(tmp_path: Path) -> None:
    path = tmp_path / "recipes.shelf"
    with (
        coshelf.open(path) as shelf,
        subprocess.Popen(
            [sys.executable, "-c", OTHER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other,
    ):
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "holds\n"
        with pytest.raises(TurnTimeout), shelf.lock("stove", timeout=0):
            pass
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "gave back\n"
        with shelf.lock("stove", timeout=60):
            pass
        other.stdin.write("\n")
    assert os.listdir(tmp_path) == ["recipes.shelf"]


@pytest.mark.usefixtures("without_mutexes")
def test_table_of_another_kind_is_refused_while_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with coshelf.open(tmp_path / "recipes.shelf") as shelf, shelf.lock("stove"):
        monkeypatch.undo()
        if not native.shares_memory and mutexes.kind() is None:
            pytest.skip("there is one kind here")
        with (
            coshelf.open(tmp_path / "recipes.shelf") as other,
            pytest.raises(StorageError, match="is another one"),
            other.lock("stove", timeout=0),
        ):
            pass
