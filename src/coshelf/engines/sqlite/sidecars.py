"""The files beside a database: verified before SQLite opens them as the database's own, and again afterwards.

SQLite plays back a ``-journal`` and uses a ``-wal`` that it finds, even if another user made it. In a sticky directory
such as /tmp, any user can make one beside a closed shelf that only its owner can write.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from coshelf.engines.directory_lock import Lockable
from coshelf.engines.hidden_names import with_suffix
from coshelf.errors import NotAShelf, ShelfNotFound, ShelfPermissionError, StorageError
from coshelf.system.files import flags
from coshelf.system.files.links import open_itself
from coshelf.system.files.os_errors import translate
from coshelf.system.files.positions import read_at
from coshelf.system.locks.kinds import EXCLUSIVE, Kind
from coshelf.system.rights import owners, users
from coshelf.trust.exposure import exposure_of, exposure_to_others_than
from coshelf.trust.writers import Writers, writers_of

__all__ = ["LockFile", "Sidecars", "beside", "lock_path", "turns_path"]

_MAGIC = {
    "-journal": (b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7",),
    "-wal": (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"),
}
_SUFFIXES = ("-journal", "-wal", "-shm")
_USED_UP = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def beside(path: str, suffix: str) -> str:
    """The path of coshelf's own file beside a database."""
    place, name = os.path.split(path)
    return os.path.join(place, f".{with_suffix(name, suffix)}")


def lock_path(path: str) -> str:
    """The file that a writer locks."""
    return beside(path, ".coshelf-lock")


def turns_path(path: str) -> str:
    """The table of turns."""
    return beside(path, ".coshelf-turns")


class Sidecars:
    """The files beside a database when it was opened.

    Attributes:
        database: the status of the database file itself at that time.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.database = self._look()[0]

    def look_again(self, *, writing: bool) -> None:
        """Verify again, when SQLite has the files open: raise if a verified file was replaced.

        A database in WAL mode has its log beside it while a connection is open that may write.
        """
        database, suffixes = self._look()
        if not os.path.samestat(database, self.database):
            raise StorageError(f"{self._path} was exchanged while the shelf was being opened")
        if writing and "-wal" not in suffixes:
            raise StorageError(f"{self._path}-wal was removed while the shelf was being opened")

    def _look(self) -> tuple[os.stat_result, list[str]]:
        """The database, and the suffixes of the files that exist beside it.

        Raises :class:`NotAShelf`, or :class:`ShelfPermissionError` for a file that other users could have written.
        """
        try:
            with _found(self._path) as (database, opened):
                allowed = writers_of(database, opened)
        except FileNotFoundError as error:
            raise ShelfNotFound(errno.ENOENT, "no shelf exists here", self._path) from error
        except OSError as error:
            if error.errno in _USED_UP:
                raise translate(error, "open", "the shelf", self._path) from error
            raise NotAShelf(f"{self._path} cannot be opened as a file: {error.strerror}") from error
        if not stat.S_ISREG(database.st_mode):
            raise NotAShelf(f"{self._path} is not a file; it has not been changed")
        return database, [suffix for suffix in _SUFFIXES if self._exists(suffix, allowed)]

    def _exists(self, suffix: str, allowed: Writers) -> bool:
        """Whether such a file exists. Raises if it is not SQLite's, or if other users could have written it."""
        path = self._path + suffix
        try:
            with _found(path) as (found, opened):
                if not stat.S_ISREG(found.st_mode):
                    raise NotAShelf(f"{path} is not a regular file, but SQLite's file beside {self._path} always is")
                exposed = exposure_to_others_than(allowed, path, found, opened)
        except FileNotFoundError:
            return False
        self._refuse(exposed, path)
        if suffix in _MAGIC and found.st_size:
            _refuse_other_files(path, found, suffix)
        return True

    def _refuse(self, exposed: str | None, path: str) -> None:
        if exposed is not None:
            raise ShelfPermissionError(
                errno.EPERM,
                f"{exposed}, but not {self._path} itself, so it is not used\n"
                "  hint: remove it, if no process has the shelf open and its content is not needed",
                path,
            )

    def refuse_exposed(self, path: str, descriptor: int) -> None:
        """Raise if users who may not write the database could have written an open file beside it."""
        with _found(self._path) as (database, opened):
            allowed = writers_of(database, opened)
        self._refuse(exposure_to_others_than(allowed, path, os.fstat(descriptor), descriptor), path)

    def exposure(self) -> str | None:
        """Why another user could write the database or a file beside it; None if no other user can."""
        beside = [self._path + suffix for suffix in self._look()[1]]
        return next(
            filter(None, map(_exposure_at, (self._path, *beside, lock_path(self._path), turns_path(self._path)))), None
        )


@contextmanager
def _found(path: str) -> Iterator[tuple[os.stat_result, int | str]]:
    """The status of the file at a path, and a descriptor of it, by which its access control list can be read.

    To open and close a file would drop the locks that SQLite has on it in this process. ``O_PATH`` does not open it.
    On systems without ``O_PATH``, the list is read by path.
    """
    if not flags.PATH_ONLY:
        yield os.lstat(path), path
        return
    descriptor = os.open(path, flags.PATH_ONLY | flags.NO_FOLLOW | flags.CLOSE_ON_EXEC)
    try:
        yield os.fstat(descriptor), descriptor
    finally:
        os.close(descriptor)


def _exposure_at(path: str) -> str | None:
    try:
        with _found(path) as (found, opened):
            if not stat.S_ISREG(found.st_mode):
                return f"{path} is not a regular file"
            return exposure_of(path, found, opened)
    except FileNotFoundError:
        return None


def _refuse_other_files(path: str, found: os.stat_result, suffix: str) -> None:
    """Raise for a file of another program that only has such a name: SQLite would overwrite it."""
    # If this user may not read it, SQLite cannot either, and raises. The file may be removed meanwhile by SQLite.
    with suppress(PermissionError, FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY | flags.ASIDE)
        try:
            head = read_at(descriptor, 8, 0)
            is_known = os.path.samestat(os.fstat(descriptor), found)
        finally:
            os.close(descriptor)
        # SQLite fills the head with zeros when a journal has been used up.
        if is_known and head.strip(b"\0") and not head.startswith(_MAGIC[suffix]):
            raise NotAShelf(
                f"{path} is not a {suffix[1:]} of SQLite, which needs a file of this name; nothing was changed"
            )


class LockFile(Lockable):
    """The file that a writer locks. It is never removed: another process may be about to lock it."""

    def __init__(self, shelf: str) -> None:
        self.path = lock_path(shelf)
        self._shelf = shelf

    def open(self, kind: Kind) -> int:
        try:
            descriptor = open_itself(self.path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise translate(error, "write", "the lock file of the shelf", self.path) from error
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size:
            os.close(descriptor)
            raise NotAShelf(f"{self.path} is not the lock file of a shelf; it has not been changed")
        return descriptor

    def make(self) -> int:
        """Open it. Every user that may write the shelf may write it, too."""
        descriptor = self.open(EXCLUSIVE)
        status, shelf = os.fstat(descriptor), os.stat(self._shelf)
        if status.st_mode != shelf.st_mode and status.st_uid == users.effective():
            owners.set_mode(descriptor, shelf.st_mode & 0o777)
            with suppress(OSError):
                owners.set_owner(descriptor, shelf.st_uid, shelf.st_gid)
        return descriptor
