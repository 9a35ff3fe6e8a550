"""The users and groups that may write a file or a directory, by its owner, mode and access control list."""

from __future__ import annotations

import errno
import os
import stat
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Writers", "is_member", "writers_of", "writers_of_new_files"]

_POSIX_ENTRY = struct.Struct("<HHI")  # tag, permissions, user or group; 4 bytes of a version come first
_USER_OBJECT, _USER, _GROUP_OBJECT, _GROUP, _MASK, _OTHER = 1, 2, 4, 8, 16, 32
_WRITE = 2

_NFS_ENTRY = struct.Struct(">IIII")  # type, flags, permissions, length of the name
_NFS_ALLOW = 0
# Write data, append (in a directory: add files and directories), delete a child, change the list, take ownership.
_NFS_WRITE = 0x2 | 0x4 | 0x40 | 0x40000 | 0x80000
_NFS_OWNERS = (b"OWNER@", b"GROUP@", b"EVERYONE@")  # the mode covers these

_NO_LIST = {errno.ENODATA, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOENT, errno.EBADF, errno.EPERM, errno.ELOOP}


@dataclass(frozen=True, slots=True)
class Writers:
    """Users and groups by number. The owner is one of the users, because it can give itself every right."""

    users: frozenset[int]
    groups: frozenset[int]
    everybody: bool


def writers_of(found: os.stat_result, opened: int | str) -> Writers:
    """The users and groups that may write a file. ``opened`` is its descriptor or path, for the access control list."""
    groups = frozenset((found.st_gid,)) if found.st_mode & stat.S_IWGRP else frozenset()
    users = frozenset((found.st_uid,))
    # If the list lets a named user or a group write, the mode also shows the group's right to write.
    if groups:
        listed = _attribute(opened, "system.posix_acl_access")
        if listed is not None:
            named, groups = _writers_in(listed, found.st_gid)
            users |= named
    everybody = bool(found.st_mode & stat.S_IWOTH) or _nfs_names_a_writer(opened)
    return Writers(users, groups, everybody)


def writers_of_new_files(opened: int | str) -> Writers:
    """The users and groups that may write new files in a directory, by its default access control list."""
    listed = _attribute(opened, "system.posix_acl_default")
    if listed is None:
        return Writers(frozenset(), frozenset(), False)
    users, groups = _writers_in(listed, None)
    return Writers(users, groups, any(tag == _OTHER and rights & _WRITE for tag, rights, _ in _entries(listed)))


def _attribute(opened: int | str, name: str) -> bytes | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        if isinstance(opened, str):
            return os.getxattr(opened, name, follow_symlinks=False)
        try:
            return os.getxattr(opened, name)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            # The attributes of a descriptor of O_PATH can be read only by its name in /proc.
            return os.getxattr(f"/proc/self/fd/{opened}", name)
    except OSError as error:
        if error.errno not in _NO_LIST:
            raise
        return None


def _entries(listed: bytes) -> Iterator[tuple[int, int, int]]:
    yield from _POSIX_ENTRY.iter_unpack(listed[4 : len(listed) - (len(listed) - 4) % _POSIX_ENTRY.size])


def _writers_in(listed: bytes, owner_group: int | None) -> tuple[frozenset[int], frozenset[int]]:
    """The users and groups beside the owner that may write, within the mask of the list."""
    entries = list(_entries(listed))
    mask = next((rights for tag, rights, _ in entries if tag == _MASK), _WRITE)
    writing = [(tag, number) for tag, rights, number in entries if rights & mask & _WRITE]
    groups = {number for tag, number in writing if tag == _GROUP}
    if owner_group is not None and any(tag == _GROUP_OBJECT for tag, _ in writing):
        groups.add(owner_group)
    return frozenset(number for tag, number in writing if tag == _USER), frozenset(groups)


def _nfs_names_a_writer(opened: int | str) -> bool:
    """Whether an access control list of NFS 4 lets a named user or group change the file."""
    listed = _attribute(opened, "system.nfs4_acl")
    if listed is None:
        return False
    at = 4
    while at + _NFS_ENTRY.size <= len(listed):
        kind, _, rights, length = _NFS_ENTRY.unpack_from(listed, at)
        name = listed[at + _NFS_ENTRY.size :][:length]
        if kind == _NFS_ALLOW and rights & _NFS_WRITE and name not in _NFS_OWNERS:
            return True
        at += _NFS_ENTRY.size + length + -length % 4
    return False


def is_member(user: int, group: int) -> bool:
    """Whether a user is in a group, as far as the system knows both."""
    import grp
    import pwd

    try:
        account = pwd.getpwuid(user)
    except KeyError:
        return False
    if account.pw_gid == group:
        return True
    try:
        return account.pw_name in grp.getgrgid(group).gr_mem
    except KeyError:
        return False
