"""Keeps a shelf within its limits whenever a process commits to the base."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coshelf.engines.lmdb.evicting import NO_USES

if TYPE_CHECKING:
    from coshelf.engines.lmdb.base_writer import BaseWriter
    from coshelf.engines.lmdb.open_files import OpenFiles

__all__ = ["keep_limits"]


def keep_limits(files: OpenFiles, writer: BaseWriter, number: int, written: int, *, evicts: bool = True) -> None:
    """Evict what is more than the limits, as part of a write transaction of the base. The caller is inside.

    ``number`` is that of the commit, ``written`` the number of rows that it wrote. Without ``evicts``, this only notes
    whether the shelf is full.
    """
    if evicts:
        writer.evict(number, written, files.current_uses() or NO_USES)
    is_full = writer.is_full()
    page = files.files.page
    if page is not None:
        page.note_full(is_full=is_full)
    if writer.is_bounded:
        files.make_uses(writer.limits)
