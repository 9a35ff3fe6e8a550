"""Opens and closes a shelf's files, so that one file has one set of sidecars. docs/format.md, "Locks".

The lock is a flock on the shelf's file: shared for as long as it is open, exclusive for the first opener while it makes
the state page, and for the last closer while it removes the sidecars.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from dataclasses import dataclass, field

from coshelf.engines.lmdb.checks.opening import check_short_file, stamp
from coshelf.engines.lmdb.delta.check import refuse_malformed_delta
from coshelf.engines.lmdb.delta.files import belongs, remove_all_delta_files
from coshelf.engines.lmdb.delta.left import left_rows
from coshelf.engines.lmdb.delta.state import LOG
from coshelf.engines.lmdb.files.closed_file import look_at
from coshelf.engines.lmdb.files.creation import sweep
from coshelf.engines.lmdb.files.exposed_sidecars import exposure_of_sidecars, refuse_exposed, refuse_exposed_sidecars
from coshelf.engines.lmdb.files.reserve import give_up_reserve, keep_reserve
from coshelf.engines.lmdb.files.sidecar_directory import (
    base_path,
    delta_path,
    make_directory,
    refuse_stranger,
    remove_directory,
    sidecar_directory,
    state_path,
)
from coshelf.engines.lmdb.files.sidecar_files import lock_path, make_file, make_lock_file, remove_file
from coshelf.engines.lmdb.files.state_page import StatePage
from coshelf.engines.lmdb.locks.shelf_lock import try_to_lock, unlock
from coshelf.engines.lmdb.pages.header import check_header, missing_bytes, newest_of, read_metas
from coshelf.engines.lmdb.shelf_row import EXPIRY, ShelfRow
from coshelf.engines.wrong_places import a_directory
from coshelf.errors import (
    CoshelfError,
    DamagedShelf,
    NotAShelf,
    OpenUnderAnotherName,
    ShelfLocked,
    ShelfNotFound,
    ShelfPermissionError,
    StorageError,
    StorageFull,
)
from coshelf.system.file_systems.durable import sync_directory
from coshelf.system.files.flags import ASIDE, CLOSE_ON_EXEC, NO_WAIT
from coshelf.system.files.os_errors import NO_RIGHT, NO_SPACE
from coshelf.system.locks import ranges, whole_file
from coshelf.system.memory.c_library import C_LIBRARIES, c_library
from coshelf.system.processes.boot import boot_id
from coshelf.system.waiting.backoff import Backoff

__all__ = ["Files", "open_files"]

# Seconds for which an opener assumes that another process is in the middle of opening or closing the shelf.
_PATIENCE = 3.0
_FIRST_PAUSE = 0.0005  # seconds between attempts
_LONGEST_PAUSE = 0.02
_NO_FILE = (errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ENXIO, errno.ENODEV, errno.EINVAL)


@dataclass(slots=True)
class Files:
    """The shelf's own file and its state page, opened by this process.

    Attributes:
        path: the resolved path.
        descriptor: the file's descriptor, which holds the shared flock. Once the shelf is open, it is LMDB's.
        page: the state page; None if this user cannot have sidecars here and reads without locks.
        alone: whether the flock is still exclusive, while the sidecars are made.
        has_damage: whether the first opener found damaged records.
        is_own: whether the opening found this user's mark, for the first caller that asks.
        transaction: LMDB's newest transaction when this process opened the file.
        left: the rows that a dead process left in the delta, if this process cannot flush them.
        is_lent: whether the descriptor is LMDB's.
    """

    path: str
    descriptor: int
    page: StatePage | None
    alone: bool
    has_damage: bool = False
    is_own: bool = False
    transaction: int = -1
    is_lent: bool = False
    left: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def status(self) -> os.stat_result:
        return os.fstat(self.descriptor)

    @property
    def identity(self) -> tuple[int, int]:
        information = self.status
        return information.st_dev, information.st_ino

    def take_mark(self) -> bool:
        """Whether the opening has just found this user's mark. False from the second call on: marks can be revoked."""
        found, self.is_own = self.is_own, False
        return found

    def share(self) -> None:
        """Let other openers in. Called once LMDB has its own lock on the lock file."""
        whole_file.take(self.descriptor, whole_file.SHARED)
        self.alone = False

    def close(self, *, has_written: bool | None = None) -> None:
        """Close the files. Remove the sidecars if no other process has the shelf open and the delta is not needed.

        LMDB is closed, and its descriptor taken back. If ``has_written`` is True, the last closer stamps the shelf. If
        it is False, it does so only if another process has written since this one opened the shelf. If None, never.
        """
        is_last = False
        try:
            is_last = self.is_alone()
            if is_last:
                if has_written is not None:
                    unchanged = None if has_written else self.transaction
                    stamp(self.descriptor, self.path, has_damage=self.has_damage, unchanged=unchanged)
                if self.page is not None:
                    self.page.abandon()  # first: to remove a file that is mapped, ext4 waits for its journal
                self.remove_sidecars()
        finally:
            if self.page is not None:
                self.page.abandon()
            try:
                if is_last and has_written:
                    keep_reserve(self.descriptor, self.path)  # last, so that it can use the space of the sidecars
            finally:
                _close(self.descriptor)

    def is_alone(self) -> bool:
        """Whether no other process has the shelf open or can open it from here on, and the delta is clean.

        LMDB is closed. If the answer is no, our own lock may be lost, too, so the shelf must be opened anew.
        """
        return self.page is not None and self._alone_again() and self.page.delta.is_clean()

    def remove_sidecars(self, *, keeps_turns: bool = False) -> None:
        """Remove all sidecars. The caller is alone with the shelf. With ``keeps_turns``, it goes on to use that one."""
        assert self.page is not None
        remove_all_delta_files(self.path)
        remove_file(lock_path(base_path(self.path)))
        remove_directory(self.path, keeps_turns=keeps_turns)

    def exposure_of_sidecars(self) -> str | None:
        """Why another user could write the sidecars that are in use; None if no other user can."""
        return None if self.page is None else exposure_of_sidecars(self.path, self.page.information)

    def refuse_exposed(self, path: str, sidecar: int) -> None:
        """Raise if a user who may not write the shelf could have written an open sidecar."""
        refuse_exposed(self.path, self.descriptor, path, sidecar)

    def abandon(self) -> None:
        """In a forked child: close its own descriptors and nothing else. The locks stay the parent's."""
        if not self.is_lent:
            os.close(self.descriptor)
        if self.page is not None:
            self.page.abandon()

    def _alone_again(self) -> bool:
        if not whole_file.try_to_take(self.descriptor, whole_file.EXCLUSIVE):
            return False
        # By now the name may lead to another file. The sidecars are then that file's, and must stay.
        assert self.page is not None
        return _same(self.path, self.identity) and _same(state_path(self.path), self.page.identity)


