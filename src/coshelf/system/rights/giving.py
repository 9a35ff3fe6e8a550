"""Gives a new file the owner and mode of another one, where files have them."""

from __future__ import annotations

import contextlib
import os
import stat

from coshelf.system.rights import users
from coshelf.system.rights.owners import have_owners, set_mode, set_owner

__all__ = ["give"]


def give(descriptor: int, like: os.stat_result, mode: int | None = None) -> None:
    """Set the shelf's owner and mode, or another mode, as far as this user may.

    What is right already is not set again: that would be a change of the file for the journal of the file system.
    """
    found = os.fstat(descriptor)
    if users.effective() == users.ROOT:
        if (found.st_uid, found.st_gid) != (like.st_uid, like.st_gid):
            set_owner(descriptor, like.st_uid, like.st_gid)
    elif have_owners and found.st_gid != like.st_gid:
        with contextlib.suppress(PermissionError):  # this user is not in the group: its members cannot use the file
            set_owner(descriptor, -1, like.st_gid)
    mode = stat.S_IMODE(like.st_mode) if mode is None else mode
    if stat.S_IMODE(found.st_mode) != mode:
        set_mode(descriptor, mode)
