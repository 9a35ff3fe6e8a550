"""Connections without a pool's threads, for the end of the interpreter, when no thread can be started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout

__all__ = ["LoneConnections"]

_C = TypeVar("_C", bound="psycopg.Connection[tuple[object, ...]]")


class LoneConnections(Generic[_C]):
    """Lends connections as a pool does. The caller's thread makes them; those that are given back are kept."""

    def __init__(self, connect: Callable[[], _C]) -> None:
        self._connect = connect
        self._kept: list[_C] = []
        self._closed = False

    def getconn(self, timeout: float) -> _C:
        """A connection. Raises ``PoolTimeout`` if it cannot be made. ``timeout`` is ignored: a pool has it."""
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
        """As a pool's. It is empty, because the number of connections has no limit."""
        return {}

    def close(self, timeout: float = 0) -> None:
        """Close the connections. Those that are lent are closed when they are given back."""
        self._closed = True
        while self._kept:
            self._kept.pop().close()
