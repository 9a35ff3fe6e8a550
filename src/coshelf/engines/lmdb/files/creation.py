"""Makes a shelf: the file is whole and durable before it has its name.

LMDB does not sync the first pages of a file that it creates. And if a file had its name before it is whole, other
processes would find it half made. So it is made under a temporary name, committed once, synced, and linked into place.
The link fails if another process was first. Then that process's file is used. The mark of trust is made before the
link, so that a process that finds the file finds the mark, too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace

import lmdb

from coshelf import records
from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.files.sidecar_directory import is_reserved
from coshelf.engines.lmdb.locks.shelf_lock import lock
from coshelf.engines.lmdb.pages.header import may_be_begun
from coshelf.engines.lmdb.shelf_row import ROW_KEY, ShelfRow, new_row
from coshelf.engines.wrong_places import NO_DIRECTORY
from coshelf.errors import CoshelfError, NotAShelf, ShelfNotFound
from coshelf.system.file_systems.durable import sync, sync_directory
from coshelf.system.files.flags import ASIDE, CLOSE_ON_EXEC
from coshelf.system.files.os_errors import translate
from coshelf.system.locks import whole_file
from coshelf.system.rights.owners import set_mode
from coshelf.trust import marks

__all__ = ["create", "create_over", "making", "place", "sweep"]

_SUFFIX = ".new"
_MADE = re.compile(r"\..*\.coshelf-[a-z0-9_]{8}\.new", re.DOTALL)  # as mkstemp fills them in
_NAME_LENGTH = 100  # bytes of the shelf's name in the temporary name, which must not become too long


def create(path: str, mode: int) -> bool:
    """Make an empty shelf of this user with these permission bits. Return False if something is at ``path`` by now."""
    return _create(path, mode, place)


def create_over(path: str, mode: int) -> bool:
    """Make an empty shelf in the place of a file. The caller keeps other processes from replacing that file."""
    return _create(path, mode, _place_over)


def _create(path: str, mode: int, named: Callable[[str, str], bool]) -> bool:
    with making(path) as (descriptor, temporary):
        set_mode(descriptor, mode)
        row = new_row()

        def make(mark: bytes | None) -> bool:
            _fill(temporary, path, row, mark)
            sync(descriptor)
            return named(temporary, path)

        return marks.make_marked(row.store_id, os.fstat(descriptor), path, make)


@contextlib.contextmanager
def making(path: str) -> Iterator[tuple[int, str]]:
    """A new file beside ``path``, for a block that fills it and gives it that name: its descriptor and temporary name.

    It is locked as an opener locks a shelf, so that no process can open it before the block ends. At the end it is
    removed, unless the block has given it its name.
    """
    directory = os.path.dirname(path)
    name = os.path.basename(path)
    if is_reserved(name) or _MADE.fullmatch(name):
        raise NotAShelf(f"{path} cannot be a shelf: names like this one are kept for what lies beside shelves")
    sweep(path)
    try:
        descriptor, temporary = _make_temporary(directory, path)
    except FileNotFoundError as error:
        raise ShelfNotFound(errno.ENOENT, NO_DIRECTORY, directory) from error
    except NotADirectoryError as error:
        raise ShelfNotFound(errno.ENOTDIR, "the path to the shelf leads through a file", path) from error
    except OSError as error:
        raise translate(error, "create", "the shelf", path) from error
    try:
        yield descriptor, temporary
    except CoshelfError:
        raise
    except OSError as error:
        raise translate(error, "create", "the shelf", path) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        # Explicitly: the file may be the shelf by now, and a child that was forked meanwhile may have the descriptor.
        whole_file.release(descriptor)
        os.close(descriptor)


def _make_temporary(directory: str, path: str) -> tuple[int, str]:
    """A new file, locked: the lock tells the sweep of other processes that its maker is alive."""
    while True:
        descriptor, temporary = tempfile.mkstemp(_SUFFIX, _prefix(path), directory)
        try:
            lock(descriptor, whole_file.EXCLUSIVE, path)
        except BaseException:
            os.unlink(temporary)
            os.close(descriptor)
            raise
        if os.fstat(descriptor).st_nlink:
            return descriptor, temporary
        os.close(descriptor)  # another process swept it away before it was locked


def _fill(temporary: str, path: str, row: ShelfRow, mark: bytes | None) -> None:
    with translated(path, "create"):
        # Without a lock file: no other process can open this file.
        environment = lmdb.open(
            os.fsencode(temporary), map_size=1 << 20, subdir=False, lock=False, create=False, lib_version=0
        )
        try:
            with environment.begin(write=True) as transaction:
                if mark is not None:
                    row = replace(row, extra_rows=row.extra_rows + 1)
                    checksum = records.checksum(marks.ROW_KEY, mark)
                    transaction.put(marks.ROW_KEY, records.seal(mark, checksum, row.sequence))
                transaction.put(ROW_KEY, row.pack())
            environment.sync(True)
        finally:
            environment.close()


def place(temporary: str, path: str) -> bool:
    """Give the file its name, durably. Return False if something else has the name by now."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS):
            raise
        if not _place_without_links(temporary, path):
            return False
    try:
        sync_directory(os.path.dirname(path))
    except BaseException:
        os.unlink(path)  # its name may not be durable; the file is locked, so no other process has it open
        raise
    return True


def _place_over(temporary: str, path: str) -> bool:
    os.rename(temporary, path)
    sync_directory(os.path.dirname(path))
    return True


def _place_without_links(temporary: str, path: str) -> bool:
    """Rename, on a file system without hard links. A lock on the directory keeps out processes that do the same."""
    directory = os.open(os.path.dirname(path), os.O_RDONLY | CLOSE_ON_EXEC)
    try:
        whole_file.take(directory, whole_file.EXCLUSIVE)
        if os.path.lexists(path):
            return False
        os.rename(temporary, path)
        return True
    finally:
        os.close(directory)


def _prefix(path: str) -> str:
    return f".{os.fsdecode(os.fsencode(os.path.basename(path))[:_NAME_LENGTH])}.coshelf-"


def sweep(path: str, own: int | None = None) -> None:
    """Remove the files of creators that died: those whose lock no process holds.

    ``own`` is the inode of the shelf, if the caller has it locked. A second name of that file is a leftover, too.
    """
    directory, prefix = os.path.dirname(path), _prefix(path)
    try:
        names = [name for name in os.listdir(directory) if name.startswith(prefix) and _MADE.fullmatch(name)]
    except OSError:
        return  # creating the file raises the error
    for name in names:
        leftover = os.path.join(directory, name)
        with contextlib.suppress(OSError):  # the file is another user's, in use, or gone by now: leave it
            descriptor = os.open(leftover, os.O_RDWR | ASIDE)
            try:
                is_own = os.fstat(descriptor).st_ino == own
                is_left = is_own or whole_file.try_to_take(descriptor, whole_file.EXCLUSIVE)
                if is_left and may_be_begun(descriptor):
                    os.unlink(leftover)
            finally:
                os.close(descriptor)
