"""The root directory: whether it is still at its path, whether it is a shelf's own, and whether it folds case."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from coshelf.engines.files.names import MARKER
from coshelf.engines.files.paths import OWN
from coshelf.engines.files.tree import Tree, is_missing, mode_of_directories, names_in
from coshelf.errors import NotAShelf, StorageError
from coshelf.system.os_errors import NO_RIGHT

__all__ = ["Root", "RootGone", "folds_names"]


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


def folds_names(descriptor: int) -> bool:
    """Whether names that differ only in case are the same in a directory. Found out with a name that it has."""
    for name in names_in(descriptor):
        other = name.swapcase()
        if other != name:
            with suppress(FileNotFoundError):
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                return os.path.samestat(found, os.stat(other, dir_fd=descriptor, follow_symlinks=False))
            return False
    return False
