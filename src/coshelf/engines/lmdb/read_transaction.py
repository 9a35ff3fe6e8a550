"""A read transaction that is kept: what a snapshot and a scan read from."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from coshelf.errors import ShelfClosed

if TYPE_CHECKING:
    import lmdb

    from coshelf.engines.lmdb.open_files import OpenFiles

__all__ = ["ReadTransaction"]


class ReadTransaction:
    """A read transaction that survives a fork, and that no thread can end while another thread reads from it.

    After a fork the parent's transaction goes on. The child's copy cannot be read from, and does no harm.
    """

    def __init__(self, environment: OpenFiles) -> None:
        self._environment = environment
        self._inside: list[None] = []
        self._closed: str | None = None
        self._pages: dict[object, list[Any]] = {}  # the page that each scan has handed out
        self.users = 0
        self.since = time.monotonic()
        base = environment.enter()
        try:
            # In a list, since taking an element out of a list is one step: only one of two threads gets it.
            self._transaction = [base.begin()]
            environment.track(self)
        finally:
            environment.leave()

    def enter(self) -> lmdb.Transaction[bytes]:
        """The transaction, which stays open until :meth:`leave`. Raises if it is closed, or if its file was cut."""
        base = self._environment.enter()
        self._inside.append(None)
        if self._closed is not None:
            self.leave()
            self.refuse()
        try:
            base.check_size()
        except BaseException:
            self.leave()
            raise
        return self._transaction[0]

    def leave(self) -> None:
        self._inside.pop()
        if self._closed is not None:
            self._end()
        self._environment.leave()

    def hand_out(self, scan: object, page: list[Any]) -> None:
        """Remember the page that a scan hands out, until :meth:`forget`.

        Closing the transaction empties it, so the scan ends at once.
        """
        self._pages[scan] = page

    def forget(self, scan: object) -> None:
        """At the end of a scan: forget its page."""
        self._pages.pop(scan, None)

    def _take_back(self) -> None:
        for page in list(self._pages.values()):
            page.clear()

    def refuse(self) -> None:
        """Raise :class:`ShelfClosed`, and say why it cannot be read from any more."""
        raise ShelfClosed(f"the snapshot of {self._environment.path} {self._closed}")

    @property
    def alive(self) -> bool:
        return self._closed is None

    def close(self) -> None:
        """End the transaction, or let the last reader do it. Closing twice is fine."""
        self._closed = self._closed or "has been closed"
        self._take_back()
        self._end()

    def _end(self) -> None:
        with contextlib.suppress(IndexError):  # another thread was first
            if not self._inside:
                self._transaction.pop().abort()

    def abandon(self) -> list[lmdb.Transaction[bytes]]:
        """In a forked child: return the transaction, which the caller keeps alive for ever."""
        self._closed = "belongs to the parent of this process"
        self._take_back()
        given, self._transaction = self._transaction, []
        return given
