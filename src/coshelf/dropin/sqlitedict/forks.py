"""What connections do when their process forks.

SQLite records the locks of a process in memory, and a forked child inherits the record without the locks. So idle
connections are closed before a fork, and parent and child open new ones when they need them. A connection with
uncommitted changes stays open for the parent. The child may not use that file.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["PATIENCE", "Forking", "keep_for_ever", "watch", "watched"]

PATIENCE = 1.0
"""Seconds that a fork waits for a call in progress."""


class Forking(Protocol):
    """A connection, as forks see it."""

    def before_fork(self) -> None: ...
    def after_fork_in_parent(self) -> None: ...
    def after_fork_in_child(self) -> None: ...


_all: weakref.WeakSet[Forking] = weakref.WeakSet()
_at_fork: list[Forking] = []


def watch(connection: Forking) -> None:
    """Call the methods of a connection at each fork, for as long as it exists."""
    _all.add(connection)


def watched() -> list[Forking]:
    """The connections of this process."""
    return list(_all)


def keep_for_ever(inherited: object) -> None:
    """Never close a connection of the parent: in this process that could undo changes of the parent."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))


def _before() -> None:
    for connection in watched():
        connection.before_fork()
        _at_fork.append(connection)


def _in_parent() -> None:
    while _at_fork:
        _at_fork.pop().after_fork_in_parent()


def _in_child() -> None:
    while _at_fork:
        _at_fork.pop().after_fork_in_child()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
