"""The reserve: unused space at the end of a closed shelf, with which it can be opened on a full disk to delete entries.

The sidecars need space, and so do the pages that a deletion writes. A small shelf has no reserve, because deleting from
it gives little space back. docs/format.md, "A shelf on lmdb".
"""

from __future__ import annotations

import os

from coshelf.engines.lmdb.pages.header import read_metas
from coshelf.engines.lmdb.pages.page_walk import TreeWalk, free_pages
from coshelf.engines.lmdb.pages.reading import Pages
from coshelf.system.file_systems import space

__all__ = ["give_up_reserve", "has_room", "keep_reserve"]

_SIZES = (64 << 10, 32 << 10, 16 << 10)  # the largest of these for which there is space
_SHARE = 4  # the reserve is at most this part of the file


def keep_reserve(descriptor: int, path: str) -> None:
    """Take the space, if there is any. The caller is alone with the file, and has LMDB closed."""
    end, size = _used(descriptor, path), os.fstat(descriptor).st_size
    if end < _SHARE * _SIZES[0]:
        return
    for reserve in _SIZES:
        if size - end >= reserve:
            return
        try:
            space.reserve(descriptor, end, reserve)
        except OSError:  # a full disk, which may have space for a smaller reserve
            continue
        return


def give_up_reserve(descriptor: int, path: str) -> bool:
    """Give the space back to the disk. Return whether there was any.

    The caller is alone with the file, and LMDB has not mapped it yet.
    """
    end = _used(descriptor, path)
    if not 0 < end < os.fstat(descriptor).st_size:
        return False
    os.ftruncate(descriptor, end)
    return True


def has_room(descriptor: int, path: str, size: int) -> bool:
    """Whether ``size`` bytes can be stored, on the disk or in free pages of the file, without using the reserve."""
    wanted = size + _SIZES[0]
    if space.free_beside(descriptor, path) > wanted:
        return True
    newest = max(read_metas(descriptor, path), key=lambda meta: meta.transaction)
    pages = Pages(descriptor, newest.page_size)
    walk = TreeWalk(pages, newest.last_page, bytearray(newest.last_page + 1), _ignore)
    return sum(1 for _ in free_pages(walk, pages, newest)) * newest.page_size > wanted


def _ignore(*_: object) -> None:
    """Ignore problems: only the number of free pages is wanted, and it need not be exact."""


def _used(descriptor: int, path: str) -> int:
    """The bytes that the newest header counts; 0 if the headers were overwritten."""
    metas = read_metas(descriptor, path)
    return max(((meta.transaction, (meta.last_page + 1) * meta.page_size) for meta in metas), default=(0, 0))[1]
