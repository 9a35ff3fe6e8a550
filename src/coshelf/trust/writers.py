"""The users and groups that may write a file or a directory, by its owner, mode and access control list."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from coshelf.system.rights import access_lists, users

__all__ = ["Writers", "writers_of", "writers_of_new_files"]


@dataclass(frozen=True, slots=True)
class Writers:
    """Users and groups by number. The owner is one of the users, because it can give itself every right.

    Attributes:
        users: the users.
        groups: the groups.
        everybody: whether all users may write, or users without a number.
        are_known: whether these are all. If not, an access control list could not be read.
    """

    users: frozenset[int]
    groups: frozenset[int]
    everybody: bool
    are_known: bool = True


_ANYBODY = Writers(frozenset(), frozenset(), everybody=True)


def writers_of(found: os.stat_result, opened: int | str) -> Writers:
    """The users and groups that may write a file. ``opened`` is its descriptor or path, for the access control list.

    Where users have no numbers, everybody may: the mode of a file says nothing about others there.
    """
    if not users.has_numbers:
        return _ANYBODY
    by_group = bool(found.st_mode & stat.S_IWGRP)
    listed = access_lists.listed(opened, by_group=by_group)
    if listed.owning_group is not None:
        by_group = listed.owning_group
    return Writers(
        listed.users | {found.st_uid},
        listed.groups | {found.st_gid} if by_group else listed.groups,
        listed.everybody or bool(found.st_mode & stat.S_IWOTH),
        listed.is_known,
    )


def writers_of_new_files(opened: int | str) -> Writers:
    """The users and groups that may write new files in a directory, by its access control list."""
    listed = access_lists.listed_for_new_files(opened)
    return Writers(listed.users, listed.groups, listed.everybody, listed.is_known)
