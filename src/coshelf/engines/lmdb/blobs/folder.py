"""The folder of a shelf's blobs. A blob is written before a commit names it, and removed when nothing names it.

A process that writes blobs holds the flock of a file in ``writers/``. The names of its blobs begin with the name of
that file. So blobs that a killed process left, and that no row names, are found by their names.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from coshelf.engines.lmdb.blobs.blob_file import open_blob, remove_blob, write_buffers, write_head
from coshelf.engines.lmdb.blobs.catalogue import dropped_blobs, rows_of_blob
from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.files.sidecar_directory import blob_directory
from coshelf.errors import CoshelfError, StorageError
from coshelf.system.failpoints import ARMED, reach
from coshelf.system.file_systems.durable import sync, sync_directory, sync_file_system, sync_removals
from coshelf.system.files.flags import ASIDE, CLOSE_ON_EXEC, DIRECTORY, NO_FOLLOW
from coshelf.system.files.os_errors import NO_SPACE, translate
from coshelf.system.locks import whole_file
from coshelf.system.rights.giving import give
from coshelf.system.rights.owners import set_mode
from coshelf.system.threads.cooperation import new_reentrant_lock
from coshelf.system.threads.living import Living
from coshelf.values.blobs import ID, NewBlob, Reference

if TYPE_CHECKING:
    from coshelf.engines.lmdb.open_files import OpenFiles

__all__ = ["BlobFolder", "blob_files", "blob_path", "folder_of", "make_folder"]

_WRITERS = "writers"
_WRITER = 8  # bytes of a blob's id that name its writer
_MANY = 32  # if more blobs than this are synced at once, the whole file system is synced
_HURRY = 256 << 20  # if more bytes than this wait in blobs, the flush does not wait for the end of the interval
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)  # the file is gone, or replaced by something else


def folder_of(shelf: str) -> str:
    """The folder of a shelf's blobs."""
    return blob_directory(shelf)


def blob_path(folder: str, identity: bytes) -> str:
    return os.path.join(folder, identity.hex())


def blob_files(folder: str) -> dict[bytes, int]:
    """The ids of the blobs in a folder, and the bytes of their files."""
    found = {}
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            identity = _identity(entry.name)
            if identity is not None:
                with contextlib.suppress(FileNotFoundError):
                    found[identity] = entry.stat(follow_symlinks=False).st_size
    return found


def _discard(path: str) -> None:
    """Remove a file that no process needs, if possible. It may be another user's, or have been replaced."""
    with contextlib.suppress(OSError):
        os.unlink(path)


@contextmanager
def _passed_over_if_gone() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _GONE:
            raise


def _identity(name: str) -> bytes | None:
    if len(name) != 2 * ID:
        return None
    try:
        return bytes.fromhex(name)
    except ValueError:
        return None


def make_folder(folder: str, like: os.stat_result) -> None:
    """Make a folder for blobs, unless it exists. Users who may read or write the shelf may do so in the folder."""
    mode = like.st_mode & 0o666
    for path in (folder, os.path.join(folder, _WRITERS)):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if os.path.isdir(path) and not os.path.islink(path):
                sync_directory(os.path.dirname(path))  # its maker may have died before it did this
                continue
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None
        descriptor = os.open(path, os.O_RDONLY | DIRECTORY | NO_FOLLOW | CLOSE_ON_EXEC)
        try:
            give(descriptor, like)
            set_mode(descriptor, mode | (mode & 0o444) >> 2)
        finally:
            os.close(descriptor)
        sync_directory(os.path.dirname(path))


class _Writer:
    """The writer's file of this process. Its lock tells other processes that this one lives and writes blobs."""

    def __init__(self, folder: str, like: os.stat_result, store_id: bytes) -> None:
        make_folder(folder, like)
        self.pid = os.getpid()
        self.name = os.urandom(_WRITER)
        self.path = os.path.join(folder, _WRITERS, self.name.hex())
        self.numbers = itertools.count()
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | CLOSE_ON_EXEC | NO_FOLLOW, 0o600)
        try:
            whole_file.take(self._descriptor, whole_file.EXCLUSIVE)
            give(self._descriptor, like)
            os.write(self._descriptor, store_id)
            # Durable before the first blob is begun, so that after a power cut every blob has a known writer.
            sync(self._descriptor)
            sync_directory(os.path.dirname(self.path))
        except BaseException:
            os.close(self._descriptor)
            raise

    @property
    def is_in_place(self) -> bool:
        """Whether the file is still there. Before it was locked, another process may have taken it for a dead one's."""
        return os.fstat(self._descriptor).st_nlink > 0

    def end(self, *, remove: bool) -> None:
        if remove:
            _discard(self.path)
        whole_file.release(self._descriptor)
        os.close(self._descriptor)

    def abandon(self) -> None:
        """In a forked child: close the descriptor. The lock stays the parent's."""
        os.close(self._descriptor)


