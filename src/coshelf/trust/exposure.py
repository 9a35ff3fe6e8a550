"""Which other users could write a file, or replace it in one of the directories above it."""

from __future__ import annotations

import os
import stat

from coshelf.trust.writers import Writers, is_member, writers_of, writers_of_new_files

__all__ = [
    "exposure_above",
    "exposure_of",
    "exposure_of_folder",
    "exposure_to_others_than",
]

_ROOT = 0
_SEARCH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


def exposure_of_folder(path: str) -> str | None:
    """Like :func:`exposure_of`, for a folder in which no other user may make files. None if it does not exist."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISDIR(found.st_mode):
        return f"{path} is not a folder"
    return exposure_of(path, found)


def exposure_of(path: str, found: os.stat_result, opened: int | str | None = None) -> str | None:
    """How another user could write a file, in words; None if no other user can. ``opened``: its descriptor or path."""
    return _exposure_to_others(path, found, path if opened is None else opened, also_roots=False)


def exposure_above(path: str, found: os.stat_result) -> str | None:
    """How another user could replace the file that was found at a path; None if no other user can.

    The directory must hold that very file. Each directory is opened relative to the one below it, so no user can
    exchange one in between. In a sticky directory (/tmp), only the owner of an entry and the owner of the directory can
    replace the entry.
    """
    place, name = os.path.split(path)
    try:
        descriptor = os.open(place or ".", _SEARCH)
    except OSError as error:
        return f"{place} cannot be examined: {error.strerror}"
    try:
        if not os.path.samestat(os.stat(name or ".", dir_fd=descriptor), found):
            return f"{path} leads to another file than the one that is open"
        exposed = _exposure_to_new_files(place, _name_of(descriptor))
        entry, directory = found, os.fstat(descriptor)
        while exposed is None:
            exposed = _exposure_of_entry(place, directory, _name_of(descriptor), entry)
            above = os.open("..", _SEARCH, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = above
            place, entry, directory = os.path.dirname(place) or "/", directory, os.fstat(descriptor)
            if os.path.samestat(directory, entry):
                break
        return exposed
    except OSError as error:
        return f"{place} cannot be examined: {error.strerror}"
    finally:
        os.close(descriptor)


def _name_of(directory: int) -> str:
    """A name for an open directory. The access control list of a descriptor of O_PATH is read by such a name only."""
    return f"/proc/self/fd/{directory}/."


def _exposure_of_entry(path: str, directory: os.stat_result, opened: str, entry: os.stat_result) -> str | None:
    """How another user could exchange an entry of a directory."""
    if not directory.st_mode & stat.S_ISVTX:
        return _exposure_to_others(path, directory, opened, also_roots=True)
    for owner in (directory.st_uid, entry.st_uid):
        if owner not in (_ROOT, os.geteuid()):
            return f"{path} or what is used in it belongs to {_user(owner)}"
    return None


def _exposure_to_new_files(path: str, opened: str) -> str | None:
    default = writers_of_new_files(opened)
    if default.everybody or default.users - {_ROOT, os.geteuid()} or default.groups:
        return f"other users can write new files in {path}, by its default access control list"
    return None


def _exposure_to_others(path: str, found: os.stat_result, opened: int | str, *, also_roots: bool) -> str | None:
    user = os.geteuid()
    if found.st_uid != user and not (also_roots and found.st_uid == _ROOT):
        return f"{path} belongs to {_user(found.st_uid)}"
    writers = writers_of(found, opened)
    if writers.everybody:
        return f"everybody can write {path}"
    for other in writers.users - {user, _ROOT}:
        return f"{_user(other)} can write {path}"
    for group in writers.groups:
        if not _is_own_group(group):
            return f"the group {_group(group)} can write {path}"
    return None


def exposure_to_others_than(
    allowed: Writers, path: str, found: os.stat_result, opened: int | str
) -> str | None:  # fmt: skip
    """How a user other than ``allowed``, this user and root could write a file; None if no such user can."""
    if allowed.everybody:
        return None
    writers = writers_of(found, opened)
    if writers.everybody:
        return f"everybody can write {path}"
    for other in writers.users - allowed.users - {os.geteuid(), _ROOT}:
        if not any(is_member(other, group) for group in allowed.groups):
            return f"{_user(other)} can write {path}"
    for group in writers.groups - allowed.groups:
        if not _is_own_group(group):
            return f"the group {_group(group)} can write {path}"
    return None


def _is_own_group(number: int) -> bool:
    """Whether this user is the only member of a group. Many systems give each user such a group, and a umask of 002."""
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(number)
    except KeyError:
        return False
    if number != user.pw_gid or group.gr_name != user.pw_name or not set(group.gr_mem) <= {user.pw_name}:
        return False
    # The list of members leaves out the users whose primary group it is.
    return all(other.pw_name == user.pw_name for other in pwd.getpwall() if other.pw_gid == number)


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
