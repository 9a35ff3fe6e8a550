"""Copies the blobs of a shelf that is copied. They are verified, and durable before the copy has its name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from coshelf.engines.lmdb.blobs.blob_file import is_blob, problem_with, remove_blob, write_buffers, write_head
from coshelf.engines.lmdb.blobs.folder import blob_files, blob_path, folder_of, make_folder
from coshelf.engines.lmdb.files.sidecar_files import remove_file
from coshelf.errors import NotAShelf
from coshelf.system.file_systems.durable import sync, sync_directory
from coshelf.system.files.flags import CLOSE_ON_EXEC, NO_FOLLOW
from coshelf.system.rights.owners import set_mode
from coshelf.values.blobs import MissingBlob, Reference

__all__ = ["BlobCopies", "Views"]

Views = Callable[[Reference], list[memoryview]]
"""Gives the buffers of a blob. Raises MissingBlob."""

_SUFFIX = ".new"


class BlobCopies:
    """The blobs beside the new shelf ``shelf``, which has the id ``store_id``."""

    def __init__(self, shelf: str, like: os.stat_result, store_id: bytes, views: Views) -> None:
        self._folder = folder_of(shelf)
        self._like = like
        self._store_id = store_id
        self._views = views
        self._wanted: set[bytes] = set()
        self._made: set[bytes] = set()

    def copy(self, reference: Reference) -> None:
        """Copy a blob, unless a copy was made before. Raises :class:`MissingBlob` if it is not what was written."""
        self._wanted.add(reference.id)
        path = blob_path(self._folder, reference.id)
        # A whole blob stays: the older copy that is going to be replaced may name it.
        if os.path.lexists(path) and problem_with(path, self._store_id, reference) is None:
            return
        if os.path.lexists(path) and not is_blob(path):
            raise NotAShelf(f"{path} is in the way of a large buffer of this name\n  hint: move it away")
        views = self._views(reference)
        if not self._made:
            make_folder(self._folder, self._like)
        making = path + _SUFFIX
        remove_file(making)
        descriptor = os.open(making, os.O_RDWR | os.O_CREAT | os.O_EXCL | CLOSE_ON_EXEC | NO_FOLLOW, 0o600)
        try:
            set_mode(descriptor, self._like.st_mode & 0o666)
            if write_buffers(descriptor, views, reference.places) != reference.checksum:
                raise MissingBlob(f"the blob {reference.id.hex()} does not match its checksum")
            write_head(descriptor, self._store_id, reference)
            sync(descriptor)
            os.rename(making, path)
        except BaseException:
            remove_file(making)
            raise
        finally:
            os.close(descriptor)
        self._made.add(reference.id)

    def finish(self) -> None:
        """Make the names of the blobs durable, too."""
        if self._made:
            sync_directory(self._folder)

    def discard(self) -> None:
        """Remove the blobs again, because the copy failed."""
        for identity in self._made:
            remove_file(blob_path(self._folder, identity))
        self._remove_folder()

    def remove_others(self, *, of_any_shelf: bool) -> None:
        """Remove blobs of the replaced copy, or of a killed attempt. Call it once the copy has its name."""
        for identity in blob_files(self._folder).keys() - self._wanted:
            remove_blob(blob_path(self._folder, identity), None if of_any_shelf else self._store_id)
        self._remove_folder()

    def _remove_folder(self) -> None:
        for path in (os.path.join(self._folder, "writers"), self._folder):
            with contextlib.suppress(OSError):  # the directory does not exist, or is not empty
                os.rmdir(path)
