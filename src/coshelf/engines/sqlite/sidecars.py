"""The files beside a database: looked at before SQLite takes them for the database's own, and again when it has.

SQLite plays back a ``-journal`` and takes over a ``-wal`` that it finds, whoever made it. In a sticky directory such as
/tmp everybody can make one beside a closed shelf that only its owner can write.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress

from coshelf.engines.files.locks import Lockable
from coshelf.engines.hidden_names import with_suffix
from coshelf.errors import NotAShelf, ShelfNotFound, ShelfPermissionError, StorageError
from coshelf.system.os_errors import translate
from coshelf.trust.exposure import exposure_of, exposure_to_others_than
from coshelf.trust.writers import Writers, writers_of

__all__ = ["LockFile", "Sidecars", "lock_path"]

_MAGIC = {
    "-journal": (b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7",),
    "-wal": (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"),
}
_SUFFIXES = ("-journal", "-wal", "-shm")


def lock_path(path: str) -> str:
    """The file whose lock is held by who commits."""
    place, name = os.path.split(path)
    return os.path.join(place, f".{with_suffix(name, '.coshelf-lock')}")


class Sidecars:
    """What lay beside a database when it was opened."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.database: os.stat_result
        self._found: dict[str, os.stat_result] = {}
        self._look()

    def look_again(self, *, writing: bool) -> None:
        """Once SQLite has them open: raise if something took the place of what was looked at.

        A database in WAL mode has its log beside it for as long as a connection is open that may write.
        """
        before = self.database
        self._look()
        if not os.path.samestat(before, self.database):
            raise StorageError(f"{self._path} was exchanged while the shelf was being opened")
        if writing and "-wal" not in self._found:
            raise StorageError(f"{self._path}-wal was removed while the shelf was being opened")

    def _look(self) -> None:
        """Raises :class:`NotAShelf`, or :class:`ShelfPermissionError` for what others could have written."""
        self._found = {}
        # By name, as SQLite opens them: to open and close a file would drop the locks that SQLite has on it here.
        try:
            self.database = os.lstat(self._path)
        except FileNotFoundError as error:
            raise ShelfNotFound(errno.ENOENT, "there is no shelf here", self._path) from error
        except OSError as error:
            raise NotAShelf(f"{self._path} cannot be opened as a file: {error.strerror}") from error
        if not stat.S_ISREG(self.database.st_mode):
            raise NotAShelf(f"{self._path} is no file; it has not been changed")
        allowed = writers_of(self.database, self._path)
        for suffix in _SUFFIXES:
            with suppress(FileNotFoundError):
                self._found[suffix] = self._looked_at(suffix, allowed)

    def _looked_at(self, suffix: str, allowed: Writers) -> os.stat_result:
        path = self._path + suffix
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode):
            raise NotAShelf(f"{path} is no file, as what SQLite keeps beside {self._path} is")
        exposed = exposure_to_others_than(allowed, path, found, path)
        if exposed is not None:
            raise ShelfPermissionError(
                errno.EPERM,
                f"{exposed}, but not {self._path} itself, so nothing is taken from there; "
                "if nobody has the shelf open, and what others left there is not wanted, remove it",
                path,
            )
        if suffix in _MAGIC and found.st_size:
            _refuse_other_files(path, found, suffix)
        return found

    def exposure(self) -> str | None:
        """Why somebody else than this user could write what lies beside; None if nobody can."""
        self._look()
        exposed = (exposure_of(self._path + suffix, found) for suffix, found in self._found.items())
        return next(filter(None, exposed), None)


def _refuse_other_files(path: str, found: os.stat_result, suffix: str) -> None:
    """Raise for a file of somebody's that merely has such a name: SQLite would write over it."""
    # Without the right to read it SQLite cannot do so either, and says so. It goes when the last connection is closed.
    with suppress(PermissionError, FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            head = os.pread(descriptor, 8, 0)
            is_known = os.path.samestat(os.fstat(descriptor), found)
        finally:
            os.close(descriptor)
        # SQLite fills the head with zeros when a journal has been used up.
        if is_known and head.strip(b"\0") and not head.startswith(_MAGIC[suffix]):
            raise NotAShelf(
                f"{path} is no {suffix[1:]} of SQLite, which needs a file of this name; nothing was changed"
            )


class LockFile(Lockable):
    """The file whose lock is held by who commits. It stays: who removed it would take it from under others."""

    def __init__(self, shelf: str) -> None:
        self.path = lock_path(shelf)
        self._shelf = shelf

    def open(self, kind: int) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise translate(error, "write", "the lock file of the shelf", self.path) from error
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size:
            os.close(descriptor)
            raise NotAShelf(f"{self.path} is no lock file of a shelf; it has not been changed")
        return descriptor

    def make(self) -> int:
        """Open it, for all who may write the shelf."""
        descriptor = self.open(fcntl.LOCK_EX)
        status, shelf = os.fstat(descriptor), os.stat(self._shelf)
        if status.st_mode != shelf.st_mode and status.st_uid == os.geteuid():
            os.fchmod(descriptor, shelf.st_mode & 0o777)
            with suppress(OSError):
                os.fchown(descriptor, shelf.st_uid, shelf.st_gid)
        return descriptor
