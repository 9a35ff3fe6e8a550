"""While the shelf is open, LMDB's own descriptor holds the lock on the shelf's file. docs/design.md."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from coshelf.engines.lmdb.files.sidecars import Files
from coshelf.system.locks import whole_file

__all__ = ["close_files", "lend", "take_back"]


def lend(files: Files, descriptor: int) -> None:
    """Use LMDB's descriptor of the same file, and close our own. Call this once the lock is shared.

    If LMDB's descriptor was not found, ``descriptor`` is our own, and this does nothing.
    """
    own = files.descriptor
    if descriptor == own:
        return
    if files.page is not None:
        whole_file.take(descriptor, whole_file.SHARED)
    files.descriptor, files.is_lent = descriptor, True
    whole_file.release(own)  # explicitly, since a forked child may have a copy
    os.close(own)


def take_back(files: Files) -> bool:
    """Before LMDB closes its descriptor: duplicate it, so that the lock does not end.

    Returns whether that was possible. It is not if the process has no descriptor left.
    """
    if files.is_lent:
        with contextlib.suppress(OSError):
            files.descriptor, files.is_lent = os.dup(files.descriptor), False
    return not files.is_lent


def close_files(files: Files, close_lmdb: Callable[[], None], *, has_written: bool | None) -> None:
    """Close LMDB and the files. If no descriptor is left, the sidecars stay, and the next opener removes them."""
    if take_back(files):
        close_lmdb()
        files.close(has_written=has_written)
        return
    whole_file.release(files.descriptor)
    close_lmdb()
    if files.page is not None:
        files.page.abandon()
