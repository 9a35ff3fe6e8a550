"""What messages say of a path at which no shelf can be."""

from __future__ import annotations

import os

__all__ = ["NO_DIRECTORY", "a_directory"]

NO_DIRECTORY = (
    "the directory for the shelf does not exist\n"
    "  hint: make it first, with os.makedirs() or `mkdir -p`; coshelf makes only the file"
)


def a_directory(path: str) -> str:
    """What to say of a directory at the path of a file.

    >>> print(a_directory("/data/cache"))
    /data/cache is a directory; a shelf is a file
      hint: name a file in it; or end the path with a slash for the files engine, which keeps each value in a file
    """
    if os.path.exists(os.path.join(path, "cache.db")):
        return (
            f"{path} is a directory that diskcache made; a shelf is a file\n"
            "  hint: coshelf.diskcache.Cache opens it, and `coshelf import OLD NEW` copies it to a shelf"
        )
    return (
        f"{path} is a directory; a shelf is a file\n"
        "  hint: name a file in it; or end the path with a slash for the files engine, which keeps each value in a file"
    )
