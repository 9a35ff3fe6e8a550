"""Users and groups: numbers, names, and where a user's files are. Windows has no numbers of users."""

from __future__ import annotations

import os

try:
    import grp
    import pwd
except ImportError:
    pwd = grp = None  # type: ignore[assignment]

__all__ = ["NOBODY", "ROOT", "effective", "has_numbers", "home", "name_of", "name_of_group"]

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
