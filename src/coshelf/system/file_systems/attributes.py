"""Extended attributes of open files (Linux). Python has no calls for those of macOS, and Windows has none."""

from __future__ import annotations

import errno
import os

__all__ = ["attribute", "set_attribute"]


def attribute(descriptor: int, name: str) -> bytes | None:
    """The value of an attribute; None if the file has none of that name, or if there are no attributes here."""
    if not hasattr(os, "getxattr"):
        return None
    try:
        return os.getxattr(descriptor, name)
    except OSError:
        return None


def set_attribute(descriptor: int, name: str, value: bytes) -> None:
    """Set an attribute. Raises OSError, with ENOTSUP where there are no attributes."""
    if not hasattr(os, "setxattr"):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    os.setxattr(descriptor, name, value)
