"""Keeps the histories of servers for readers of changes, in one thread for each handle."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from coshelf.engines.periodic import Periodic
from coshelf.errors import CoshelfError
from coshelf.system.threads.living import Living

__all__ = ["KEPT", "Keeper"]

KEPT = 120
"""Seconds for which a server keeps a history that no reader renews."""

_PERIOD = 10.0  # seconds


class Reader(Protocol):
    """A reader of changes."""

    def wake(self) -> None:
        """Let a read that waits return."""
        ...


class Keeper(Periodic):
    """Renews a history once a period, as long as one of its readers is open.

    Args:
        renew: renews it.
    """

    def __init__(self, renew: Callable[[], object]) -> None:
        self._renew = renew
        super().__init__("coshelf-keeper", _PERIOD)

    def _begin(self) -> None:
        super()._begin()
        self._readers: Living[Reader] = Living()

    def add(self, reader: Reader) -> None:
        """Renew the history from now on, until the reader is removed or collected."""
        self._begin_in_child()  # the parent's thread keeps the history for the parent's readers
        self._readers.add(reader)
        self._run_while_needed()

    def remove(self, reader: Reader) -> None:
        """Renew it no more for this reader."""
        self._readers.discard(reader)

    def close(self) -> None:
        """Let all readers return that wait, and renew the history no more for them."""
        for reader in list(self._readers):
            self._readers.discard(reader)
            reader.wake()

    def _is_needed(self) -> bool:
        return bool(self._readers)

    def _step(self) -> None:
        with suppress(CoshelfError):  # the reader meets the cause, too, and says it
            self._renew()
