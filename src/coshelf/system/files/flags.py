"""Flags for ``os.open`` that not every system has. A flag is 0 where the system has none."""

from __future__ import annotations

import os

__all__ = ["ASIDE", "CLOSE_ON_EXEC", "DIRECTORY", "NO_FOLLOW", "NO_WAIT", "PATH_ONLY", "SYNC_CONTENT"]

CLOSE_ON_EXEC: int = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0) | getattr(os, "O_BINARY", 0)
"""A program that this process starts does not get the descriptor. On Windows the bytes are also left as they are."""

NO_FOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
"""A symbolic link at the end of the path is refused. Where it is 0, ``links.open_itself`` looks at the name."""

NO_WAIT: int = getattr(os, "O_NONBLOCK", 0)
"""Opening a pipe does not wait for its other end."""

DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)
"""Everything but a directory is refused."""

PATH_ONLY: int = getattr(os, "O_PATH", 0)
"""The file is not opened: the descriptor only stands for it."""

SYNC_CONTENT: int = getattr(os, "O_DSYNC", 0)
"""Each write makes its content durable before it returns."""

ASIDE: int = CLOSE_ON_EXEC | NO_FOLLOW | NO_WAIT
"""What every file beside a shelf is opened with, since another user may have put anything in its place."""
