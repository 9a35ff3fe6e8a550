"""The umask of this process. Without /proc, reading it means setting it for a moment.

A file that another thread makes in that moment has mode 0600 or less.
"""

from __future__ import annotations

import os

__all__ = ["current"]


def current() -> int:
    """The permission bits that new files do not get. On Linux they are read without setting them."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
