"""Users and groups: numbers, names, and where a user's files are. Windows has no numbers of users."""

from __future__ import annotations

import os

try:
    import grp
    import pwd
except ImportError:
    pwd = grp = None  # type: ignore[assignment]

__all__ = [
    "NOBODY",
    "ROOT",
    "effective",
    "has_numbers",
    "home",
    "is_member",
    "is_own_group",
    "name_of",
    "name_of_group",
]

ROOT = 0
NOBODY = -1
"""The number of this user where users have no numbers. No file has it as its owner."""

has_numbers = hasattr(os, "geteuid")
"""Whether users and the owners of files have numbers. Without them ``stat`` does not tell the owner of a file."""


def effective() -> int:
    """The number of the user that this process acts for; :data:`NOBODY` where users have none."""
    return os.geteuid() if hasattr(os, "geteuid") else NOBODY


def home(user: int) -> str | None:
    """The home directory of a user in the table of users; None if it has none, or there is no table."""
    try:
        return None if pwd is None else pwd.getpwuid(user).pw_dir
    except KeyError:
        return None


def name_of(user: int) -> str | None:
    """The name of a user; None if it is in no table."""
    try:
        return None if pwd is None else pwd.getpwuid(user).pw_name
    except KeyError:
        return None


def name_of_group(group: int) -> str | None:
    """The name of a group; None if it is in no table."""
    try:
        return None if grp is None else grp.getgrgid(group).gr_name
    except KeyError:
        return None


def is_own_group(group: int) -> bool:
    """Whether this user is the only member of a group. Many systems give each user such a group, and a umask of 002.

    A group with another name than the user's, such as ``staff`` on macOS, is not such a group, whoever is listed in it.
    """
    if pwd is None:
        return False
    try:
        user, found = pwd.getpwuid(effective()), grp.getgrgid(group)
    except KeyError:
        return False
    if group != user.pw_gid or found.gr_name != user.pw_name or not set(found.gr_mem) <= {user.pw_name}:
        return False
    # The list of members leaves out the users whose primary group it is.
    return all(other.pw_name == user.pw_name for other in pwd.getpwall() if other.pw_gid == group)


def is_member(user: int, group: int) -> bool:
    """Whether a user is in a group, as far as the system knows both."""
    if pwd is None:
        return False
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
