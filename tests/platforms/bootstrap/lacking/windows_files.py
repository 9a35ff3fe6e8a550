"""Functions of ``os``, ``mmap`` and ``select`` that exist on Windows, too, and do something else there.

Each calls the function of Linux and adds what Windows refuses or changes.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import mmap
import os
import select
import socket
import stat
from collections.abc import Callable
from typing import Any

from lacking import windows_locks
from lacking.counting import note

__all__ = ["of_mmap", "of_os", "select_sockets", "set_text"]

# Bits that Linux does not use: with the numbers of Windows, O_NOINHERIT would be O_EXCL.
_BINARY, _TEXT, _NO_INHERIT, _TEMPORARY, _SHORT_LIVED, _SEQUENTIAL, _RANDOM = (1 << bit for bit in range(24, 31))
_OWN = _BINARY | _TEXT | _NO_INHERIT | _TEMPORARY | _SHORT_LIVED | _SEQUENTIAL | _RANDOM
_CURRENT_DIRECTORY, _NO_REPLACE = -100, 1  # of renameat2
_NOT_A_SOCKET = 10038
_text: set[int] = set()
"""Descriptors in text mode: what is written there has its line ends changed."""


def of_os() -> dict[str, Any]:
    """What modules of coshelf find in ``os`` instead."""
    found: dict[str, Any] = {
        "name": "nt",
        "O_BINARY": _BINARY,
        "O_TEXT": _TEXT,
        "O_NOINHERIT": _NO_INHERIT,
        "O_TEMPORARY": _TEMPORARY,
        "O_SHORT_LIVED": _SHORT_LIVED,
        "O_SEQUENTIAL": _SEQUENTIAL,
        "O_RANDOM": _RANDOM,
        "open": _open,
        "close": _close,
        "read": _read,
        "write": _write,
        "fsync": _fsync,
        "kill": _kill,
        "stat": _stat,
        "lstat": _lstat,
        "fstat": _fstat,
        "rename": _rename,
        "chmod": _chmod,
        "supports_dir_fd": set(),
        "supports_fd": {_stat, os.truncate},
        "supports_follow_symlinks": {_stat},
        "supports_effective_ids": set(),
        "supports_bytes_environ": False,
    }
    for name in ("access", "link", "mkdir", "readlink", "remove", "replace", "rmdir", "symlink", "unlink", "utime"):
        found[name] = _without_directories(name)
    for name in ("listdir", "scandir", "chdir"):
        found[name] = _with_paths_only(name)
    return found


def _refuse_directories(options: dict[str, Any]) -> None:
    for name in ("dir_fd", "src_dir_fd", "dst_dir_fd"):
        if options.pop(name, None) is not None:
            note("dir_fd")
            raise NotImplementedError(f"{name} unavailable on this platform")


def _without_directories(name: str) -> Callable[..., Any]:
    @functools.wraps(getattr(os, name))
    def function(*arguments: Any, **options: Any) -> Any:
        _refuse_directories(options)
        if arguments and isinstance(arguments[0], int):
            raise TypeError(f"{name}: path should be string, bytes or os.PathLike, not int")
        return getattr(os, name)(*arguments, **options)

    return function


def _with_paths_only(name: str) -> Callable[..., Any]:
    @functools.wraps(getattr(os, name))
    def function(path: Any = ".") -> Any:
        if isinstance(path, int):
            note(f"{name} of a descriptor")
            raise TypeError(f"{name}: path should be string, bytes, os.PathLike or None, not int")
        return getattr(os, name)(path)

    return function


def _open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    _refuse_directories({"dir_fd": dir_fd})
    if os.path.isdir(path):
        note("open of a directory")
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    descriptor = os.open(path, flags & ~_OWN | os.O_CLOEXEC, mode)
    windows_locks.forget(descriptor)
    set_text(descriptor, flags if flags & _BINARY else _TEXT)
    return descriptor


def set_text(descriptor: int, flags: int) -> int:
    """Set whether a descriptor is in text mode, and return what it was before."""
    before = _TEXT if descriptor in _text else _BINARY
    (_text.add if flags & _TEXT else _text.discard)(descriptor)
    return before


def _close(descriptor: int) -> None:
    _text.discard(descriptor)
    windows_locks.forget(descriptor)
    os.close(descriptor)


def _read(descriptor: int, length: int, /) -> bytes:
    windows_locks.refuse_locked(descriptor, length)
    found = os.read(descriptor, length)
    if descriptor in _text and (b"\r\n" in found or b"\x1a" in found):
        note("a read in text mode")
        return found.partition(b"\x1a")[0].replace(b"\r\n", b"\n")
    return found


def _write(descriptor: int, data: Any, /) -> int:
    windows_locks.refuse_locked(descriptor, len(memoryview(data).cast("B")) if data else 0)
    if descriptor in _text and b"\n" in bytes(data):
        note("a write in text mode")
        os.write(descriptor, bytes(data).replace(b"\n", b"\r\n"))
        return len(bytes(data))
    return os.write(descriptor, data)


def _fsync(file: Any) -> None:
    import fcntl

    descriptor = file if isinstance(file, int) else file.fileno()
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        note("fsync of what cannot be written")
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    os.fsync(descriptor)


def _kill(pid: int, signal: int, /) -> None:
    if signal == 0:  # CTRL_C_EVENT; every other number ends the process
        note("os.kill(pid, 0), which interrupts the process on Windows")
        raise AssertionError("os.kill(pid, 0) interrupts the process on Windows")
    os.kill(pid, signal)


class _Found:
    """What ``os.stat`` finds: no owners, no permissions of others, no blocks."""

    def __init__(self, real: os.stat_result) -> None:
        kind = stat.S_IFMT(real.st_mode)
        write, search = 0o666 if real.st_mode & 0o200 else 0o444, 0o111 if stat.S_ISDIR(kind) else 0
        self._real = real
        self.st_mode = kind | write | search
        self.st_uid = self.st_gid = 0

    def __getattr__(self, name: str) -> Any:
        if name in {"st_blocks", "st_blksize", "st_rdev"}:
            note(f"stat_result.{name}")
            raise AttributeError(f"'os.stat_result' object has no attribute {name!r}")
        return getattr(self._real, name)

    def __getitem__(self, place: int) -> Any:
        return (self.st_mode, *self._real[1:4], 0, 0, *self._real[6:])[place]


def _stat(path: Any, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> Any:
    _refuse_directories({"dir_fd": dir_fd})
    return _Found(os.stat(path, follow_symlinks=follow_symlinks))


def _lstat(path: Any, *, dir_fd: int | None = None) -> Any:
    _refuse_directories({"dir_fd": dir_fd})
    return _Found(os.lstat(path))


def _fstat(fd: int) -> Any:
    return _Found(os.fstat(fd))


def _rename(src: Any, dst: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
    _refuse_directories({"src_dir_fd": src_dir_fd, "dst_dir_fd": dst_dir_fd})
    if os.path.lexists(dst) and os.path.samefile(src, dst):  # another spelling of the name
        os.rename(src, dst)
        return
    rename = ctypes.CDLL(None, use_errno=True).renameat2
    if rename(_CURRENT_DIRECTORY, os.fsencode(src), _CURRENT_DIRECTORY, os.fsencode(dst), _NO_REPLACE) < 0:
        number = ctypes.get_errno()
        if number == errno.EEXIST:
            note("rename over a file")
        raise OSError(number, os.strerror(number), src, None, dst)


def _chmod(path: Any, mode: int, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> None:
    _refuse_directories({"dir_fd": dir_fd})
    if isinstance(path, int):
        raise TypeError("chmod: path should be string, bytes or os.PathLike, not int")
    found = stat.S_IMODE(os.stat(path).st_mode)
    os.chmod(path, found | 0o200 if mode & stat.S_IWRITE else found & ~0o222)


def of_mmap() -> dict[str, Any]:
    """What modules of coshelf find in ``mmap`` instead."""

    class Map(mmap.mmap):
        def __new__(
            cls,
            fileno: int,
            length: int,
            tagname: str | None = None,
            access: int = mmap.ACCESS_DEFAULT,
            offset: int = 0,
        ) -> Any:
            return super().__new__(cls, fileno, length, access=access, offset=offset)

        def __getattribute__(self, name: str) -> Any:
            if name == "madvise":
                note("mmap.madvise")
                raise AttributeError("'mmap.mmap' object has no attribute 'madvise'")
            return super().__getattribute__(name)

    return {"mmap": Map, "ALLOCATIONGRANULARITY": 65536}


def select_sockets(rlist: Any, wlist: Any, xlist: Any, timeout: float | None = None, /) -> Any:
    """``select.select``, for sockets only."""
    for each in (*rlist, *wlist, *xlist):
        descriptor = each if isinstance(each, int) else each.fileno()
        if not isinstance(each, socket.socket) and not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            note("select of what is not a socket")
            raise OSError(_NOT_A_SOCKET, "An operation was attempted on something that is not a socket")
    return select.select(rlist, wlist, xlist, timeout)
