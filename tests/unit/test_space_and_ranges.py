"""Space, locks on ranges, names of open files and the boot, where a facility is missing or refused."""

from __future__ import annotations

import errno
import os
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coshelf.system.file_systems import durable, space
from coshelf.system.files import descriptors, positions
from coshelf.system.locks import ranges
from coshelf.system.processes import boot


@pytest.fixture
def descriptor(tmp_path: Path) -> Any:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield opened
    os.close(opened)


def refused(number: int) -> Any:
    def call(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("fallocate", [None, refused(errno.ENOSYS), refused(errno.EOPNOTSUPP)])
def test_zeros_take_the_space_where_it_cannot_be_reserved(
    descriptor: int, fallocate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "_fallocate", fallocate)
    os.write(descriptor, b"kept")
    space.reserve(descriptor, 4, 200_000)
    assert os.pread(descriptor, 300_000, 0) == b"kept" + bytes(200_000)
    assert os.fstat(descriptor).st_blocks * 512 >= 200_000
    assert not space.extend(descriptor, 300_000)
    assert os.fstat(descriptor).st_size == 200_004


def test_full_disk_is_not_taken_for_a_missing_facility(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "_fallocate", refused(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        space.reserve(descriptor, 0, 1)
    with pytest.raises(OSError, match="No space"):
        space.extend(descriptor, 1)
    assert os.fstat(descriptor).st_size == 0


def test_free_space_is_told_without_statvfs(descriptor: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "_statvfs", None)
    monkeypatch.setattr(space, "_fstatvfs", None)
    assert space.free_at(str(tmp_path)) > 0
    assert space.free_beside(descriptor, str(tmp_path / "file")) > 0


@pytest.mark.skipif(not ranges.have_open_file_locks, reason="no locks of open files here")
def test_refused_locks_of_open_files_count_as_missing(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ranges.usable_on(descriptor)
    assert ranges.is_held(descriptor, 7, 1) is False
    monkeypatch.setattr(ranges.fcntl, "fcntl", refused(errno.EPERM))
    assert ranges.is_held(descriptor, 7, 1) is None
    assert not ranges.usable_on(descriptor)


def test_lock_of_another_open_file_is_seen(descriptor: int, tmp_path: Path) -> None:
    if not ranges.usable_on(descriptor):
        pytest.skip("no locks of open files here")
    other = os.open(tmp_path / "file", os.O_RDWR)
    assert ranges.try_to_take(other, 5)
    assert ranges.is_held(descriptor, 0, 10)
    assert not ranges.try_to_take(descriptor, 5)
    ranges.release(other, 0, 0)
    assert ranges.try_to_take(descriptor, 5)
    os.close(other)


def test_structure_of_macos_has_its_fields_in_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges.sys, "platform", "darwin")
    packed = ranges._packed(3, 0x1122, 4)
    assert packed == (0x1122).to_bytes(8, "little") + (4).to_bytes(8, "little") + bytes(4) + b"\3\0" + b"\0\0"
    assert ranges._kind_in(packed) == 3


def test_full_sync_asks_the_disk_and_falls_back(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(durable, "_full_sync", 51)
    monkeypatch.setattr(durable, "fcntl", SimpleNamespace(fcntl=lambda *given: asked.append(given)))
    durable._sync_to_the_disk(descriptor)
    assert asked == [(descriptor, 51)]
    monkeypatch.setattr(durable, "fcntl", SimpleNamespace(fcntl=refused(errno.ENOTSUP)))
    durable._sync_to_the_disk(descriptor)
    monkeypatch.setattr(durable, "fcntl", SimpleNamespace(fcntl=refused(errno.EIO)))
    with pytest.raises(OSError, match="Input/output"):
        durable._sync_to_the_disk(descriptor)


def test_open_file_is_named_by_its_path_without_proc(
    descriptor: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "file")
    monkeypatch.setattr(descriptors, "_NAMES", str(tmp_path / "missing"))
    assert descriptors.exact_name(descriptor) is None
    assert descriptors.path_of(descriptor) is None
    assert descriptors.name_to_open(descriptor, path) == path
    moved = str(tmp_path / "moved")
    os.rename(path, moved)
    answers = {"moved": os.fsencode(moved).ljust(1024, b"\0")}
    control = SimpleNamespace(F_GETPATH=50, fcntl=lambda *_: answers["moved"])
    monkeypatch.setattr(descriptors, "fcntl", control)
    assert descriptors.path_of(descriptor) == moved
    assert descriptors.name_to_open(descriptor, path) == moved
    Path(path).touch()
    answers["moved"] = os.fsencode(path)
    assert descriptors.name_to_open(descriptor, "as given") == "as given"  # that path leads to another file


def test_bytes_are_read_into_buffers_after_a_seek(descriptor: int) -> None:
    os.write(descriptor, b"0123456789")
    first, second = bytearray(4), bytearray(8)
    assert positions._read_into_after_seek(descriptor, [first, second], 1) == 9
    assert (bytes(first), bytes(second)) == (b"1234", b"56789\0\0\0")


def test_boot_is_told_by_sysctl_where_there_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = uuid.uuid4()
    monkeypatch.setattr(boot, "_BOOT_ID", str(tmp_path / "missing"))
    monkeypatch.setattr(boot, "_told_by_sysctl", lambda: boot.parsed(str(session).upper().encode() + b"\0"))
    assert boot.boot_id() == session.bytes
