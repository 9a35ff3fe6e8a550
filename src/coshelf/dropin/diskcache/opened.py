"""A cache's directory and its open shelf, which threads, forks and pickled copies share."""

from __future__ import annotations

import os
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from coshelf.dropin.diskcache.deletion import forgive_deletion
from coshelf.dropin.diskcache.disk import Disk
from coshelf.dropin.diskcache.layout import SHELF
from coshelf.dropin.diskcache.loading import load_as
from coshelf.dropin.diskcache.names import Timeout
from coshelf.dropin.diskcache.old_places import is_to_be_taken_over
from coshelf.dropin.diskcache.store import Store
from coshelf.errors import ShelfGone, ShelfLocked
from coshelf.opening import open as open_shelf
from coshelf.system.threads.alone import alone
from coshelf.system.threads.cooperation import new_lock
from coshelf.system.threads.living import Living

__all__ = ["Opened"]


_OPENING = 60.0  # seconds to wait for a process that makes the shelf, however short the timeout of calls is
_PAUSE = 0.005


class _Use:
    """A thread's use of the open shelf. It ends when the thread closes the cache, or ends itself."""

    __slots__ = ("__weakref__", "store")

    def __init__(self, store: Store) -> None:
        self.store = store


class _OfThread(threading.local):
    use: _Use | None = None


class Opened:
    """The part of a cache that opens and closes.

    Each thread that uses the cache has it open, as if it had a connection of its own. The shelf is closed when the last
    of them closes the cache.
    """

    _disk: Disk

    def __init__(
        self, directory: str | bytes | os.PathLike[str] | None, timeout: float, disk: type[Disk], **settings: Any
    ) -> None:
        if not (isinstance(disk, type) and issubclass(disk, Disk)):
            raise ValueError("disk must subclass diskcache.Disk")  # noqa: TRY004 (as diskcache does)
        self._directory = _made(directory)
        if is_to_be_taken_over(self._directory):
            from coshelf.dropin.diskcache.taking_over import take_over_first  # rarely needed, and it needs much

            take_over_first(self._directory, disk)
        self._timeout = timeout
        self._local = _OfThread()
        self._shared: Store | None = None
        self._uses: Living[_Use] = Living()
        self._lock = new_lock()
        self._pid = os.getpid()
        chosen = self._settle(settings)
        of_disk = {name.removeprefix("disk_"): value for name, value in chosen.items() if name.startswith("disk_")}
        self._disk = disk(self._directory, **of_disk)
        self._load_as(self._store)

    def _settle(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Store the settings, make attributes of them, and return those that hold."""
        raise NotImplementedError

    # --- opening and closing -----------------------------------------------------------------------------------------

    @property
    def _store(self) -> Store:
        """The open shelf. It is opened if it was closed."""
        use = self._local.use
        return self._join() if use is None else use.store

    def _join(self) -> Store:
        with self._lock_of_process():
            if self._shared is None:
                self._shared = self._open()
                self._load_as(self._shared)
            use = _Use(self._shared)
            self._uses.add(use)
            self._local.use = use
            return use.store

    def _kept_open(self) -> object:
        """What keeps the shelf open as long as it lives, also if all threads close the cache."""
        use = _Use(self._store)
        with self._lock_of_process():
            self._uses.add(use)
        return use

    def _lock_of_process(self) -> threading.Lock:
        if self._pid != os.getpid():  # another thread of the parent may have held the lock
            with alone():
                if self._pid != os.getpid():
                    self._lock = new_lock()
                    self._pid = os.getpid()
        return self._lock

    def _open(self) -> Store:
        deadline = time.monotonic() + _OPENING
        while True:
            try:
                shelf = open_shelf(os.path.join(self._directory, SHELF), timeout=self._timeout)
            except ShelfLocked:
                if time.monotonic() > deadline:
                    raise Timeout from None
                time.sleep(_PAUSE)
            else:
                forgive_deletion(shelf._handle)
                return Store(shelf, self._timeout, _remover(weakref.ref(self)))

    def _load_as(self, store: Store) -> None:
        """Have the disk load what the shelf's owner allows."""
        disk = self.__dict__.get("_disk")  # the settings, with which it is made, are in the shelf
        if disk is not None:
            load_as(disk, store.codec, store.engine.where)

    def close(self) -> None:
        """Close the cache for this thread. It may be closed again, and any other use opens it again.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache()
        >>> cache.close()
        >>> cache.get("a", 5)
        5
        """
        with self._lock_of_process():
            use, self._local.use = self._local.use, None
            if use is not None:
                self._uses.discard(use)
            if self._uses or self._shared is None:
                return
            shared, self._shared = self._shared, None
            try:
                shared.shelf.close()
            except ShelfGone as gone:
                is_alone = os.path.isdir(self._directory) and not os.path.exists(os.path.join(self._directory, SHELF))
                if is_alone or not gone.is_lost:  # the shelf was deleted or moved, and not the directory
                    raise

    def __enter__(self) -> Self:
        _ = self._store
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> Any:
        return self.directory, self.timeout, type(self._disk)

    def __setstate__(self, state: Any) -> None:
        self.__init__(*state)  # type: ignore[misc]

    # --- what it is --------------------------------------------------------------------------------------------------

    @property
    def directory(self) -> str:
        """The directory."""
        return self._directory

    @property
    def timeout(self) -> float:
        """Seconds that a call waits for other writers."""
        return self._timeout

    @property
    def disk(self) -> Disk:
        """What stores keys and values."""
        return self._disk


def _remover(cache: weakref.ref[Opened]) -> Callable[[str], None]:
    """What removes a file of a cache. It does not keep the cache alive: a cache that nobody uses closes at once."""

    def remove(name: str) -> None:
        opened = cache()
        if opened is not None:
            opened.disk.remove(name)

    return remove


def _made(directory: str | bytes | os.PathLike[str] | None) -> str:
    """The path of a directory, which is made if it does not exist."""
    if directory is None:
        return tempfile.mkdtemp(prefix="diskcache-")
    path = os.path.expandvars(os.path.expanduser(os.fsdecode(directory)))
    if not os.path.isdir(path):
        try:
            os.makedirs(path, 0o755, exist_ok=True)
        except OSError as error:
            raise OSError(error.errno, f'Cache directory "{path}" does not exist and could not be created') from None
    return path
