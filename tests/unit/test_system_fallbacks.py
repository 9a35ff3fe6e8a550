"""What modules of ``system`` know where a facility is missing, and what they read from structures of macOS."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from coshelf.system.file_systems import kinds as filesystem
from coshelf.system.file_systems import statfs
from coshelf.system.files import directories
from coshelf.system.memory import futex
from coshelf.system.processes import endings, forks, identity, lifetimes
from coshelf.system.processes.lifetimes import Lifetime
from coshelf.system.waiting import pipes
from coshelf.system.waiting.polling import readable
from coshelf.transfer import inside

has_signals = pytest.mark.skipif(not identity._can_ask, reason="Windows has few signals")

# --- types of file systems -------------------------------------------------------------------------------------------


def test_without_proc_a_network_file_system_is_known_by_statfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(filesystem.os, "statvfs"):  # type: ignore[attr-defined]
        pytest.skip("Windows tells by the path")
    monkeypatch.setattr(statfs.platform, "system", lambda: "Linux")  # type: ignore[attr-defined]
    monkeypatch.setattr(filesystem, "_MOUNTS", str(tmp_path / "missing"))
    filesystem._type_on_device.cache_clear()
    assert filesystem.shared(str(tmp_path)) is None
    number = struct.pack("@l", 0x6969)
    monkeypatch.setattr(statfs, "_call", lambda: lambda _, found: found.__setitem__(slice(0, len(number)), number) or 0)
    assert filesystem.type_of(str(tmp_path / "new")) == "nfs"
    assert filesystem.shared(str(tmp_path / "new")) == "on a network file system (nfs)"


def test_a_word_of_macos_is_its_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    structure = bytes(72) + b"smbfs".ljust(16, b"\0") + bytes(2080)

    def call(_: bytes, found: bytearray) -> int:
        found[: len(structure)] = structure
        return 0

    monkeypatch.setattr(statfs, "_call", lambda: call)
    monkeypatch.setattr(statfs.platform, "system", lambda: "Darwin")  # type: ignore[attr-defined]
    assert statfs.type_by_statfs(str(tmp_path)) == "smbfs"


# --- processes -------------------------------------------------------------------------------------------------------


def test_lifetime_of_this_process_is_the_same_each_time() -> None:
    found = lifetimes.lifetime_of(os.getpid())
    if found is None:
        pytest.skip("this system does not tell it")
    assert found.runs
    assert lifetimes.lifetime_of(os.getpid()) == found


def test_structure_of_macos_is_read() -> None:
    structure = struct.pack("@qi4x16xib3xi", 1_700_000_000, 250_000, 0x4004, 2, 4312) + bytes(600)
    assert lifetimes._in_structure(structure, 4312) == Lifetime(1_700_000_000_250_000, runs=True)
    assert lifetimes._in_structure(structure, 4313) is None
    zombie = struct.pack("@qi4x16xib3xi", 1, 0, 0, 5, 7)
    assert lifetimes._in_structure(zombie, 7) == Lifetime(1_000_000, runs=False)


@has_signals
def test_a_process_is_told_alive_without_namespaces_if_the_system_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    here = identity.this_process()._replace(boot="b", start=7, namespace=0)
    monkeypatch.setattr(identity, "this_process", lambda: here)
    monkeypatch.setattr(identity, "lifetime_of", lambda _: Lifetime(7, runs=True))
    assert here._replace(start=8).is_alive() is None
    monkeypatch.setattr(identity, "has_namespaces", lambda: False)
    assert here.is_alive() is True
    assert here._replace(start=8).is_alive() is False
    assert here._replace(boot="c").is_alive() is None
    monkeypatch.setattr(identity, "_can_ask", False)
    assert here._replace(start=8).is_alive() is None
    assert here.is_alive() is True


@has_signals
def test_nothing_can_prevent_the_end_of_a_killed_process() -> None:
    program = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "1\n"
        endings.kill(child.pid)
        assert child.wait(60) == -9


def test_where_processes_do_not_fork_that_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "can_fork", False)
    with pytest.raises(OSError, match="do not fork"):
        forks.fork()


# --- waiting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lacks", [False, True])
def test_ends_of_a_pipe_do_not_wait(lacks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(os, "set_blocking") or not hasattr(pipes.os, "set_blocking"):  # type: ignore[attr-defined]
        pytest.skip("ends of pipes always wait here")
    if lacks:
        monkeypatch.delattr(os, "pipe2", raising=False)
    reads, writes = pipes.pipe()
    try:
        with pytest.raises(BlockingIOError):
            os.read(reads, 1)
        os.write(writes, b"a")
        assert readable((reads,), 60) == {reads}
        assert not os.get_inheritable(reads)
        assert not os.get_inheritable(writes)
    finally:
        os.close(reads)
        os.close(writes)


@pytest.mark.parametrize("name", ["Darwin", "FreeBSD", "Windows"])
def test_the_number_of_a_system_call_is_used_on_its_kernel_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(futex.platform, "system", lambda: name)  # type: ignore[attr-defined]
    assert futex._system_call.__wrapped__() is None


# --- files below a directory ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("can_descend", [True, False])
def test_a_file_is_opened_below_a_directory_alone(
    can_descend: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if can_descend and not directories.can_descend:
        pytest.skip("this system has no such calls")
    monkeypatch.setattr(directories, "can_descend", can_descend)
    (tmp_path / "root" / "inner").mkdir(parents=True)
    (tmp_path / "root" / "inner" / "file").write_text("mine")
    (tmp_path / "outside").write_text("theirs")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "folder").symlink_to(tmp_path)
    (tmp_path / "root" / "up").symlink_to(tmp_path / "root" / "inner")
    with open(inside.open_inside(str(tmp_path / "root"), os.path.join("inner", "file")), encoding="utf-8") as file:
        assert file.read() == "mine"
    for name in ("link", "folder/outside", "up/file", "../outside", "inner/../../outside", "", ".", "inner", "missing"):
        with pytest.raises(OSError):
            inside.open_inside(str(tmp_path / "root"), name)
    with pytest.raises(OSError, match="not below"):
        inside.open_inside(str(tmp_path / "root"), str(tmp_path / "outside"))
