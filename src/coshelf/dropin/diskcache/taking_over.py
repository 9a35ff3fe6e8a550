"""Takes over a directory of diskcache: makes a shelf with all that is in it.

The shelf is made under another name. It is whole and durable before it gets its own name, so a process that is killed
leaves no part of a shelf, and the next one begins anew. diskcache's files are not changed. Nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import warnings

from coshelf.contract import Batch, Markable
from coshelf.dropin.diskcache.disk import Disk
from coshelf.dropin.diskcache.layout import SHELF
from coshelf.dropin.diskcache.names import DBNAME
from coshelf.dropin.diskcache.old_places import databases, is_taken_over
from coshelf.dropin.diskcache.old_rows import OldRows
from coshelf.dropin.diskcache.old_users import processes_with
from coshelf.dropin.diskcache.old_values import FOLDER, OldValues
from coshelf.errors import CoshelfError, NotAShelf, ShelfExists, ShelfNotFound
from coshelf.opening import open as open_shelf
from coshelf.system.failpoints import ARMED, reach
from coshelf.system.file_systems.durable import sync_directory
from coshelf.system.files.directories import give_all
from coshelf.system.files.names import remove, replace
from coshelf.system.files.os_errors import translate
from coshelf.system.files.paths import expanded
from coshelf.system.locks.directories import alone_in
from coshelf.system.progress import showing
from coshelf.system.rights import users
from coshelf.transfer.report import TransferProgress, TransferReport
from coshelf.trust import marks

__all__ = ["take_over", "take_over_first"]

_SHOWN = 3  # rows in a warning


def take_over_first(directory: str, disk: type[Disk]) -> None:
    """Take over a directory of diskcache that has no shelf yet. If another process does it meanwhile, wait for that.

    Warns of rows that could not be taken over, and of processes that still use diskcache there.
    """
    with alone_in(directory):
        if is_taken_over(directory):
            return
        found = databases(directory)
        users = sorted({user for name in found for user in processes_with(os.path.join(directory, name, DBNAME))})
        report = _take_over(directory, directory, disk, None)
    _warn(directory, report, users)


def take_over(
    directory: str | os.PathLike[str],
    target: str | os.PathLike[str] | None = None,
    *,
    disk: type[Disk] = Disk,
    dry_run: bool = False,
    progress: TransferProgress | bool | None = None,
) -> TransferReport:
    """Make the cache of ``coshelf.diskcache`` that has all that is in a directory of diskcache.

    Opening the directory does the same. This function makes the cache in another place, too, and reports each entry
    that cannot be taken over. The files of diskcache are not changed, and nothing is unpickled.

    Args:
        directory: of a Cache, FanoutCache, Deque or Index.
        target: the directory of the new cache, which is made if it is missing. None: the same directory.
        disk: the class that the cache will be opened with.
        dry_run: only read and report.
        progress: a function that is called from time to time with the number of entries so far, and of all entries; or
            True for a bar on the terminal, or in the notebook, if it takes over a second.

    Raises:
        ShelfNotFound: it is not a directory of diskcache.
        ShelfExists: the target has a cache already.
        SourceError: the databases cannot be read.
        ShelfPermissionError, StorageError: the cache cannot be written. The target is as it was.
    """
    source = expanded(os.fspath(directory))
    place = source if target is None else expanded(os.fspath(target))
    if not databases(source):
        raise ShelfNotFound(errno.ENOENT, f"there is no {DBNAME} of diskcache in this directory", source)
    if dry_run:
        report = TransferReport("diskcache")
        with OldRows(source) as old, showing(progress, place, "entries") as tell:
            old.examine(report, tell)
        return report
    os.makedirs(place, 0o755, exist_ok=True)
    with alone_in(place):
        if is_taken_over(place):
            raise _exists(place)
        with showing(progress, place, "entries") as tell:
            return _take_over(source, place, disk, tell)


def _take_over(source: str, target: str, disk: type[Disk], progress: TransferProgress | None) -> TransferReport:
    # In a folder of its own: an engine may lock the directory of a new file, and this one is locked by alone_in().
    folder = os.path.join(target, FOLDER)
    is_named = False
    _sweep(folder)
    try:
        os.mkdir(folder)
        with OldRows(source) as old:
            report = _make(os.path.join(folder, SHELF), old, target, disk, progress)
        if ARMED:
            reach("taken-over-made")
        if is_taken_over(target):
            raise _exists(target)
        replace(os.path.join(folder, SHELF), os.path.join(target, SHELF))
        is_named = True
        if ARMED:
            reach("taken-over-named")
        _leave(folder)
        sync_directory(target)
    except BaseException as error:
        if not is_named:
            _sweep(folder)
        if isinstance(error, OSError) and not isinstance(error, CoshelfError):
            raise translate(error, "take over", "the directory of diskcache", target) from error
        raise
    return report


def _make(
    making: str, old: OldRows, target: str, disk: type[Disk], progress: TransferProgress | None
) -> TransferReport:
    """Make the shelf and the second names of files, all durable."""
    report = TransferReport("diskcache")
    values = OldValues(target, has_nan=disk.fetch is Disk.fetch)
    status = os.stat(old.first_path)
    with open_shelf(making, "n", mode=stat.S_IMODE(status.st_mode) & 0o666) as shelf:
        engine = shelf._handle.engine
        # Its pickles may come from anybody. So it is no shelf that this user has made.
        if isinstance(engine, Markable):
            engine.revoke()
        engine.commit(Batch(deletes=frozenset((marks.ROW_KEY,))))
        if ARMED:
            reach("taken-over-begun")
        old.copy(engine, shelf._handle.codec, values, report, progress)
    values.sync()
    _give(os.path.dirname(making), status)
    return report


def _give(folder: str, status: os.stat_result) -> None:
    """Root leaves what it makes to the owner of the old files."""
    if users.effective() == users.ROOT:
        give_all(folder, status.st_uid, status.st_gid)


def _leave(folder: str) -> None:
    """Remove what an engine has left beside the shelf that was moved out, and the folder if it has no value files."""
    for name in os.listdir(folder):
        if name.lstrip(".").startswith(SHELF):
            remove(os.path.join(folder, name))
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def _sweep(folder: str) -> None:
    """Remove what a process has left that was killed while it took the directory over."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    others = [name for name in names if not name.isdecimal() and not name.lstrip(".").startswith(SHELF)]
    if others:
        raise NotAShelf(f"{folder} is in the way: it has {others[0]}, which is no part of a cache; nothing was changed")
    shutil.rmtree(folder)


def _exists(target: str) -> ShelfExists:
    return ShelfExists(errno.EEXIST, "this directory has been taken over already, or has another cache", target)


def _warn(directory: str, report: TransferReport, users: list[int]) -> None:
    if users:
        numbers = ", ".join(map(str, users))
        warnings.warn(
            f"{directory} was taken over from diskcache, but is still in use by diskcache in process {numbers}: what "
            "is stored there from now on is not seen here\n"
            f"  hint: end these processes. To take the directory over anew, remove {SHELF} in it",
            stacklevel=4,
        )
    if report.failed:
        some = "; ".join(f"{left.key}: {left.reason}" for left in report.failed[:_SHOWN])
        warnings.warn(
            f"{directory} was taken over from diskcache without {len(report.failed)} of "
            f"{len(report.failed) + report.done} entries, which diskcache cannot read either: {some}",
            stacklevel=4,
        )
