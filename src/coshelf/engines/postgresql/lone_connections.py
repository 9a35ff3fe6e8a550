"""Connections without a pool's threads, for the end of the interpreter, when no thread can be started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout

__all__ = ["LoneConnections"]

_C = TypeVar("_C", bound="psycopg.Connection[tuple[object, ...]]")


class LoneConnections(Generic[_C]):
    """Lends connections as a pool does. The caller's thread makes what it is lent; those that come back are kept."""

    def __init__(self, connect: Callable[[], _C]) -> None:
        self._connect = connect
        self._kept: list[_C] = []
        self._closed = False

    def getconn(self, timeout: float) -> _C:
        """A connection. Raises ``PoolTimeout`` if none comes about; ``timeout`` is for a pool's callers."""
        if self._closed:
            raise PoolClosed("the connections have been closed")
        try:
            return self._kept.pop()
        except IndexError:
            pass
        try:
            return self._connect()
        except psycopg.Error as error:
            raise PoolTimeout(str(error)) from error

    def putconn(self, connection: _C) -> None:
        """Take a connection back, also one that a pool has lent."""
        if self._closed:
            connection.close()
        elif not connection.closed:
            self._kept.append(connection)

    def get_stats(self) -> dict[str, int]:
        """As a pool's: they are not bounded, so never too many are in use."""
        return {}

    def close(self, timeout: float = 0) -> None:
        """End the connections. Those that are lent end when they come back."""
        self._closed = True
        while self._kept:
            self._kept.pop().close()
