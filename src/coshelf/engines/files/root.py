"""The root directory: whether it is still at its path, and whether it is a shelf's own."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress

from coshelf.engines.files.names import MARKER
from coshelf.engines.files.paths import OWN
from coshelf.engines.files.store_ids import give_store_id
from coshelf.engines.files.tree import Tree, is_missing, mode_of_directories
from coshelf.errors import NotAShelf, ShelfNotFound, StorageError, Unsupported
from coshelf.system.files.directories import names_in, open_directory
from coshelf.system.files.os_errors import NO_RIGHT
from coshelf.system.rights import users
from coshelf.system.rights.owners import set_mode
from coshelf.trust import marks

__all__ = [
    "LONGEST_MAKING",
    "Root",
    "RootGone",
    "is_being_made",
    "make_root",
    "mark_root",
]

LONGEST_MAKING = 3.0
"""Seconds after which the maker of a directory is taken to have died."""
# What a new root has until it is marked: mkdir gives it this bit in the same step, and only its owner may search it.
_BEING_MADE = stat.S_ISVTX | 0o700


class RootGone(StorageError):
    """The directory is not at its path any more."""


class Root:
    """The state of the directory as a whole."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        status = os.fstat(tree.descriptor)
        self._identity = (status.st_dev, status.st_ino)
        self._is_marked = False

    def is_in_place(self) -> bool:
        """Whether its path still leads to it."""
        try:
            found = os.stat(self._tree.where)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def refuse_gone(self) -> None:
        """Raise :class:`RootGone` if the directory was deleted, moved away, or another one was put in its place."""
        if self.is_in_place():
            return
        where = self._tree.where
        what = "another one lies there now" if os.path.lexists(where) else "there is nothing now"
        raise RootGone(
            errno.ESTALE,
            f"the directory {where} was deleted, moved or replaced while it was open: {what}\n"
            "  what this shelf wrote last went with the old one, and nothing is written to the new one\n"
            "  hint: close the shelf and open it again",
        )

    def is_marked(self) -> bool:
        """Whether it has the marker of a directory in which all files belong to a shelf."""
        if not self._is_marked:
            found = self._tree.look(MARKER)
            self._is_marked = found is not None and stat.S_ISDIR(found.st_mode)
        return self._is_marked

    def mark(self, mode: int) -> None:
        """Make the marker: a directory in a directory, which old processes do not take for a key.

        If this user may not make it, there is no marker, and the shelf cannot be cleared either.
        """
        try:
            with self._tree.directory(MARKER, make=mode_of_directories(mode)):
                self._is_marked = True
        except OSError as error:
            if error.errno not in NO_RIGHT and not is_missing(error):
                raise

    def is_empty(self) -> bool:
        """Whether there is nothing in it but what the engine makes for itself."""
        return not set(names_in(self._tree.descriptor)) - {OWN}

    def refuse_unmarked(self) -> None:
        """Raise :class:`NotAShelf` if files of other programs may lie in it, so that it may not be emptied."""
        if self.is_marked():
            return
        raise NotAShelf(
            f"{self._tree.where} was not made by coshelf, and is not empty: its files may be another program's, "
            "and have not been changed\n"
            "  hint: delete entries by their keys; coshelf.pickleshare.PickleShareDB(...).clear() removes all pickles"
        )


def make_root(path: str, mode: int) -> bool:
    """Make the directory and mark it as this user's. Return False if there is something at the path.

    Until it is marked, its mode tells other openers to wait: see :func:`is_being_made`.
    """
    try:
        os.mkdir(path, _BEING_MADE)
    except FileExistsError:
        return False
    except FileNotFoundError as error:
        raise ShelfNotFound(f"cannot make {path}: the directory {os.path.dirname(path)} does not exist") from error
    descriptor = open_directory(path)
    try:
        try:
            with suppress(Unsupported):
                mark_root(descriptor, path, mode_of_directories(mode))
        finally:
            set_mode(descriptor, mode_of_directories(mode) | os.fstat(descriptor).st_mode & stat.S_ISGID)
    finally:
        os.close(descriptor)
    return True


def is_being_made(descriptor: int) -> bool:
    """Whether another process of this user has just made the directory, and has not marked it yet.

    The answer gives no trust. It only says that the mark may come.
    """
    status = os.fstat(descriptor)
    return (
        status.st_mode & 0o1777 == _BEING_MADE
        and status.st_uid == users.effective()
        and abs(time.time() - status.st_ctime) < LONGEST_MAKING
        and not set(names_in(descriptor)) - {OWN}
    )


def mark_root(descriptor: int, path: str, mode: int) -> None:
    """Mark a directory as this user's. Raises :class:`Unsupported` if its file system cannot keep the id for it.

    ``mode`` is that of directories which are made in it.
    """
    information = os.fstat(descriptor)
    try:
        store_id = give_store_id(descriptor, mode)
    except OSError as error:
        raise Unsupported(f"{path} cannot be marked: {error.strerror}") from error
    marks.mark(store_id, information.st_dev, information.st_ino, path)
