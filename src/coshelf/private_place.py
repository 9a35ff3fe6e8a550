"""Whether a file, and the directory that it lies in, can be written by nobody but this user."""

from __future__ import annotations

import os
import stat

__all__ = ["exposure", "exposure_of", "exposure_of_directory", "exposure_of_folder"]

_OTHERS, _GROUP = stat.S_IWOTH, stat.S_IWGRP


def exposure(path: str) -> str | None:
    """Why somebody else could write a file, in words; None if nobody can, or there is no such file."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return f"{path} is no regular file"
    return exposure_of(path, found)


def exposure_of_directory(path: str) -> str | None:
    """Why somebody else could put a file into a directory in the place of this user's; None if nobody can.

    A directory of root's is as good as one's own, and in a sticky one (/tmp) a file can be replaced only by its owner.
    """
    found = os.stat(path)
    if found.st_mode & stat.S_ISVTX:
        return None
    return exposure_of(path, found, also_roots=True)


def exposure_of_folder(path: str) -> str | None:
    """As :func:`exposure`, of a folder in which nobody else is to have a file; None if it is not there."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISDIR(found.st_mode):
        return f"{path} is no folder"
    return exposure_of(path, found)


def exposure_of(path: str, found: os.stat_result, *, also_roots: bool = False) -> str | None:
    """As :func:`exposure`, of what has been looked at already."""
    user = os.geteuid()
    if found.st_uid != user and not (also_roots and found.st_uid == 0):
        return f"{path} belongs to {_user(found.st_uid)}"
    if found.st_mode & _OTHERS:
        return f"everybody can write {path}"
    if found.st_mode & _GROUP and not _is_own_group(found.st_gid):
        return f"the group {_group(found.st_gid)} can write {path}"
    return None


def _is_own_group(number: int) -> bool:
    """Whether a group is this user's alone, as many systems give each user one, and a umask of 002."""
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(number)
    except KeyError:
        return False
    return number == user.pw_gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def _user(number: int) -> str:
    import pwd

    try:
        return f"the user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"the user {number}"


def _group(number: int) -> str:
    import grp

    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
