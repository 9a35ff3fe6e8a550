"""A directory whose files are in memory, for what should not be on a disk."""

from __future__ import annotations

import os

__all__ = ["place"]

_PLACES = ("/dev/shm",)  # noqa: S108 (the caller makes a directory of mode 0700 there)


def place() -> str | None:
    """A directory in memory, which backups do not include; None if there is none, as on macOS and Windows.

    ``XDG_RUNTIME_DIR`` is this user's own. Others may look into the other one, so make a private directory in it.
    """
    for each in (os.environ.get("XDG_RUNTIME_DIR"), *_PLACES):
        if each and os.path.isabs(each) and os.path.isdir(each) and os.access(each, os.W_OK | os.X_OK):
            return each
    return None
