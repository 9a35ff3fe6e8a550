"""The module ``msvcrt`` with the locks of Windows, over locks of open file descriptions.

Microsoft's page on ``_locking``: the bytes begin at the position of the descriptor; they may lie behind the end of the
file; a region that overlaps a locked one cannot be locked, by nobody; a region is unlocked as it was locked. A lock
belongs to the descriptor and ends with it; a child does not inherit it. Other descriptors can neither read nor write
locked bytes (:func:`refuse_locked`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from types import ModuleType

from lacking.counting import note

__all__ = ["forget", "msvcrt", "refuse_locked"]

_LOCK = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux
_LK_UNLCK, _LK_LOCK, _LK_NBLCK, _LK_RLCK, _LK_NBRLCK = range(5)
_ATTEMPTS = 10
_PAUSE = 1.0
_regions: dict[tuple[int, int, int], set[tuple[int, int]]] = {}
"""The locked regions by descriptor, device and inode: a later file may have the number of the descriptor."""


def _locking(fd: int, mode: int, nbytes: int, /) -> None:
    if nbytes < 0:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    region = (os.lseek(fd, 0, os.SEEK_CUR), nbytes)
    if mode == _LK_UNLCK:
        _unlock(fd, region)
    elif mode in {_LK_NBLCK, _LK_NBRLCK}:
        if not _lock(fd, region):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    elif mode in {_LK_LOCK, _LK_RLCK}:
        for _ in range(_ATTEMPTS):
            if _lock(fd, region):
                return
            time.sleep(_PAUSE)
        raise OSError(errno.EDEADLK, os.strerror(errno.EDEADLK))
    else:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def _lock(fd: int, region: tuple[int, int]) -> bool:
    start, length = region
    mine = _regions.setdefault(_place(fd), set())
    if any(start < at + size and at < start + length for at, size in mine) or not length:
        return False
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0))
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EAGAIN}:
            raise
        note("a locked region")
        return False
    mine.add(region)
    return True


def _unlock(fd: int, region: tuple[int, int]) -> None:
    if region not in _regions.get(_place(fd), set()):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _LOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, *region, 0))
    _regions[_place(fd)].discard(region)


def _place(fd: int) -> tuple[int, int, int]:
    found = os.fstat(fd)
    return fd, found.st_dev, found.st_ino


def forget(fd: int) -> None:
    """A descriptor is new, or about to be closed: its locks end with it."""
    for region in sorted(_regions.pop(_place(fd), ())):
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _LOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, *region, 0))


def refuse_locked(fd: int, length: int) -> None:
    """Raise PermissionError if another descriptor has locked some of the bytes that are about to be read or written."""
    if not length:
        return
    try:
        start = os.lseek(fd, 0, os.SEEK_CUR)
        found = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0))
    except OSError:  # a pipe has no position
        return
    if _LOCK.unpack(found)[0] != fcntl.F_UNLCK:
        note("bytes of a locked region")
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def msvcrt() -> ModuleType:
    """The module as coshelf finds it."""
    module = ModuleType("msvcrt", "What the profile gives of the C library of Windows.")
    names = {
        "LK_UNLCK": _LK_UNLCK,
        "LK_LOCK": _LK_LOCK,
        "LK_NBLCK": _LK_NBLCK,
        "LK_RLCK": _LK_RLCK,
        "LK_NBRLCK": _LK_NBRLCK,
    }
    vars(module).update(
        names, locking=_locking, setmode=_set_mode, get_osfhandle=int, open_osfhandle=lambda handle, _: handle
    )
    return module


def _set_mode(fd: int, flags: int, /) -> int:
    from lacking.windows_files import set_text

    return set_text(fd, flags)
