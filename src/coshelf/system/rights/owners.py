"""Owners and modes of open files. Where files have neither (Windows), new files have the rights of their directory."""

from __future__ import annotations

import os

from coshelf.system.rights import users

__all__ = ["have_modes", "have_owners", "set_mode", "set_owner"]

have_modes: bool = hasattr(os, "fchmod") and users.has_numbers
"""Whether files have permission bits for their owner, their group and others. Windows knows "read-only" alone."""

have_owners: bool = hasattr(os, "fchown")
"""Whether files have a user and a group as their owners, by number."""


def set_mode(descriptor: int, mode: int) -> None:
    """Set the permission bits of an open file or directory. Nothing happens where files have none. Raises OSError."""
    if have_modes:
        os.fchmod(descriptor, mode)


def set_owner(descriptor: int, user: int, group: int) -> None:
    """Set the owner of an open file or directory; -1 leaves one as it is. Nothing happens where files have none.

    Raises OSError; as a rule only root may change the user.
    """
    if have_owners:
        os.fchown(descriptor, user, group)
