"""The methods of a shelf that tell of changes. docs/coordination.md, "Watching"."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from coshelf.contract import Engine, Position
from coshelf.errors import Unsupported, WaitTimeout
from coshelf.keys import shown
from coshelf.mapping.handle import Handle
from coshelf.mapping.reading import Readable
from coshelf.mapping.resuming import point_of
from coshelf.mapping.selection import Selection
from coshelf.system.waiting.timeouts import usable_timeout

if TYPE_CHECKING:
    from coshelf.mapping.watch import Watch

__all__ = ["Watching"]

K = TypeVar("K")
V = TypeVar("V")

# A doorbell wakes its readers at once. This limits the wait if a ring is lost.
_LONGEST_SLEEP = 1.0


class Watching(Readable[K, V], Generic[K, V]):
    """The methods of a :class:`coshelf.Shelf` that tell of changes."""

    _handle: Handle

    @property
    def version(self) -> Position:
        """The position of the last commit, for ``since=`` of :meth:`watch` and :meth:`wait`. Mostly a number.

        From here on the changes are kept for a while, also if nobody watches yet.

        Raises:
            Unsupported: the engine does not tell of changes.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> before = shelf.version
        >>> shelf["a"] = 1
        >>> shelf.version == before
        False
        """
        return self._telling("version").position()

    def watch(
        self,
        glob: str | None = None,
        *,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        since: Position | None = None,
        latest: bool = False,
        timeout: float | None = None,
    ) -> Watch[K, V]:
        """The changes that commits of any process make to the entries that meet all conditions, as they come.

        The result is an iterator of :class:`coshelf.Change`, and a context manager that ends the watch. Every commit is
        told, in order. Within a commit, changes are in the order of the keys in the whole shelf. What a transaction has
        not committed is not told. After a change, ``since=change.version`` goes on exactly behind it, in any process.

        Args:
            glob: pattern for str keys, as for :meth:`keys`.
            prefix: the beginning of the keys: a str, bytes, or a tuple of first elements.
            start: the lowest key that is included. None: there is no bound.
            stop: the lowest key that is not included. None: there is no bound.
            since: tell what came after this version: that of a change, or :attr:`version`. None: from this call on.
                If that is not known completely any more, a change of the kind ``"gap"`` comes first.
            latest: whether several changes of one key that wait to be told are told as one: the last of them.
            timeout: after so many seconds without a change the iteration ends. None: it waits for ever.

        Raises:
            Unsupported: the engine does not tell of changes.
            ValueError: ``since`` is no version of this shelf.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> watch = shelf.watch("jobs/*", timeout=0)
        >>> shelf.update({"jobs/1": "wash", "jobs/2": "dry", "other": 0})
        >>> [(change.key, change.value) for change in watch]
        [('jobs/1', 'wash'), ('jobs/2', 'dry')]
        """
        from coshelf.mapping.watch import Watch

        self._telling("watch()")
        selection = self._select(glob, prefix, start, stop)
        limit = None if timeout is None else usable_timeout(timeout)
        return Watch(self._handle, selection, since, latest=latest, timeout=limit)

    def wait(self, key: K, timeout: float | None = None, *, since: Position | None = None) -> V:
        """The value of ``key``, as soon as the key exists; with ``since``, as soon as it changes after that version.

        Args:
            key: the key of the entry.
            timeout: seconds. None: there is no limit.
            since: wait until a commit that came after this version changes the key. If it is not known whether there
                was one, because the changes are not kept any more, that counts as a change.

        Raises:
            WaitTimeout: it did not happen within ``timeout`` seconds.
            KeyError: with ``since``, the change is that the key was deleted, or has expired.
            Unsupported: with ``since``, if the engine does not tell of changes.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> before = shelf.version
        >>> shelf["state"] = "ready"
        >>> shelf.wait("state"), shelf.wait("state", since=before)
        ('ready', 'ready')
        """
        end = None
        if timeout is not None:
            end = time.monotonic() + usable_timeout(max(timeout, 0) if isinstance(timeout, (int, float)) else timeout)
        if since is not None:
            return self._wait_for_change(key, since, end, timeout)
        bell = self._handle.engine.doorbell(self._namespace.encode(key))
        while True:
            sequence = bell.sequence()
            try:
                return self._get(key)
            except KeyError:
                left = _LONGEST_SLEEP if end is None else min(end - time.monotonic(), _LONGEST_SLEEP)
            if left <= 0:
                raise WaitTimeout(f"{shown(key)} did not appear in {self._handle.engine.where} within {timeout:g} s")
            bell.wait(sequence, left)

    def _wait_for_change(self, key: K, since: Position, end: float | None, timeout: float | None) -> V:
        from coshelf.mapping.watch import Watch

        engine = self._telling("wait(since=...)")
        encoded = self._namespace.encode(key)
        selection = Selection(self._namespace, ((encoded, encoded + b"\0"),), None, False)
        watch: Watch[K, V] = Watch(self._handle, selection, since, latest=True, timeout=None)
        with watch:
            while True:
                change = watch.next(None if end is None else max(end - time.monotonic(), 0))
                if change is None:
                    raise WaitTimeout(
                        f"{shown(key)} did not change in {self._handle.engine.where} within {timeout or 0:g} s"
                    )
                if change.kind != "gap" or _may_have_changed(engine, encoded, since):
                    return self._get(key)

    def _telling(self, what: str) -> Engine:
        """The engine. Raises ShelfClosed, and Unsupported if it does not tell of changes."""
        self._handle.refuse_closed()
        engine = self._handle.engine
        if engine.capabilities.changes is None:
            raise Unsupported(
                f"{what}: the {engine.name} engine does not tell of changes ({engine.where})\n"
                "  hint: wait(key) waits for one key, and record(key).version tells whether an entry has changed"
            )
        return engine


def _may_have_changed(engine: Engine, encoded: bytes, since: Position) -> bool:
    """Whether an entry may have changed after a version, if the changes since then are not known."""
    entry = engine.get(encoded)
    return entry is None or engine.may_be_later(entry.version, point_of(since, engine).after)