def open_files(path: str, *, write: bool, timeout: float, trusted: bool) -> Files:
    """Open a shelf's file and its sidecars. If ``alone`` is set in the result, the caller must call ``share()``.

    The first opener checks all pages, unless the shelf is ``trusted`` or this user made it.
    """
    end = time.monotonic() + timeout
    doubt_ends = time.monotonic() + min(timeout, _PATIENCE)
    backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
    while True:
        descriptor, writable = _open_file(path, write)
        try:
            check_header(descriptor, path)
            if writable:
                files, doubt = _try_open(path, descriptor, write, trusted=trusted)
            else:
                files, doubt = _without_rights(path, descriptor, trusted=trusted), None
        except BaseException:
            _close(descriptor)
            raise
        if files is not None:
            return files
        _close(descriptor)
        now = time.monotonic()
        if doubt is not None and now > doubt_ends:
            raise doubt
        if now > end:
            raise ShelfLocked(
                f"shelf is locked: {path}\n  another process has been opening or closing it for {timeout:g} s"
            )
        backoff.sleep()


def _open_file(path: str, write: bool) -> tuple[int, bool]:
    try:
        try:
            descriptor, writable = os.open(path, os.O_RDWR | CLOSE_ON_EXEC | NO_WAIT), True
        except OSError as error:
            if write or error.errno not in NO_RIGHT:
                raise
            descriptor, writable = os.open(path, os.O_RDONLY | CLOSE_ON_EXEC | NO_WAIT), False
    except FileNotFoundError as error:
        raise ShelfNotFound(
            errno.ENOENT,
            "no shelf exists at this path, and the flag does not allow making one\n"
            "  hint: compare the path with the names in its directory; flag 'c' makes a shelf",
            path,
        ) from error
    except IsADirectoryError as error:
        raise NotAShelf(a_directory(path)) from error
    except OSError as error:
        if error.errno in NO_RIGHT:
            kind = "write" if write else "read"
            way = "flag 'r' is enough to read it; to write it, change" if write else "change"
            raise ShelfPermissionError(
                error.errno, f"this user may not {kind} the shelf\n  hint: {way} its owner or its mode", path
            ) from error
        if error.errno in _NO_FILE:
            raise NotAShelf(f"{path} cannot be opened as a file: {error.strerror}") from error
        raise StorageError(error.errno, f"cannot open the shelf: {error.strerror}", path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAShelf(f"{path} is not a regular file; a shelf is a file")
    return descriptor, writable


def _try_open(path: str, descriptor: int, write: bool, *, trusted: bool) -> tuple[Files | None, OSError | None]:
    """One attempt to open. Return the files, or an error to raise if later attempts meet the same.

    If both are None, another process has the file locked or has replaced it, and the caller tries again.
    """
    information = os.fstat(descriptor)
    identity = (information.st_dev, information.st_ino)
    if try_to_lock(descriptor, whole_file.EXCLUSIVE, path):
        if not _same(path, identity):
            return None, None
        _refuse_stranger(path, descriptor)
        # The order matters: the lock file of a replaced shelf may be this process's own, and must not be opened.
        if not _is_left_from_another(path, identity) and _somebody_lives(lock_path(base_path(path))):
            return None, OpenUnderAnotherName(
                f"{path} has contradictory locks: its lock file is in use, but no process has the shelf itself open\n"
                "  hint: a process that had it open may have copied or moved the file; close it there"
            )
        row, has_damage, is_own, transaction = look_at(descriptor, path, trusted=trusted)
        if information.st_nlink > 1 or not row.sequence:
            _sync_name(path)  # its maker may have died before it did this
        if information.st_nlink > 1:
            sweep(path, information.st_ino)
        try:
            page = _make_sidecars(path, descriptor, information, row, trusted=trusted)
        except StorageFull:
            if not write:
                page = None  # reading needs no space
            elif give_up_reserve(descriptor, path):
                page = _make_sidecars(path, descriptor, information, row, trusted=trusted)
            else:
                raise
        if page is not None:
            page.note_findings(has_damage=has_damage, has_times=bool(row.writer_features & EXPIRY))
            return Files(path, descriptor, page, True, has_damage, is_own, transaction), None
        if write:
            raise ShelfPermissionError(
                errno.EACCES,
                "this user may not create files beside the shelf, which writing needs\n"
                "  hint: flag 'r' is enough to read it; to write it, change the owner or the mode of its directory",
                path,
            )
        return _without_locks(path, descriptor, has_damage, left_rows(path, descriptor, row)), None
    if not try_to_lock(descriptor, whole_file.SHARED, path):
        return None, None
    if not _same(path, identity):
        return None, None
    metas = read_metas(descriptor, path)
    # Between a commit and what makes the file whole after it, or cut by another program.
    if missing_bytes(descriptor, path, metas):
        return None, DamagedShelf(f"{path} was truncated by something else while others have it open")
    if not _all_usable(path, [sidecar_directory(path), lock_path(base_path(path)), state_path(path)], write):
        return _without_locks(path, descriptor), None
    refuse_exposed_sidecars(path, descriptor)
    try:
        page_descriptor = os.open(state_path(path), os.O_RDWR | ASIDE)
    except (FileNotFoundError, NotADirectoryError):
        return None, _another_name(path)
    try:
        refuse_exposed(path, descriptor, state_path(path), page_descriptor)
    except BaseException:
        os.close(page_descriptor)
        raise
    if not StatePage.names(page_descriptor, *identity) or not _somebody_lives(lock_path(base_path(path))):
        os.close(page_descriptor)
        return None, _another_name(path)
    page = StatePage(page_descriptor)
    if not page.is_of_this_namespace():
        page.abandon()
        return None, StorageError(
            f"{path} is open in another pid namespace, probably another container: LMDB's locks name threads by "
            "number, and a number means another thread there, so after a death two writers could get in\n"
            "  hint: sqlite:PATH works between containers that share a volume; or let the containers share a pid "
            "namespace, as with docker run --pid=container:NAME"
        )
    theirs = page.other_library()
    if theirs:
        page.abandon()
        return None, StorageError(
            f"{path} is open in a process that runs on {C_LIBRARIES.get(theirs, 'an unknown C library')}, and this one "
            f"runs on {C_LIBRARIES[c_library()]}: their locks in shared memory differ, so two writers could get in\n"
            "  hint: sqlite:PATH works for both; or close the shelf there first, or use Pythons of one kind"
        )
    try:
        name = delta_path(path, page.delta.identity().generation)
        if page.delta.is_made and not _all_usable(path, [name, lock_path(name)], write):
            page.abandon()
            return _without_locks(path, descriptor), None
    except BaseException:
        page.abandon()
        raise
    transaction = newest_of(metas).transaction
    return Files(path, descriptor, page, alone=False, has_damage=page.has_damage, transaction=transaction), None


def _all_usable(path: str, sidecars: list[str], write: bool) -> bool:
    """Whether this user may write a shelf's sidecars. With ``write`` this raises instead of returning False."""
    for name in sidecars:
        wanted = os.R_OK | (os.X_OK if os.path.isdir(name) else os.W_OK)
        if os.path.lexists(name) and not os.access(name, wanted, effective_ids=True):
            if write:
                raise ShelfPermissionError(errno.EACCES, f"this user may write {path} but not its sidecar", name)
            return False
    return True


def _refuse_stranger(path: str, descriptor: int) -> None:
    try:
        refuse_stranger(path)
        refuse_exposed_sidecars(path, descriptor)
    except OSError as error:
        if isinstance(error, CoshelfError):
            raise
        kind = ShelfPermissionError if error.errno in NO_RIGHT else StorageError
        raise kind(
            error.errno, f"cannot look into the directory beside the shelf: {error.strerror}", sidecar_directory(path)
        ) from error


def _sync_name(path: str) -> None:
    try:
        sync_directory(os.path.dirname(path))
    except OSError as error:
        raise StorageError(error.errno, f"cannot make the shelf's name durable: {error.strerror}", path) from error


def _without_rights(path: str, descriptor: int, *, trusted: bool) -> Files:
    """Open for a user who may only read. If no process has the file open, this checks it for damage."""
    if not try_to_lock(descriptor, whole_file.EXCLUSIVE, path):
        return _without_locks(path, descriptor)
    row, has_damage, *_ = look_at(descriptor, path, trusted=trusted)
    return _without_locks(path, descriptor, has_damage, left_rows(path, descriptor, row))


def _without_locks(
    path: str, descriptor: int, has_damage: bool = False, left: dict[bytes, bytes] | None = None
) -> Files:
    """Open for reading without locks. There is no flock either: it would keep writers from being alone."""
    whole_file.release(descriptor)
    check_short_file(descriptor, path)
    return Files(path, descriptor, page=None, alone=False, has_damage=has_damage, left=left or {})


def _another_name(path: str) -> OpenUnderAnotherName:
    return OpenUnderAnotherName(
        f"{path} is open elsewhere under another name (a hard link, a bind mount, or it was renamed while open): "
        "two sets of locks would not know of each other\n"
        "  hint: open it by the same path everywhere, or close it there first"
    )


def _make_sidecars(
    path: str, descriptor: int, information: os.stat_result, row: ShelfRow, *, trusted: bool
) -> StatePage | None:
    """Make the sidecars anew, with the owner and mode of the shelf. Return None if this user may not.

    A left delta that belongs to this shelf as it is now stays, and so does its state page. Otherwise the first commit
    makes a new delta.
    """
    left: StatePage | None = None
    made: list[str] = []
    try:
        is_new = make_directory(path, information)
        left = None if is_new else _left_state_page(path, descriptor, information)
        if left is not None:
            identity = left.delta.identity()
            if belongs(path, row, left.delta):
                if not trusted:
                    refuse_malformed_delta(descriptor, path, row, left.delta)
                make_lock_file(base_path(path), information)
                if identity.kind != LOG:
                    make_lock_file(delta_path(path, identity.generation), information)
                left.forget_processes()
                return left
            left.abandon()
            left = None
        if not is_new:
            remove_all_delta_files(path)
        state = make_file(state_path(path), information, StatePage.new(information.st_dev, information.st_ino))
        made.append(state_path(path))
        left = StatePage(state)
        make_lock_file(base_path(path), information)
        made.append(lock_path(base_path(path)))
        if boot_id() is not None:  # if boots cannot be told apart, there is no delta
            left.delta.expect()
        return left
    except OSError as error:
        if left is not None:
            left.abandon()
        if isinstance(error, DamagedShelf):
            raise
        for name in made:
            remove_file(name)
        remove_directory(path)
        if error.errno in NO_RIGHT:
            return None
        if error.errno in NO_SPACE:
            raise StorageFull(
                f"cannot open {path}: no space left for the files beside it\n  hint: flag 'r' needs none"
            ) from error
        raise StorageError(
            error.errno, f"cannot make a file beside the shelf: {error.strerror}", error.filename or path
        ) from error


def _left_state_page(path: str, shelf: int, information: os.stat_result) -> StatePage | None:
    """The state page that a dead process left, if it belongs to this file.

    Other errors are raised: if an error counted as "no state page", the commits in the delta would be lost.
    """
    try:
        descriptor = os.open(state_path(path), os.O_RDWR | ASIDE)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.ENXIO):
            return None
        raise
    try:
        refuse_exposed(path, shelf, state_path(path), descriptor)
        ours = StatePage.names(descriptor, information.st_dev, information.st_ino)
    except BaseException:
        os.close(descriptor)
        raise
    if not ours:
        os.close(descriptor)
        return None
    return StatePage(descriptor)


