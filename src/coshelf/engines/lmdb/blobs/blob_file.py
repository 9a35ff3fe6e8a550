"""One blob's file: a page that says which blob it is, then the buffers. docs/format.md, "Blobs"."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
from collections.abc import Sequence

from coshelf.engines.lmdb.blobs.checksums import fastest
from coshelf.errors import StorageError
from coshelf.system.files.flags import ASIDE
from coshelf.system.files.positions import read_at, write_at
from coshelf.system.memory.shared import shared
from coshelf.system.threads.cooperation import ServiceThread
from coshelf.values.blobs import MissingBlob, Reference

__all__ = ["is_blob", "open_blob", "problem_with", "remove_blob", "write_buffers", "write_head"]

_MAGIC = b"coshelf\3"
_HEAD = struct.Struct("<8s16s16sQI")
_AT_ONCE = 8 << 20  # bytes, so that a write can be interrupted
_SUMMED_AT_ONCE = 2 << 20  # bytes, still cached when they are written next; with 256 KiB the writing takes longer
_WORTH_A_THREAD = 8 << 20
_PATIENCE = 1.0  # seconds
_SLOWEST = 100 << 20  # bytes a second


def write_buffers(descriptor: int, buffers: Sequence[memoryview], places: Sequence[int]) -> int:
    """Write the buffers to their places in the file. Return the checksum of all of them."""
    crc32, is_cheap = fastest()
    if not is_cheap and sum(buffer.nbytes for buffer in buffers) >= _WORTH_A_THREAD:
        return _sum_beside_writing(descriptor, buffers, places)
    checksum = 0
    for buffer, place in zip(buffers, places, strict=True):
        for start in range(0, buffer.nbytes, _SUMMED_AT_ONCE):
            piece = buffer[start : start + _SUMMED_AT_ONCE]
            checksum = crc32(piece, checksum)
            _write(descriptor, piece, place + start)
    return checksum


def _sum_beside_writing(descriptor: int, buffers: Sequence[memoryview], places: Sequence[int]) -> int:
    """Write and sum in two threads. Both run without the interpreter's lock, and the sum takes longer."""
    found: list[int] = []
    summing = ServiceThread("coshelf-checksum", lambda: found.append(_checksum(buffers)))
    with contextlib.suppress(RuntimeError):  # no thread can be started
        summing.start()
    try:
        for buffer, place in zip(buffers, places, strict=True):
            _write(descriptor, buffer, place)
    finally:
        # A finalizer that the collector calls in that thread may wait for a lock that this one holds.
        summing.join(_PATIENCE + sum(buffer.nbytes for buffer in buffers) / _SLOWEST)
    return found[0] if found else _checksum(buffers)


def _write(descriptor: int, buffer: memoryview, place: int) -> None:
    done = 0
    while done < buffer.nbytes:
        done += write_at(descriptor, buffer[done : done + _AT_ONCE], place + done)


def _checksum(buffers: Sequence[memoryview]) -> int:
    crc32 = fastest().crc32
    checksum = 0
    for buffer in buffers:
        checksum = crc32(buffer, checksum)
    return checksum


def write_head(descriptor: int, store_id: bytes, reference: Reference) -> None:
    """Write the first page, which says which blob it is. Call this when the buffers have been written."""
    write_at(descriptor, _HEAD.pack(_MAGIC, store_id, reference.id, reference.length, reference.checksum), 0)


def is_blob(path: str, store_id: bytes | None = None) -> bool:
    """Whether a file is a blob, or one that was not written to its end. With ``store_id``: of this shelf.

    A user may have put another file there. coshelf must not remove or replace that.
    """
    try:
        descriptor = _opened(path)
    except StorageError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        head = read_at(descriptor, _HEAD.size, 0)
    finally:
        os.close(descriptor)
    if not head.strip(b"\0"):
        return True
    return len(head) == _HEAD.size and head.startswith(_MAGIC) and store_id in (None, _HEAD.unpack(head)[1])


def remove_blob(path: str, store_id: bytes | None = None) -> None:
    """Remove a blob that nothing names, if possible. The file may be another user's, or not a blob any more."""
    with contextlib.suppress(OSError):
        if is_blob(path, store_id):
            os.unlink(path)


def open_blob(path: str, store_id: bytes | None, reference: Reference) -> list[memoryview]:
    """The buffers of a blob. Without a ``store_id`` it may be a blob of any shelf.

    Raises :class:`MissingBlob`, and :class:`StorageError` if it cannot be read.
    """
    descriptor = _opened(path)
    try:
        problem = _problem_at_a_glance(descriptor, store_id, reference)
        if problem is not None:
            raise MissingBlob(f"the blob {path} {problem}")
        whole = shared(descriptor, reference.length, writable=False)
    except OSError as error:
        if isinstance(error, MissingBlob):
            raise
        raise StorageError(error.errno, f"cannot read the blob: {error.strerror}", path) from error
    finally:
        os.close(descriptor)
    return [whole[place : place + size] for place, size in zip(reference.places, reference.sizes, strict=True)]


def _opened(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | ASIDE)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise MissingBlob(f"the blob {path} is not there") from error
        if error.errno == errno.ELOOP:
            raise MissingBlob(f"the blob {path} is a link") from error
        raise StorageError(error.errno, f"cannot open the blob: {error.strerror}", path) from error


def _problem_at_a_glance(descriptor: int, store_id: bytes | None, reference: Reference) -> str | None:
    size = os.fstat(descriptor).st_size
    if size != reference.length:
        return f"has {size} bytes and not {reference.length}"
    head = read_at(descriptor, _HEAD.size, 0)
    magic, store, *rest = _HEAD.unpack(head)
    if magic != _MAGIC or rest != [reference.id, reference.length, reference.checksum]:
        return "is not the one that its record names"
    if store_id not in (None, store):
        return "belongs to another shelf"
    return None


def problem_with(path: str, store_id: bytes | None, reference: Reference) -> str | None:
    """What is wrong with a blob's file, all of which is read; None if nothing is wrong."""
    try:
        descriptor = _opened(path)
    except MissingBlob:
        return "is not there"
    except StorageError as error:
        return f"cannot be opened: {error.strerror}"
    try:
        problem = _problem_at_a_glance(descriptor, store_id, reference)
        if problem is not None:
            return problem
        checksum, crc32 = 0, fastest().crc32
        for place, size in zip(reference.places, reference.sizes, strict=True):
            done = 0
            while done < size:
                chunk = read_at(descriptor, min(_AT_ONCE, size - done), place + done)
                if not chunk:
                    return "ends too early"
                checksum = crc32(chunk, checksum)
                done += len(chunk)
        return None if checksum == reference.checksum else "does not match its checksum"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    finally:
        os.close(descriptor)
