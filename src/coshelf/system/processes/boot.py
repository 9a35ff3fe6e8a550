"""The boot of the machine: shared memory that a process left is of use only in the boot in which it was written.

Linux names each boot in ``/proc``. macOS names it by ``kern.bootsessionuuid``. Its ``kern.boottime`` is not used: it
changes when the clock is set, and what a process had left would then seem to be of another boot.
"""

from __future__ import annotations

import functools
import os

from coshelf.system.files.flags import CLOSE_ON_EXEC

__all__ = ["boot_id"]

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_NAME = (
    b"kern.bootsessionuuid"  # of sysctlbyname, in xnu's bsd/kern/kern_sysctl.c; a UUID as text, 37 bytes with its end
)
_LONGEST = 64
_SIZE = 16


def boot_id() -> bytes | None:
    """The id of this boot, 16 bytes; None if boots cannot be told apart. Raises OSError."""
    try:
        descriptor = os.open(_BOOT_ID, os.O_RDONLY | CLOSE_ON_EXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return _told_by_sysctl()
    try:
        return parsed(os.read(descriptor, _LONGEST))
    finally:
        os.close(descriptor)


def parsed(text: bytes) -> bytes | None:
    """The 16 bytes of a UUID; None for anything else: some sandboxes have an empty file, the same in every boot."""
    try:
        found = bytes.fromhex(text.strip(b" \n\0").replace(b"-", b"").decode("ascii"))
    except ValueError:
        return None
    return found if len(found) == _SIZE else None


@functools.cache
def _told_by_sysctl() -> bytes | None:
    try:
        import ctypes

        ask = ctypes.CDLL(None).sysctlbyname
    except (ImportError, OSError, AttributeError, TypeError):  # no ctypes, or no such call
        return None
    found = ctypes.create_string_buffer(_LONGEST)
    length = ctypes.c_size_t(_LONGEST)
    if ask(_NAME, found, ctypes.byref(length), None, ctypes.c_size_t(0)):
        return None
    return parsed(found.raw[: length.value])