class BlobFolder:
    """The blobs of an open shelf, for all handles of this process. ``flush`` writes the delta to the base."""

    def __init__(self, environment: OpenFiles, flush: Callable[[], object]) -> None:
        self._environment = environment
        self._flush = flush
        self.path = folder_of(environment.path)
        self.has_waiting = False  # whether blobs that nothing names any more wait for a snapshot to end
        self._begin()

    def _begin(self) -> None:
        # The locks are reentrant: a signal handler, or a snapshot that is garbage-collected, may interrupt a holder.
        self._mutex = new_reentrant_lock()
        self._collecting = new_reentrant_lock()
        self._writer: _Writer | None = None
        self._new: Living[NewBlob] = Living()
        self._unflushed = 0
        self._doubtful: set[bytes] = set()  # ids of blobs whose commit failed, but may have happened
        self._failed: set[bytes] = set()

    # --- writing -----------------------------------------------------------------------------------------------------

    def write(self, key: bytes, buffers: Sequence[memoryview]) -> NewBlob:
        """Write a new blob for the record of a key."""
        with self._translated("write"):
            try:
                new = self._write(key, buffers)
            except OSError as error:
                if error.errno not in NO_SPACE or not self._environment.has_delta:
                    raise
                # A flush frees the space of blobs whose entries were overwritten.
                self._flush()
                new = self._write(key, buffers)
        self._new.add(new)
        self._unflushed += new.reference.length
        return new

    def _write(self, key: bytes, buffers: Sequence[memoryview]) -> NewBlob:
        with self._environment.inside():
            writer = self._own_writer()
            like = os.fstat(self._environment.files.descriptor)
            store_id = self._environment.row.store_id
        identity = writer.name + next(writer.numbers).to_bytes(ID - _WRITER, "big")
        path = blob_path(self.path, identity)
        unsummed = Reference(identity, 0, tuple(buffer.nbytes for buffer in buffers))
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | CLOSE_ON_EXEC | NO_FOLLOW, 0o600)
        try:
            try:
                give(descriptor, like)
                if ARMED:
                    reach("blob-begun")
                checksum = write_buffers(descriptor, buffers, unsummed.places)
                reference = Reference(identity, checksum, unsummed.sizes)
                write_head(descriptor, store_id, reference)
            finally:
                os.close(descriptor)
            if ARMED:
                reach("blob-written")
            return NewBlob(reference, key, partial(_discard, path))
        except BaseException:
            _discard(path)
            raise

    def _own_writer(self) -> _Writer:
        with self._mutex:
            if self._writer is not None and not self._writer.is_in_place:  # the folder was removed
                self._writer.end(remove=False)
                self._writer = None
            while self._writer is None:
                self.sweep()
                like = os.fstat(self._environment.files.descriptor)
                with contextlib.suppress(FileNotFoundError):  # another process just removed the folder at its end
                    writer = _Writer(self.path, like, self._environment.row.store_id)
                    if writer.is_in_place:
                        self._writer = writer
                    else:
                        writer.end(remove=False)
            return self._writer

    @property
    def may_have_new(self) -> bool:
        """Whether a batch of this process may name new blobs. Most shelves never do."""
        return self._writer is not None

    @property
    def are_many_unflushed(self) -> bool:
        """Whether so much was written since the last flush that the next one should not wait."""
        return self._unflushed > _HURRY

    @contextmanager
    def naming(self, blobs: Iterable[NewBlob]) -> Iterator[None]:
        """For a block that commits a batch with these blobs: keep the blobs. After an error they are in doubt.

        It is not known then whether the commit happened.
        """
        identities = {blob.reference.id for blob in blobs}
        for blob in blobs:
            blob.keep()
        self._doubtful |= identities
        yield
        self._doubtful -= identities

    # --- durable -----------------------------------------------------------------------------------------------------

    def sync(self, identities: Collection[bytes]) -> None:
        """Make blobs durable before the base names them. Blobs that were removed are passed over."""
        if not identities:
            return
        self._unflushed = 0
        with self._translated("flush"):
            self._write_again(identities)
            try:
                with _passed_over_if_gone():
                    self._sync_all(identities)
            except OSError:
                # The kernel now counts pages as clean that it could not write, and does not report this again. Writing
                # them once more makes them dirty. Then the next sync, perhaps of another process, writes them.
                self._failed.update(identities)
                with contextlib.suppress(OSError):
                    self._write_again(identities)
                raise
        if ARMED:
            reach("blobs-synced")

    def _sync_all(self, identities: Collection[bytes]) -> None:
        if len(identities) > _MANY:
            descriptor = os.open(self.path, os.O_RDONLY | DIRECTORY | CLOSE_ON_EXEC)
            try:
                sync_file_system(descriptor)
            finally:
                os.close(descriptor)
            return
        for identity in identities:
            with _passed_over_if_gone():
                self._sync_one(identity)
        sync_directory(self.path)

    def _sync_one(self, identity: bytes) -> None:
        descriptor = os.open(blob_path(self.path, identity), os.O_RDWR | CLOSE_ON_EXEC | NO_FOLLOW)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                sync(descriptor)
        finally:
            os.close(descriptor)

    def _write_again(self, identities: Collection[bytes]) -> None:
        """Write blobs once more that could not be made durable."""
        for identity in self._failed.intersection(identities):
            with _passed_over_if_gone(), open(blob_path(self.path, identity), "r+b") as file:
                while chunk := file.read(1 << 20):
                    file.seek(-len(chunk), os.SEEK_CUR)
                    file.write(chunk)
                    file.flush()
            self._failed.discard(identity)

    # --- reading -----------------------------------------------------------------------------------------------------

    def views(self, reference: Reference) -> list[memoryview]:
        return open_blob(blob_path(self.path, reference.id), self._environment.row.store_id, reference)

    def usage(self) -> tuple[int, int]:
        """How many blobs there are, and the bytes of their files."""
        files = blob_files(self.path)
        return len(files), sum(files.values())

    # --- removing ----------------------------------------------------------------------------------------------------

    def collect(self) -> None:
        """Remove the blobs that no entry and no snapshot names any more. The caller is inside, and may write.

        Errors are ignored: no request depends on this, and the next flush tries again.
        """
        with self._collecting, contextlib.suppress(CoshelfError), translated(self._environment.path, "read"):
            self._collect()

    def _collect(self) -> None:
        base = self._environment.base
        with base.begin() as transaction:
            dropped = dropped_blobs(transaction)
        if not dropped:
            self.has_waiting = False
            return
        self.has_waiting = True  # set before looking for snapshots: one that ends from here on reads it
        oldest = base.oldest_reader()
        if any(since > oldest for _, since in dropped):
            base.lmdb.reader_check()  # removes dead readers
            oldest = base.oldest_reader()
        for identity, since in dropped:
            if since <= oldest:
                remove_blob(blob_path(self.path, identity), self._environment.row.store_id)
        self.has_waiting = any(since > oldest for _, since in dropped)

    def sweep(self) -> None:
        """Remove blobs of writers that died before they committed. The caller is inside, and may write."""
        try:
            names = os.listdir(os.path.join(self.path, _WRITERS))
        except OSError:  # there is no such directory, or this user may not read it
            return
        for name in names:
            if self._writer is None or name != self._writer.name.hex():
                with _dead(os.path.join(self.path, _WRITERS, name), self._environment.row.store_id) as is_dead:
                    if is_dead:
                        self._sweep_after(name)

    def _sweep_after(self, writer: str) -> None:
        left = [identity for identity in blob_files(self.path) if identity.hex().startswith(writer)]
        if not left:
            return
        self._environment.settle_dead_commits()
        for identity in left:
            if not self._is_known(identity):
                remove_blob(blob_path(self.path, identity), self._environment.row.store_id)
        sync_removals(self.path)  # before the writer's file, by which the blobs are found, is removed

    def _is_known(self, identity: bytes) -> bool:
        """Whether a commit named a blob. This reads the delta first: a flush moves rows from there to the base."""
        environment = self._environment
        rows = rows_of_blob(identity)
        with translated(environment.path, "read"):
            if environment.is_delta_made:
                delta = environment.current_delta()
                if any(delta.get(row) is not None for row in rows):
                    return True
            with environment.base.begin() as transaction:
                return any(transaction.get(row) is not None for row in rows)

    # --- the end -----------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Called when this process closes the shelf. Unfinished blobs and those in doubt are left to the next sweep."""
        writer, self._writer = self._writer, None
        if writer is not None:
            is_done = not self._doubtful and not self._new
            # Without the writer's file no sweep looks for its blobs. So those without a commit must be gone for good.
            writer.end(remove=is_done and sync_removals(self.path))
        for path in (os.path.join(self.path, _WRITERS), self.path):
            with contextlib.suppress(OSError):  # the directory does not exist, or is not empty
                os.rmdir(path)

    def abandon(self) -> None:
        """In a forked child: start afresh, since the child writes blobs under a name of its own."""
        if self._writer is not None:
            self._writer.abandon()
        self._begin()

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except StorageError:
            raise
        except OSError as error:
            path = error.filename if isinstance(error.filename, str) else self.path
            raise translate(error, doing, "large buffers", path) from error


@contextmanager
def _dead(path: str, store_id: bytes) -> Iterator[bool]:
    """Whether a writer's file is that of a dead writer of this shelf. If so, it is removed at the end of the block."""
    try:
        descriptor = os.open(path, os.O_RDWR | ASIDE)
    except OSError:  # the file is gone by now, or another user's: that user sweeps it
        yield False
        return
    try:
        if not whole_file.try_to_take(descriptor, whole_file.EXCLUSIVE):
            yield False
            return
        found = os.read(descriptor, len(store_id) + 1)
        # Empty or zeros: a kill or a power cut came before the content was written. Then the writer has no blobs.
        is_ours = found == store_id or not found.strip(b"\0")
        yield is_ours
        if is_ours:
            _discard(path)
        whole_file.release(descriptor)
    finally:
        os.close(descriptor)
