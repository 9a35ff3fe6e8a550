"""The lock on the shelf's file, held by LMDB's own descriptor for as long as the shelf is open. docs/design.md."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable

from coshelf.engines.lmdb.files.sidecars import Files

__all__ = ["close_files", "lend", "take_back"]


def lend(files: Files, descriptor: int) -> None:
    """Go on with LMDB's descriptor of the same file, if it is that one, and close our own. Once the lock is shared."""
    own = files.descriptor
    if descriptor == own:
        return
    if files.page is not None:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    files.descriptor, files.is_lent = descriptor, True
    fcntl.flock(own, fcntl.LOCK_UN)  # explicitly, since a forked child may have a copy
    os.close(own)


def take_back(files: Files) -> bool:
    """Before LMDB closes its descriptor: have another one of the same opening, so that the lock does not end.

    Returns whether that was possible: there may be no descriptor left.
    """
    if files.is_lent:
        with contextlib.suppress(OSError):
            files.descriptor, files.is_lent = os.dup(files.descriptor), False
    return not files.is_lent


def close_files(files: Files, close_lmdb: Callable[[], None], *, has_written: bool | None) -> None:
    """Close LMDB and the files. Without a descriptor the sidecars stay, for the next to open to remove."""
    if take_back(files):
        close_lmdb()
        files.close(has_written=has_written)
        return
    fcntl.flock(files.descriptor, fcntl.LOCK_UN)
    close_lmdb()
    if files.page is not None:
        files.page.abandon()
