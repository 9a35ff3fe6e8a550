"""Calls that macOS has, too, with other numbers and structures: what coshelf finds in ``fcntl`` and in the C library.

The numbers are those of sys/fcntl.h and sys/mount.h of macOS. Each function makes the call of Linux.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Callable
from typing import Any

from lacking import PROC
from lacking.counting import note

__all__ = ["FUNCTIONS", "LOCKS_OF_OPEN_FILES", "LOCKS_OF_PROCESSES"]

_HERE = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux: type, whence, start, length, pid
_THERE = struct.Struct("qqihh")  # of macOS: start, length, pid, type, whence
_READ, _UNLOCK, _WRITE = 1, 2, 3
_KINDS = {_READ: fcntl.F_RDLCK, _UNLOCK: fcntl.F_UNLCK, _WRITE: fcntl.F_WRLCK}
_KINDS_THERE = {here: there for there, here in _KINDS.items()}
_COMMANDS = {
    7: fcntl.F_GETLK,
    8: fcntl.F_SETLK,
    9: fcntl.F_SETLKW,
    90: fcntl.F_OFD_SETLK,
    91: fcntl.F_OFD_SETLKW,
    92: fcntl.F_OFD_GETLK,
}
# sys/sysctl.h and sys/proc.h. A struct kinfo_proc begins with a struct extern_proc: start, pointers, flags, state, pid.
_KERN_PROC_PID = (1, 14, 1)
_EXTERN_PROC = struct.Struct("@qi4x16xib3xi")
_KINFO_LENGTH = 648
_RUNS, _ZOMBIE = 2, 5
_STATFS_WORD_AT, _STATFS_LENGTH = 72, 2168


def _fcntl(file: Any, command: int, argument: Any = 0, /) -> Any:
    if command not in _COMMANDS:
        return fcntl.fcntl(file, command, argument)
    start, length, pid, kind, whence = _THERE.unpack(argument)
    found = fcntl.fcntl(file, _COMMANDS[command], _HERE.pack(_KINDS[kind], whence, start, length, pid))
    here, whence, start, length, pid = _HERE.unpack(found)
    return _THERE.pack(start, length, pid, _KINDS_THERE[here], whence)


LOCKS_OF_PROCESSES: dict[str, Any] = {
    "fcntl.fcntl": _fcntl,
    "fcntl.F_GETLK": 7,
    "fcntl.F_SETLK": 8,
    "fcntl.F_SETLKW": 9,
    "fcntl.F_RDLCK": _READ,
    "fcntl.F_UNLCK": _UNLOCK,
    "fcntl.F_WRLCK": _WRITE,
}
"""What every macOS has."""
LOCKS_OF_OPEN_FILES = {"fcntl.F_OFD_SETLK": 90, "fcntl.F_OFD_SETLKW": 91, "fcntl.F_OFD_GETLK": 92}
"""What a Python has that was built with newer headers."""


def _statfs(path: bytes, found: Any) -> int:
    """Fill a struct statfs of macOS as far as it names the type of the file system, which is always APFS."""
    if not os.path.exists(path):
        ctypes.set_errno(errno.ENOENT)
        return -1
    ctypes.memset(found, 0, _STATFS_LENGTH)
    ctypes.memmove(ctypes.addressof(found) + _STATFS_WORD_AT, b"apfs", 4)
    return 0


def _sysctlbyname(name: bytes, found: Any, length: Any, _new: Any, _new_length: Any) -> int:
    """The id of the boot, which Linux has in /proc."""
    note(f"sysctl {name.decode()}")
    if name != b"kern.bootsessionuuid":
        ctypes.set_errno(errno.ENOENT)
        return -1
    boot = os.path.join(os.environ[PROC], "sys", "kernel", "random", "boot_id")
    with open(boot, "rb") as file:
        text = file.read().strip().upper() + b"\0"
    ctypes.memmove(found, text, len(text))
    length._obj.value = len(text)
    return 0


def _sysctl(names: Any, count: int, found: Any, length: Any, _new: Any, _new_length: Any) -> int:
    """Fill a struct kinfo_proc of macOS with the start and the state of a process. Its length is 0 if there is none."""
    if count != 4 or tuple(names[:3]) != _KERN_PROC_PID:
        ctypes.set_errno(errno.ENOENT)
        return -1
    try:
        with open(os.path.join(os.environ[PROC], str(names[3]), "stat"), "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
    except FileNotFoundError:
        length._obj.value = 0
        return 0
    seconds, ticks = divmod(int(fields[19]), os.sysconf("SC_CLK_TCK"))
    state = _ZOMBIE if fields[0] in {b"Z", b"X"} else _RUNS
    begin = _EXTERN_PROC.pack(seconds, ticks * 1_000_000 // os.sysconf("SC_CLK_TCK"), 0, state, names[3])
    ctypes.memmove(found, begin.ljust(_KINFO_LENGTH, b"\0"), _KINFO_LENGTH)
    length._obj.value = _KINFO_LENGTH
    return 0


def _proc_pidinfo(*_: Any) -> int:
    """Nothing is told so: this function is what tells macOS from other systems."""
    return 0


FUNCTIONS: dict[str, Callable[..., int]] = {
    "statfs": _statfs,
    "statfs$INODE64": _statfs,
    "sysctl": _sysctl,
    "sysctlbyname": _sysctlbyname,
    "proc_pidinfo": _proc_pidinfo,
}
"""Functions of the C library that ctypes finds."""
