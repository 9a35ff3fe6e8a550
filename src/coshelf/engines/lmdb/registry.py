"""All shelves that this process has open: one environment for each file, which counts its users.

This is the only global state. LMDB must not open a file twice in one process, and a forked child must not use or close
an inherited environment. Both would break the locks of processes that are alive. So this also handles forks.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Protocol

from coshelf.errors import OpenUnderAnotherName, ReadOnlyShelf, ShelfGone, ShelfLocked, TransactionInProgress
from coshelf.system.files.paths import is_one_name
from coshelf.system.processes.forks import at_fork
from coshelf.system.threads.cooperation import new_reentrant_lock
from coshelf.system.threads.participants import Party, current_party

__all__ = ["REGISTRY", "Registry"]

# Seconds that a fork waits for the end of a flush. If the fork is made in a signal handler that interrupted a commit,
# the flush cannot end before the handler does.
_PATIENCE_AT_FORK = 1.0


class Member(Protocol):
    """The part of an environment that the registry uses."""

    path: str
    users: int
    may_be_deleted: bool
    identity: tuple[int, int]
    registered: bool

    @property
    def is_open(self) -> bool: ...

    @property
    def is_busy(self) -> bool: ...

    def inside(self) -> AbstractContextManager[None]: ...

    def lmdb_files(self) -> Sequence[MappedFile]: ...

    def refuse_gone(self) -> None: ...

    def release(self) -> None: ...

    def shut(self) -> None: ...

    def pause_threads(self, patience: float) -> None: ...

    def resume_threads(self) -> None: ...

    def abandon(self) -> None: ...

    def sync_at_end(self) -> None: ...

    def rest(self) -> None: ...


class MappedFile(Protocol):
    """A file of an environment, and its lock file."""

    @property
    def paths(self) -> tuple[str, str]: ...


class Registry:
    """All environments that this process has open, by device and inode of their file."""

    def __init__(self) -> None:
        self._renew_locks()
        self._open: dict[tuple[int, int], Member] = {}
        self._kept: list[object] = []
        self._increase_references: Callable[[object], object] | None = None
        self._replace_maps: Callable[[Mapping[str, bool]], None] | None = None
        self._watched = 0

    def __len__(self) -> int:
        return len(self._open)

    def acquire(self, path: str, make: Callable[[], Member], *, write: bool, timeout: float) -> Member:
        """The environment of a file, with one more user. ``make`` opens it if this process has not opened it yet."""
        with self._opening_alone(path, timeout):
            with self.lock:
                known = self._find(path)
                if known is not None:
                    known.users += 1  # an environment that waits for its last thread to leave is then not closed
            if known is None:
                known = make()
                self.watch_end()
                with self.lock:
                    known.users += 1
                    self._open[known.identity] = known
                return known
        try:
            if not is_one_name(known.path, path):
                raise OpenUnderAnotherName(
                    f"{path} is open in this process as {known.path}: use one name for one shelf"
                )
            if write:
                with known.inside():  # a forked child opens it again here, and that may fail
                    if not known.registered:
                        raise ReadOnlyShelf(f"{path} is open in this process, read without locks; close it first")
        except BaseException:
            known.release()
            raise
        return known

    @contextmanager
    def _opening_alone(self, path: str, timeout: float) -> Iterator[None]:
        """Keep other threads from opening the same file. Other files stay free, since this may take ``timeout`` s."""
        end = time.monotonic() + timeout
        me = current_party()
        with self.lock:
            if path in self._being_closed:  # this thread is closing it, since it has the lock
                raise _interrupted("closing", path)
            while path in self._being_opened:
                if self._being_opened[path] == me:
                    raise _interrupted("opening", path)
                left = end - time.monotonic()
                if left <= 0:
                    raise ShelfLocked(
                        f"shelf is locked: {path}\n  another thread has been opening it for {timeout:g} s"
                    )
                self._opened.wait(left)
            self._being_opened[path] = me
        try:
            yield
        finally:
            with self.lock:
                self._being_opened.pop(path, None)
                self._opened.notify_all()

    def refuse_gone(self, path: str) -> None:
        """Raise :class:`ShelfGone` if this process has a file open by this name, and the file was removed or replaced.

        Another file of that name would be another shelf, and the users of the open one would not know of it. Some
        users do not want to know: those of a shelf that may be deleted.
        """
        with self.lock:
            for environment in list(self._open.values()):
                if environment.may_be_deleted or environment.path != path:
                    continue
                if environment.is_open and environment.users:
                    environment.refuse_gone()

    def _find(self, path: str) -> Member | None:
        try:
            information = os.stat(path)
        except OSError:
            return None
        return self._open.get((information.st_dev, information.st_ino))

    def close_unused(self, environment: Member) -> None:
        """Close an environment without users. If a thread is still inside, it closes the environment when it leaves."""
        with self.lock:
            if not environment.users and not environment.is_busy:
                self._being_closed.add(environment.path)
                try:
                    # By now there may be another environment for the same file.
                    if self._open.get(environment.identity) is environment:
                        del self._open[environment.identity]
                    environment.shut()
                finally:
                    self._being_closed.discard(environment.path)

    def move(self, environment: Member, information: os.stat_result) -> None:
        """Register an environment under the file that took the place of its own. The caller holds the lock."""
        if self._open.get(environment.identity) is environment:
            del self._open[environment.identity]
        environment.identity = (information.st_dev, information.st_ino)
        self._open[environment.identity] = environment

    def _renew_locks(self) -> None:
        self.lock = new_reentrant_lock()
        self._opened = threading.Condition(self.lock)
        self._being_closed: set[str] = set()
        self._being_opened: dict[str, Party] = {}  # each path, and who opens it

    def before_fork(self) -> None:
        # From Python 3.12 on, a fork with running threads is a warning. Before the lock: a thread may need it to end.
        for environment in self._open.copy().values():
            environment.pause_threads(_PATIENCE_AT_FORK)
        self.lock.acquire()  # so that the child finds the table whole
        if self._open and self._increase_references is None:
            # Not in the child: an import that another thread had begun would never end there.
            from coshelf.system.memory import immortal, inherited_maps

            self._increase_references = immortal.keeper()
            self._replace_maps = inherited_maps.replace if inherited_maps.can_replace() else None

    def after_fork_in_parent(self) -> None:
        paused = list(self._open.values())
        self.lock.release()
        for environment in paused:
            environment.resume_threads()

    def after_fork_in_child(self) -> None:
        self._renew_locks()
        _allow_reopening()
        inherited: dict[str, bool] = {}  # and whether its memory must be writable
        for environment in self._open.values():
            for file in environment.lmdb_files():
                data, lock = file.paths
                inherited[data], inherited[lock] = False, True  # data is read-only: it may be larger than memory
        for environment in self._open.values():
            environment.abandon()
        if inherited and self._replace_maps is not None:
            self._replace_maps(inherited)

    def keep_for_ever(self, inherited: Iterable[object]) -> None:
        """Keep objects from being deallocated: even at the interpreter's end, if ctypes is there."""
        for kept in inherited:
            self._kept.append(kept)
            if self._increase_references is not None:
                self._increase_references(kept)

    def watch_end(self) -> None:
        """Flush at the end of a child of multiprocessing. Such a child does not run what is registered for exit."""
        util = sys.modules.get("multiprocessing.util")
        if util is not None and self._watched != os.getpid():
            self._watched = os.getpid()
            util.register_after_fork(self, Registry._watch_child)  # for shelves unpickled before the child begins
            self._watch_child()

    def _watch_child(self) -> None:
        util, process = sys.modules["multiprocessing.util"], sys.modules.get("multiprocessing.process")
        if process is not None and process.parent_process() is not None:
            util.Finalize(None, self.sync_all, exitpriority=0)

    def sync_all(self) -> None:
        """Flush everything, and change nothing else: threads may still be at work."""
        for environment in list(self._open.values()):
            environment.sync_at_end()

    def rest_all(self) -> None:
        """At exit: make everything durable. A shelf that was not closed is closed when its handles are deleted.

        That happens later, while modules are torn down. Until then every handle can be used.
        """
        for environment in list(self._open.values()):
            with suppress(ShelfGone):  # each open shelf reports it by itself
                environment.rest()


def _interrupted(doing: str, path: str) -> TransactionInProgress:
    return TransactionInProgress(
        f"this call interrupted this thread while it was {doing} {path}; it cannot be opened before that has ended\n"
        "  hint: in a signal handler or finalizer, only note what is to be done, and do it later"
    )


def _allow_reopening() -> None:
    """Let py-lmdb open files in this child that its parent had open.

    py-lmdb refuses a second environment for one file: it compares what ``env_keys`` returns with the keys of open
    environments. The inherited environments are never used or closed again. So in a child the keys include its pid.
    """
    from lmdb import _envid

    keys = _envid.env_keys
    pid = os.getpid()
    _envid.env_keys = lambda path, subdir: tuple((pid, key) for key in keys(path, subdir))  # type: ignore[no-untyped-call]


REGISTRY = Registry()
# Not atexit: at exit finalizers run from the youngest to the oldest. So those of shelves, which write back, come first.
weakref.finalize(REGISTRY, REGISTRY.rest_all)
at_fork(
    before=REGISTRY.before_fork,
    after_in_parent=REGISTRY.after_fork_in_parent,
    after_in_child=REGISTRY.after_fork_in_child,
)
