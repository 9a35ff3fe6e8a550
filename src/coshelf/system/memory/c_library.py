"""Which C library this process runs on, and how that lays out its mutexes in shared memory.

Each C library does so in its own way, though sizes may be equal: a mutex of glibc and one of musl both take 40 bytes on
x86-64. So what has a mutex in it also names the C library that made it, and no process uses the mutex of another one.
"""

from __future__ import annotations

import functools
import os
import platform
import sys
from typing import NamedTuple

__all__ = ["C_LIBRARIES", "GLIBC", "OTHER", "MutexLayout", "c_library", "mutex_layout"]

GLIBC, OTHER = 1, 2
C_LIBRARIES = {GLIBC: "glibc", OTHER: "a C library other than glibc, as musl is"}
"""The C libraries, by the numbers that files name them with."""

_SIZES_IN_GLIBC = {"x86_64": 40, "aarch64": 48, "riscv64": 40, "loongarch64": 40, "s390x": 40, "ppc64le": 40}
_SIZE_IN_MUSL = 40  # on each machine with 64 bits


class MutexLayout(NamedTuple):
    """Where a robust mutex for several processes has what.

    Attributes:
        size: its bytes.
        word_at: the place of its word: the thread that holds it, with bits, or 0. The kernel wakes sleepers there.
        kind_at: the place of the word with its kind.
        kind: what that word is.
    """

    size: int
    word_at: int
    kind_at: int
    kind: int


@functools.cache
def c_library() -> int:
    """The number of the C library that this process runs on."""
    try:
        return GLIBC if os.confstr("CS_GNU_LIBC_VERSION") else OTHER
    except (AttributeError, OSError, ValueError):  # the system, Python or the C library does not know this name
        return OTHER


def mutex_layout() -> MutexLayout | None:
    """How this process's C library lays out a mutex; None if that is not known.

    Of other C libraries this knows musl, and cannot tell it from the rest. So the kind is to be compared first.
    """
    if sys.platform != "linux" or sys.maxsize < 1 << 32:
        return None
    if c_library() == OTHER:
        return MutexLayout(_SIZE_IN_MUSL, word_at=4, kind_at=0, kind=0x84)
    size = _SIZES_IN_GLIBC.get(platform.machine())
    return None if size is None else MutexLayout(size, word_at=0, kind_at=16, kind=0x90)
