"""Makes sidecars, with the shelf's own owner and mode, and removes them."""

from __future__ import annotations

import contextlib
import errno
import os

from coshelf.system.files.flags import CLOSE_ON_EXEC
from coshelf.system.files.positions import write_at
from coshelf.system.rights.giving import give

__all__ = [
    "LOCK_SIZE",
    "MAX_READERS",
    "lock_path",
    "make_file",
    "make_lock_file",
    "places_of_readers",
    "remove_file",
    "turn_path",
]

MAX_READERS = 2048
_PLACE = 64  # bytes for one reader
_HEAD = 128
LOCK_SIZE = _PLACE * MAX_READERS + _HEAD  # LMDB 0.9's; a process that is alone takes a file of zeros for one
_SMALL_LOCK_SIZE = 8192  # on a full disk; from the size LMDB computes that there is space for 126 readers


def lock_path(path: str) -> str:
    """LMDB's own name for its lock file."""
    return path + "-lock"


def turn_path(path: str) -> str:
    """The file that writers lock before they use LMDB, where LMDB's own lock does not end with a process."""
    return path + "-turn"


def make_file(name: str, like: os.stat_result, content: bytes = b"") -> int:
    """Make a file anew and return its descriptor. Its space is taken: in a map, a full disk would be a SIGBUS.

    Space is taken by writing. On ext4 ``posix_fallocate`` takes three times as long, and as much again when the file is
    removed: it allocates blocks. A write only reserves them until the file reaches the disk.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | CLOSE_ON_EXEC
    try:
        descriptor = os.open(name, flags, 0o600)
    except FileExistsError:
        remove_file(name)
        descriptor = os.open(name, flags, 0o600)
    try:
        give(descriptor, like)
        if content and write_at(descriptor, content, 0) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
    except BaseException:
        os.close(descriptor)
        remove_file(name)
        raise
    return descriptor


def make_lock_file(path: str, like: os.stat_result) -> None:
    """Make the lock file of an LMDB file anew. Only if no process has it open."""
    try:
        os.close(make_file(lock_path(path), like, bytes(LOCK_SIZE)))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        os.close(make_file(lock_path(path), like, bytes(_SMALL_LOCK_SIZE)))


def places_of_readers(lock: str) -> int:
    """How many readers an existing lock file has space for. For more, LMDB would enlarge the file without space."""
    try:
        size = os.stat(lock).st_size
    except OSError:
        return MAX_READERS
    return min(MAX_READERS, (size - _HEAD) // _PLACE) if size > _HEAD + _PLACE else MAX_READERS


def remove_file(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
