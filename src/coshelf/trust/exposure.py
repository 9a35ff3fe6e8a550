"""Which other users could write a file, or replace it in one of the directories above it.

Where users have no numbers (Windows), the place of the file answers: :mod:`coshelf.trust.profile_directory`.
"""

from __future__ import annotations

import os
import stat
from contextlib import closing

from coshelf.system.rights import users
from coshelf.system.rights.ancestors import Ancestor, OtherFile, ancestors
from coshelf.trust.profile_directory import exposure_by_place
from coshelf.trust.writers import Writers, writers_of, writers_of_new_files

__all__ = [
    "exposure_above",
    "exposure_of",
    "exposure_of_folder",
    "exposure_to_others_than",
]


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
    if not users.has_numbers:
        return exposure_by_place(path, found)
    return _exposure_to_others(path, found, path if opened is None else opened, also_roots=False)


def exposure_above(path: str, found: os.stat_result) -> str | None:
    """How another user could replace the file that was found at a path; None if no other user can.

    The directory must hold that very file. In a sticky directory (/tmp), only the owner of an entry and the owner of
    the directory can replace the entry.
    """
    if not users.has_numbers:
        return exposure_by_place(path, found)
    try:
        with closing(ancestors(path, found)) as directories:
            for each in directories:
                is_nearest = os.path.samestat(each.entry, found)
                exposed = (_exposure_to_new_files(each) if is_nearest else None) or _exposure_of_entry(each)
                if exposed is not None:
                    return exposed
    except OtherFile as error:
        return str(error)
    except OSError as error:
        return f"the directories above {path} cannot be examined: {error.strerror}"
    return None


def _exposure_of_entry(directory: Ancestor) -> str | None:
    """How another user could exchange an entry of a directory."""
    if not directory.status.st_mode & stat.S_ISVTX:
        return _exposure_to_others(directory.path, directory.status, directory.opened, also_roots=True)
    for owner in (directory.status.st_uid, directory.entry.st_uid):
        if owner not in (users.ROOT, users.effective()):
            return f"{directory.path} or what is used in it belongs to {_user(owner)}"
    return None


def _exposure_to_new_files(directory: Ancestor) -> str | None:
    default = writers_of_new_files(directory.opened)
    if not default.are_known:
        return _unknown(directory.path)
    if default.everybody or default.users - {users.ROOT, users.effective()} or default.groups:
        return f"other users can write new files in {directory.path}, by its access control list"
    return None


def _exposure_to_others(path: str, found: os.stat_result, opened: int | str, *, also_roots: bool) -> str | None:
    user = users.effective()
    if found.st_uid != user and not (also_roots and found.st_uid == users.ROOT):
        return f"{path} belongs to {_user(found.st_uid)}"
    writers = writers_of(found, opened)
    if not writers.are_known:
        return _unknown(path)
    if writers.everybody:
        return f"everybody can write {path}"
    for other in writers.users - {user, users.ROOT}:
        return f"{_user(other)} can write {path}"
    for group in writers.groups:
        if not users.is_own_group(group):
            return f"the group {_group(group)} can write {path}"
    return None


def exposure_to_others_than(
    allowed: Writers, path: str, found: os.stat_result, opened: int | str
) -> str | None:  # fmt: skip
    """How a user other than ``allowed``, this user and root could write a file; None if no such user can."""
    if allowed.everybody:
        return None
    writers = writers_of(found, opened)
    if allowed.are_known and not writers.are_known:
        return _unknown(path)
    if writers.everybody:
        return f"everybody can write {path}"
    for other in writers.users - allowed.users - {users.effective(), users.ROOT}:
        if not any(users.is_member(other, group) for group in allowed.groups):
            return f"{_user(other)} can write {path}"
    for group in writers.groups - allowed.groups:
        if not users.is_own_group(group):
            return f"the group {_group(group)} can write {path}"
    return None


def _unknown(path: str) -> str:
    return f"the access control list of {path} cannot be read, and may let other users write it"


def _user(number: int) -> str:
    return f"the user {users.name_of(number) or number}"


def _group(number: int) -> str:
    return users.name_of_group(number) or str(number)
