"""The type of a file system by the call ``statfs``: where the table of mounts in ``/proc`` cannot be read.

macOS tells it as a word (``f_fstypename`` of its sys/mount.h). Linux tells a number (linux/magic.h), which is the same
for all file systems of FUSE.
"""

from __future__ import annotations

import functools
import os
import platform
import sys
from typing import Any

__all__ = ["type_by_statfs"]

_LENGTH = 4096  # both structures are shorter
_WORD_AT, _WORD_LENGTH = 72, 16
_NUMBER_LENGTH = 4  # the upper half of the number is 0

_NUMBERS = {
    0x01021997: "9p",
    0x6B414653: "afs",
    0x5346414F: "afs",
    0x00C36400: "ceph",
    0xFF534D42: "cifs",
    0xFE534D42: "smb3",
    0x517B: "smbfs",
    0x73757245: "coda",
    0x01161970: "gfs2",
    0x47504653: "gpfs",
    0x0BD00BD0: "lustre",
    0x564C: "ncpfs",
    0x6969: "nfs",
    0x7461636F: "ocfs2",
    0x786F4256: "vboxsf",
    0xBACBACBC: "vmhgfs",
    0x65735546: "fuse",
}


def type_by_statfs(path: str) -> str | None:
    """The type of the file system of a path that exists; None if it is not known. Raises OSError."""
    kernel, call = platform.system(), _call()
    if call is None or kernel not in ("Linux", "Darwin"):
        return None
    import ctypes

    found = ctypes.create_string_buffer(_LENGTH)
    if call(os.fsencode(path), found):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    if kernel == "Linux":
        return type_of_number(found.raw)
    return found.raw[_WORD_AT:][:_WORD_LENGTH].partition(b"\0")[0].decode("ascii", "replace") or None


def type_of_number(found: bytes) -> str | None:
    """The type that the first field of Linux's structure says; None if it is none of those that kernels share."""
    at = 0 if sys.byteorder == "little" else 4
    return _NUMBERS.get(int.from_bytes(found[at : at + _NUMBER_LENGTH], sys.byteorder))


@functools.cache
def _call() -> Any:
    try:
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        # On Intel macOS the call without an ending gives an older structure.
        return library["statfs$INODE64"] if hasattr(library, "statfs$INODE64") else library.statfs
    except (ImportError, OSError, AttributeError, TypeError):  # TypeError: Windows has no library of this process
        return None