def _close(descriptor: int) -> None:
    """Close a descriptor, and end its flock even if a child that was forked meanwhile has a copy."""
    unlock(descriptor)
    os.close(descriptor)


def _same(path: str, identity: tuple[int, int]) -> bool:
    try:
        information = os.stat(path)
    except FileNotFoundError:
        return False
    return (information.st_dev, information.st_ino) == identity


def _somebody_lives(lock: str) -> bool:
    """Whether a living process has LMDB's lock on its lock file.

    Opening and closing the file here would drop this process's own lock of that kind. Callers know that it has none.
    """
    try:
        descriptor = os.open(lock, os.O_RDONLY | ASIDE)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in NO_RIGHT:
            raise StorageError(error.errno, f"cannot open the lock file: {error.strerror}", lock) from error
        raise ShelfPermissionError(error.errno, "this user may not read the lock file", lock) from error
    try:
        return ranges.is_held_by_process(descriptor, 0)
    finally:
        os.close(descriptor)


def _is_left_from_another(path: str, identity: tuple[int, int]) -> bool:
    """Whether the sidecars belong to another file, which was deleted or replaced while a process has it open."""
    try:
        descriptor = os.open(state_path(path), os.O_RDONLY | ASIDE)
    except OSError:
        return False
    try:
        return not StatePage.names(descriptor, *identity)
    except IsADirectoryError:
        return False
    finally:
        os.close(descriptor)
