"""Has the kernel refuse system calls to this process and to all that it starts (seccomp).

The filter is a program for the kernel's packet filter (``linux/filter.h``), written out here. It stays over ``fork``
and ``exec``, and nothing takes it away.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable

from lacking.facility import Refused

__all__ = ["NUMBERS", "call", "empty_proc", "refuse"]

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
NUMBERS = {  # on x86_64, and on aarch64, which lacks some
    "copy_file_range": (326, 285),
    "fallocate": (285, 47),
    "fcntl": (72, 25),
    "fgetxattr": (193, 10),
    "flock": (73, 32),
    "fsetxattr": (190, 7),
    "fstatfs": (138, 44),
    "getxattr": (191, 8),
    "inotify_add_watch": (254, 27),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "lgetxattr": (192, 9),
    "listxattr": (194, 11),
    "lsetxattr": (189, 6),
    "membarrier": (324, 283),
    "memfd_create": (319, 279),
    "open": (2, None),
    "openat": (257, 56),
    "pidfd_open": (434, 434),
    "renameat2": (316, 276),
    "setxattr": (188, 5),
    "statfs": (137, 43),
    "syncfs": (306, 267),
}

_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_BITS, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_SET_SECCOMP, _NO_NEW_PRIVILEGES, _FILTER = 22, 38, 2
_NEW_MOUNTS, _RECURSIVE_PRIVATE = 0x00020000, (1 << 14) | (1 << 18)
_BIND = 4096


def _number(name: str) -> int | None:
    return NUMBERS[name][list(_ARCHITECTURES).index(platform.machine())]


def _statement(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("HBBI", code, then, otherwise, value)


def _program(refused: Iterable[Refused]) -> bytes:
    """The filter: each refused call with its conditions, one after the other; all else is allowed."""
    steps = [
        _statement(_LOAD, _ARCHITECTURE_AT),
        _statement(_JUMP_IF_EQUAL, _ARCHITECTURES[platform.machine()], then=1),
        _statement(_RETURN, _ALLOW),
    ]
    for each in refused:
        number = _number(each.call)
        if number is None:
            continue
        ends = [_statement(_RETURN, _ERROR | getattr(errno, each.error))]
        if each.argument is not None:
            tests = [_statement(_LOAD, _ARGUMENTS_AT + 8 * each.argument)]
            conditions = [(_JUMP_IF_EQUAL, value) for value in each.values] or [(_JUMP_IF_BITS, each.bits)]
            for place, (code, value) in enumerate(conditions):
                is_last = place == len(conditions) - 1
                tests.append(_statement(code, value, then=len(conditions) - 1 - place, otherwise=int(is_last)))
            ends = tests + ends
        steps += [
            _statement(_LOAD, _NUMBER_AT),
            _statement(_JUMP_IF_EQUAL, number, otherwise=len(ends)),
            *ends,
        ]
    return b"".join([*steps, _statement(_RETURN, _ALLOW)])


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _succeeds(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def refuse(refused: Iterable[Refused]) -> None:
    """Refuse these calls to this process from now on."""
    program = _program(refused)
    code = ctypes.create_string_buffer(program, len(program))
    filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)))
    if os.geteuid() != 0:
        _succeeds(_library().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "no new privileges")
    _succeeds(_library().prctl(_SET_SECCOMP, _FILTER, filter, 0, 0), "seccomp")


def empty_proc(kept: str) -> None:
    """Have ``/proc`` be empty for this process and its children. ``kept`` is a directory where it can still be read."""
    library = _library()
    _succeeds(library.unshare(_NEW_MOUNTS), "unshare")
    _succeeds(library.mount(b"none", b"/", None, ctypes.c_ulong(_RECURSIVE_PRIVATE), None), "make mounts private")
    _succeeds(library.mount(b"/proc", os.fsencode(kept), None, ctypes.c_ulong(_BIND), None), f"keep /proc at {kept}")
    _succeeds(library.mount(b"none", b"/proc", b"tmpfs", ctypes.c_ulong(0), None), "cover /proc")


def call(name: str, *arguments: int | bytes | None) -> int:
    """Make a system call. The error number if it was refused, else 0. A descriptor that it returns is closed."""
    number = _number(name)
    if number is None:
        return errno.ENOSYS
    function = _library().syscall
    function.restype = ctypes.c_long
    result = function(*(ctypes.c_long(each) if isinstance(each, int) else each for each in (number, *arguments)))
    if result < 0:
        return ctypes.get_errno()
    if name in {"inotify_init", "inotify_init1", "memfd_create", "pidfd_open", "openat"}:
        os.close(result)
    return 0
