"""Access control lists as Linux has them: extended attributes of files, with POSIX lists and those of NFS 4."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from coshelf.system.files import flags

__all__ = ["Named", "exist", "named_writers", "named_writers_of_new_files", "nfs_names_a_writer"]

exist = hasattr(os, "getxattr")
"""Whether the system shows lists so."""

_ACCESS, _DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
_POSIX_ENTRY = struct.Struct("<HHI")  # tag, permissions, user or group; 4 bytes of a version come first
_USER, _GROUP_OBJECT, _GROUP, _MASK, _OTHER = 2, 4, 8, 16, 32
_WRITE = 2

_NFS, _NFS_OF_ZFS = "system.nfs4_acl", "system.nfs4_acl_xdr"
_NFS_ENTRY = struct.Struct(">IIII")  # type, flags, permissions, length of the name
_NFS_ALLOW = 0
# Write data, append (in a directory: add files and directories), delete a child, change the list, take ownership.
_NFS_WRITE = 0x2 | 0x4 | 0x40 | 0x40000 | 0x80000
_NFS_OWNERS = (b"OWNER@", b"GROUP@", b"EVERYONE@")  # the mode covers these

_NO_LIST = frozenset((errno.ENODATA, errno.ENOTSUP, errno.EOPNOTSUPP))
_GONE = frozenset((errno.ENOENT, errno.ELOOP))


class Named(NamedTuple):
    """Those that a POSIX list lets write: users and groups by number, the owning group, all others."""

    users: frozenset[int]
    groups: frozenset[int]
    owning_group: bool
    others: bool


def named_writers(opened: int | str) -> Named | None:
    """What the list of a file says; None if it has none. Raises OSError if it cannot be read."""
    found = _attribute(opened, _ACCESS)
    return None if found is None else _named_in(found)


def named_writers_of_new_files(opened: int | str) -> Named | None:
    """What the default list of a directory says; None if it has none. Raises OSError if it cannot be read."""
    found = _attribute(opened, _DEFAULT)
    return None if found is None else _named_in(found)


def nfs_names_a_writer(opened: int | str) -> bool:
    """Whether an access control list of NFS 4 lets a named user or group change the file. Raises OSError."""
    found = _attribute(opened, _NFS)
    if found is not None:
        return _names_a_writer(found)
    if _attribute(opened, _NFS_OF_ZFS) is not None:
        raise OSError(errno.ENOTSUP, "this form of a list is not known")
    return False


def _attribute(opened: int | str, name: str) -> bytes | None:
    try:
        if isinstance(opened, str):
            return os.getxattr(opened, name, follow_symlinks=False)
        return _attribute_of_open_file(opened, name)
    except OSError as error:
        if error.errno in _NO_LIST or (isinstance(opened, str) and error.errno in _GONE):
            return None
        raise


def _attribute_of_open_file(descriptor: int, name: str) -> bytes:
    try:
        return os.getxattr(descriptor, name)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
    # The attributes of a descriptor of O_PATH can be read only by its name, or by opening the directory to read it.
    try:
        return os.getxattr(f"/proc/self/fd/{descriptor}", name)
    except FileNotFoundError:  # there is no /proc
        again = os.open(".", os.O_RDONLY | flags.DIRECTORY | flags.CLOSE_ON_EXEC, dir_fd=descriptor)
        try:
            return os.getxattr(again, name)
        finally:
            os.close(again)


def _entries(listed: bytes) -> Iterator[tuple[int, int, int]]:
    yield from _POSIX_ENTRY.iter_unpack(listed[4 : len(listed) - (len(listed) - 4) % _POSIX_ENTRY.size])


def _named_in(listed: bytes) -> Named:
    """Those beside the owner that may write, within the mask of the list."""
    entries = list(_entries(listed))
    mask = next((rights for tag, rights, _ in entries if tag == _MASK), _WRITE)
    writing = [(tag, number) for tag, rights, number in entries if rights & mask & _WRITE]
    return Named(
        frozenset(number for tag, number in writing if tag == _USER),
        frozenset(number for tag, number in writing if tag == _GROUP),
        any(tag == _GROUP_OBJECT for tag, _ in writing),
        any(tag == _OTHER and rights & _WRITE for tag, rights, _ in entries),
    )


def _names_a_writer(listed: bytes) -> bool:
    at = 4
    while at + _NFS_ENTRY.size <= len(listed):
        kind, _, rights, length = _NFS_ENTRY.unpack_from(listed, at)
        name = listed[at + _NFS_ENTRY.size :][:length]
        if kind == _NFS_ALLOW and rights & _NFS_WRITE and name not in _NFS_OWNERS:
            return True
        at += _NFS_ENTRY.size + length + -length % 4
    return False
