"""The calls that profiles give in place of those of Linux do what their platforms' documents say."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lacking import windows_files
from lacking.macos_files import FUNCTIONS, LOCKS_OF_OPEN_FILES, LOCKS_OF_PROCESSES
from lacking.windows_locks import msvcrt

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the profiles stand on Linux")

WINDOWS: Any = windows_files.of_os()
MSVCRT: Any = msvcrt()
UPDATE = os.O_RDWR | os.O_CREAT | WINDOWS["O_BINARY"]
FLOCK = struct.Struct("qqihh")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Opens the file of the test as Windows does."""
    descriptors = []

    def open_it(flags: int = UPDATE, name: str = "file") -> int:
        descriptor: int = WINDOWS["open"](tmp_path / name, flags)
        descriptors.append(descriptor)
        return descriptor

    yield open_it
    for descriptor in descriptors:
        WINDOWS["close"](descriptor)


def lock(descriptor: int, start: int, length: int) -> None:
    os.lseek(descriptor, start, os.SEEK_SET)
    MSVCRT.locking(descriptor, MSVCRT.LK_NBLCK, length)


def unlock(descriptor: int, start: int, length: int) -> None:
    os.lseek(descriptor, start, os.SEEK_SET)
    MSVCRT.locking(descriptor, MSVCRT.LK_UNLCK, length)


def test_region_is_locked_once_by_whatever_descriptor(opened: Callable[..., int]) -> None:
    first, second = opened(), opened()
    lock(first, 1 << 30, 10)  # far behind the end of the file
    for descriptor in (first, second):
        with pytest.raises(PermissionError):
            lock(descriptor, (1 << 30) + 9, 1)
    lock(second, (1 << 30) + 10, 1)


def test_region_is_unlocked_as_it_was_locked(opened: Callable[..., int]) -> None:
    first, second = opened(), opened()
    lock(first, 0, 10)
    with pytest.raises(PermissionError):
        unlock(first, 0, 5)
    unlock(first, 0, 10)
    lock(second, 0, 10)


def test_lock_ends_with_its_descriptor(opened: Callable[..., int], tmp_path: Path) -> None:
    closed = WINDOWS["open"](tmp_path / "file", UPDATE)
    lock(closed, 0, 1)
    WINDOWS["close"](closed)
    lock(opened(), 0, 1)


def test_locked_bytes_are_neither_read_nor_written_by_another_descriptor(opened: Callable[..., int]) -> None:
    first, second = opened(), opened()
    WINDOWS["write"](first, b"0123456789")
    lock(first, 5, 1)
    assert WINDOWS["read"](second, 5) == b"01234"
    with pytest.raises(PermissionError):
        WINDOWS["read"](second, 5)
    with pytest.raises(PermissionError):
        WINDOWS["write"](second, b"56789")


def test_line_ends_change_without_o_binary(opened: Callable[..., int], tmp_path: Path) -> None:
    assert WINDOWS["write"](opened(os.O_RDWR | os.O_CREAT, "text"), b"a\nb") == 3
    assert WINDOWS["write"](opened(name="bytes"), b"a\nb") == 3
    assert ((tmp_path / "text").read_bytes(), (tmp_path / "bytes").read_bytes()) == (b"a\r\nb", b"a\nb")
    assert WINDOWS["read"](opened(os.O_RDONLY, "text"), 9) == b"a\nb"


def test_stat_tells_neither_owner_nor_rights_of_others(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch(mode=0o640)
    found = WINDOWS["stat"](path)
    assert (found.st_mode, found.st_uid, found[4], found.st_ino) == (0o100666, 0, 0, path.stat().st_ino)
    assert not hasattr(found, "st_blocks")


def test_rename_takes_no_name_that_exists(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.touch()
    new.touch()
    with pytest.raises(FileExistsError):
        WINDOWS["rename"](old, new)
    WINDOWS["rename"](old, tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "other"]


def test_directories_are_not_opened_and_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(PermissionError):
        WINDOWS["open"](tmp_path, os.O_RDONLY)
    for name in ("open", "stat", "unlink", "mkdir"):
        with pytest.raises(NotImplementedError):
            WINDOWS[name](*(["x", 0] if name == "open" else ["x"]), dir_fd=3)


def test_select_takes_sockets_only(opened: Callable[..., int]) -> None:
    one, other = socket.socketpair()
    with one, other:
        assert windows_files.select_sockets([], [one], [], 60)[1] == [one]
    with pytest.raises(OSError, match="not a socket"):
        windows_files.select_sockets([opened()], [], [], 0)


def test_what_cannot_be_written_cannot_be_synced(opened: Callable[..., int]) -> None:
    WINDOWS["fsync"](opened())
    with pytest.raises(OSError, match="Bad file descriptor"):
        WINDOWS["fsync"](opened(os.O_RDONLY | WINDOWS["O_BINARY"]))


def test_signal_0_is_an_interrupt() -> None:
    with pytest.raises(AssertionError, match="interrupts"):
        WINDOWS["kill"](os.getpid(), 0)


def test_struct_flock_of_macos_is_that_of_its_header(opened: Callable[..., int]) -> None:
    call = LOCKS_OF_PROCESSES["fcntl.fcntl"]
    names = {name.rpartition(".")[2]: value for name, value in (LOCKS_OF_PROCESSES | LOCKS_OF_OPEN_FILES).items()}
    first, second = opened(), opened()
    call(first, names["F_OFD_SETLK"], FLOCK.pack(7, 1, 0, names["F_WRLCK"], os.SEEK_SET))
    found = call(second, names["F_OFD_GETLK"], FLOCK.pack(0, 0, 0, names["F_RDLCK"], os.SEEK_SET))
    assert FLOCK.unpack(found) == (7, 1, -1, names["F_WRLCK"], os.SEEK_SET)
    call(first, names["F_OFD_SETLK"], FLOCK.pack(7, 1, 0, names["F_UNLCK"], os.SEEK_SET))
    found = call(second, names["F_OFD_GETLK"], FLOCK.pack(0, 0, 0, names["F_RDLCK"], os.SEEK_SET))
    assert FLOCK.unpack(found)[3] == names["F_UNLCK"]
    assert call(first, fcntl.F_GETFD) == fcntl.FD_CLOEXEC


def test_start_and_end_of_a_process_are_told_as_by_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    import ctypes

    monkeypatch.setenv("COSHELF_TESTS_PROC", "/proc")
    found, length = ctypes.create_string_buffer(1024), ctypes.c_size_t(1024)

    def ask(pid: int) -> int:
        names = (ctypes.c_int * 4)(1, 14, 1, pid)
        assert FUNCTIONS["sysctl"](names, 4, found, ctypes.byref(length), None, 0) == 0
        return length.value

    assert ask(os.getpid()) == 648
    assert struct.unpack_from("i", found.raw, 40) == (os.getpid(),)
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert ask(child.pid) == 0


def test_boot_and_file_systems_of_macos_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import ctypes

    monkeypatch.setenv("COSHELF_TESTS_PROC", "/proc")
    text, length = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
    assert FUNCTIONS["sysctlbyname"](b"kern.bootsessionuuid", text, ctypes.byref(length), None, 0) == 0
    assert (length.value, len(text.value)) == (37, 36)
    assert FUNCTIONS["sysctlbyname"](b"kern.osversion", text, ctypes.byref(length), None, 0) == -1
    found = ctypes.create_string_buffer(4096)
    assert FUNCTIONS["statfs"](os.fsencode(tmp_path), found) == 0
    assert found.raw[72:88].rstrip(b"\0") == b"apfs"
