"""When a process began, and whether it runs: a later process may have the same number.

Linux tells it in ``/proc``, and macOS by ``sysctl``. Elsewhere it is not known.
"""

from __future__ import annotations

import functools
import struct
from typing import Any, NamedTuple

__all__ = ["Lifetime", "has_namespaces", "lifetime_of"]

_ENDED = frozenset(("Z", "X"))

# Of macOS's sys/sysctl.h and sys/proc.h: the names of the call, and what begins struct extern_proc (p_starttime as
# seconds and microseconds, two pointers, p_flag, p_stat, p_pid).
_CTL_KERN, _KERN_PROC, _KERN_PROC_PID = 1, 14, 1
_EXTERN_PROC = struct.Struct("@qi4x16xib3xi")
_LONGEST = 1024
_ZOMBIE = 5


class Lifetime(NamedTuple):
    """What is known of a process that has a number at this time.

    Attributes:
        start: when it began, as the kernel counts it since the boot.
        runs: whether it has not ended. One that has ended keeps its number until its parent asks for it.
    """

    start: int
    runs: bool


def lifetime_of(pid: int) -> Lifetime | None:
    """The lifetime of the process with this number; None if that is not known, or if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()  # the name before it may hold anything
        return Lifetime(int(fields[19]), fields[0].decode("ascii") not in _ENDED)
    except (OSError, IndexError, ValueError):
        return _told_by_sysctl(pid)


def has_namespaces() -> bool:
    """Whether the same number may mean several processes, each in a namespace of its own. macOS has none."""
    return _sysctl() is None


@functools.cache
def _sysctl() -> Any:
    """The call ``sysctl`` of macOS; None if the C library has none. The BSDs have another structure."""
    try:
        import ctypes

        library = ctypes.CDLL(None)
        return library.sysctl if hasattr(library, "proc_pidinfo") else None
    except (ImportError, OSError, AttributeError, TypeError):  # TypeError: Windows has no library of this process
        return None


def _told_by_sysctl(pid: int) -> Lifetime | None:
    ask = _sysctl()
    if ask is None:
        return None
    import ctypes

    names = (ctypes.c_int * 4)(_CTL_KERN, _KERN_PROC, _KERN_PROC_PID, pid)
    found = ctypes.create_string_buffer(_LONGEST)
    length = ctypes.c_size_t(_LONGEST)
    if ask(names, 4, found, ctypes.byref(length), None, ctypes.c_size_t(0)) or length.value < _EXTERN_PROC.size:
        return None
    return _in_structure(found.raw, pid)


def _in_structure(found: bytes, pid: int) -> Lifetime | None:
    seconds, microseconds, _, status, number = _EXTERN_PROC.unpack_from(found)
    if number != pid:
        return None
    return Lifetime(seconds * 1_000_000 + microseconds, status != _ZOMBIE)
