"""Where files are written before they are renamed into the root: beside it, in a directory for each user.

Inside the root, pickleshare would take them for keys. The directory beside the root is for all users that may write
the root, and holds the files that are locked. Each directory below it is for one user, so that no other user can
exchange a file before it is renamed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from coshelf.engines.files.paths import Parts
from coshelf.errors import NotAShelf, Unsupported
from coshelf.system.file_systems.durable import sync
from coshelf.system.files.directories import make_directory, open_directory, open_file, remove_file, rename, set_time
from coshelf.system.rights import users
from coshelf.system.rights.owners import set_mode

__all__ = ["Staging"]

_STAGED = ".staged"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Staging:
    """The directory beside the root. Its files are made and renamed with other writers kept out."""

    def __init__(self, root: str, descriptor: int) -> None:
        self.path = os.path.join(os.path.dirname(root), f".{os.path.basename(root)}.coshelf-staging")
        self._root = descriptor

    def shared(self, *, make: bool = False) -> int:
        """A descriptor of the directory beside the root. With ``make``, it is made if it is missing.

        Raises FileNotFoundError if it is missing, and :class:`NotAShelf` if it is not safe: it belongs to another
        user, or users can write it that may not write the root.
        """
        root = os.fstat(self._root)
        try:
            return self._opened(self.path, None, root)
        except FileNotFoundError:
            if not make:
                raise
        with suppress(FileExistsError):
            os.mkdir(self.path, 0o700)
            made = open_directory(self.path)
            try:
                if os.fstat(made).st_uid == users.effective():
                    set_mode(made, root.st_mode & 0o7777)
            finally:
                os.close(made)
        return self._opened(self.path, None, root)

    def _opened(self, path: str, above: int | None, root: os.stat_result) -> int:
        try:
            descriptor = open_directory(path, above)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise NotAShelf(f"{path} is not a directory{self._purpose()}") from error
            raise
        try:
            self._refuse_foreign(path, os.fstat(descriptor), root)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _refuse_foreign(self, path: str, found: os.stat_result, root: os.stat_result) -> None:
        """Raise for a directory in which other users can rename files, although they cannot do so in the root."""
        if found.st_dev != root.st_dev:
            raise Unsupported(
                f"{self.path} is on another file system than the root it stands beside, so that files cannot be "
                "renamed into it\n  hint: use a directory below the mount point"
            )
        is_shared = path == self.path and root.st_mode & _OTHERS_WRITE
        if found.st_uid not in (users.effective(), root.st_uid) and not is_shared:
            raise NotAShelf(f"{path} belongs to the user {found.st_uid}{self._purpose()}")
        if found.st_mode & ~root.st_mode & _OTHERS_WRITE:
            raise NotAShelf(f"{path} can be written by others than the root beside it{self._purpose()}")

    def _purpose(self) -> str:
        return (
            "\n  values are written there before they are renamed into the shelf, so it must be this user's own\n"
            f"  hint: remove {self.path}, or keep the shelf in a directory that no other user can write"
        )

    @contextmanager
    def open(self) -> Iterator[StagedFiles]:
        """The files of one batch. Files that remain, also those of a writer that was killed, are removed."""
        root = os.fstat(self._root)
        shared = self.shared(make=True)
        try:
            name = str(users.effective())
            try:
                directory = self._opened(name, shared, root)
            except FileNotFoundError:
                with suppress(FileExistsError):
                    make_directory(name, shared, 0o700)
                directory = self._opened(name, shared, root)
            try:
                _empty(directory)
                try:
                    yield StagedFiles(directory)
                except BaseException:
                    _empty(directory)
                    raise
            finally:
                os.close(directory)
        finally:
            os.close(shared)


class StagedFiles:
    """Files that are written, each under a number, and renamed to their places later."""

    def __init__(self, directory: int) -> None:
        self._directory = directory
        self._names: dict[Parts, str] = {}

    def write(self, parts: Parts, data: bytes, stamp: int, mode: int, durable: bool) -> None:
        """Write a whole file, with the modification time ``stamp`` in nanoseconds."""
        name = self._names[parts] = f"{len(self._names)}{_STAGED}"
        descriptor = open_file(name, self._directory, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            set_mode(descriptor, mode)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            set_time(descriptor, stamp)
            if durable:
                sync(descriptor)
        finally:
            os.close(descriptor)

    def place(self, parts: Parts, parent: int) -> None:
        """Rename a file into its directory, over the one that is there."""
        rename(self._names[parts], self._directory, parts[-1], parent)


def _empty(directory: int) -> None:
    """Remove staged files, and leave files with other names."""
    for name in os.listdir(directory):
        if name.endswith(_STAGED):
            remove_file(name, directory)
