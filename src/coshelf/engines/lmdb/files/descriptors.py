"""Finds the descriptors that LMDB keeps for a file: one for its data, one for its headers, one for its lock file.

coshelf uses them whenever it needs a descriptor of these files, so an open shelf needs no others. py-lmdb does not tell
them. So they are looked for among those of this process, by the file and by how it was opened. No other code opens the
lock file for writing, or headers for synchronous writes. LMDB opens data so that programs inherit the descriptor, and
Python never does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from coshelf.system.files.descriptors import open_descriptors, opened_with
from coshelf.system.files.flags import CLOSE_ON_EXEC, SYNC_CONTENT

__all__ = ["Descriptors", "find_descriptors", "lock_descriptor"]

_NEAR = 8  # as a rule LMDB has just opened them one after the other, so their numbers are this near


class Descriptors(NamedTuple):
    """The descriptors that were found. ``header`` has a position of its own, at which nothing is written."""

    data: int | None
    header: int | None


def find_descriptors(path: str, near: int, *, has_header: bool) -> Descriptors:
    """The descriptors of a data file that LMDB has just opened for writing. From here on no program inherits them.

    ``near`` is the descriptor of its lock file, which LMDB opens right before them.
    """
    file = os.stat(path)
    data = _find(file, os.O_RDWR, _candidates(near), inheritable=True)
    if data is not None:
        os.set_inheritable(data, False)
    if not has_header:
        return Descriptors(data, None)
    return Descriptors(data, _find(file, os.O_WRONLY | SYNC_CONTENT, _candidates(near), inheritable=False))


def lock_descriptor(path: str) -> int | None:
    """The descriptor of a lock file; None if it is not found."""
    return _find(os.stat(path), os.O_RDWR, _before(_next()), inheritable=False)


def _find(file: os.stat_result, kind: int, candidates: Iterable[int], *, inheritable: bool) -> int | None:
    for descriptor in candidates if _are_usable() else ():
        try:
            if (
                os.path.samestat(os.fstat(descriptor), file)
                and opened_with(descriptor) == kind
                and os.get_inheritable(descriptor) == inheritable
            ):
                return descriptor
        except OSError:  # this number is not open, or another thread closed it
            continue
    return None


def _are_usable() -> bool:
    """Whether LMDB's descriptors can hold our locks: a forked child must be able to give up its maps of the files.

    Otherwise the locks would stay for as long as the child lives.
    """
    from coshelf.system.memory.inherited_maps import can_replace

    return can_replace()


def _candidates(near: int) -> Iterator[int]:
    yield from range(near + 1, near + _NEAR)
    yield from _before(near)


def _before(near: int) -> Iterator[int]:
    """The numbers right before one, then all others."""
    yield from range(near - 1, max(near - _NEAR, -1), -1)
    yield from open_descriptors()


def _next() -> int:
    """The number that the next descriptor would have."""
    try:
        descriptor = os.open(os.devnull, os.O_RDONLY | CLOSE_ON_EXEC)
    except OSError:  # no descriptor is left
        return 0
    os.close(descriptor)
    return descriptor
