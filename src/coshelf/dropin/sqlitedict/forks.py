"""What connections do when their process forks.

SQLite records the locks of a process in memory, and a forked child inherits the record without the locks. So idle
connections are closed before a fork, and parent and child open new ones when they need them. A connection with
uncommitted changes stays open for the parent. The child may not use that file.
"""

from __future__ import annotations

from typing import Protocol

from coshelf.system.memory import immortal
from coshelf.system.processes.forks import at_fork
from coshelf.system.threads.cooperation import ServiceThread, new_lock
from coshelf.system.threads.living import Living

__all__ = ["PATIENCE", "Forking", "keep_for_ever", "watch", "watched"]

PATIENCE = 1.0
"""Seconds that a fork waits for a call in progress."""


class Forking(Protocol):
    """A connection, as forks see it."""

    def before_fork(self) -> None: ...
    def after_fork_in_parent(self) -> None: ...
    def after_fork_in_child(self) -> None: ...


_all: Living[Forking] = Living()
_at_fork: list[Forking] = []


def watch(connection: Forking) -> None:
    """Call the methods of a connection at each fork, for as long as it exists."""
    _all.add(connection)


def watched() -> list[Forking]:
    """The connections of this process."""
    return list(_all)


def keep_for_ever(inherited: object) -> None:
    """Never close a connection of the parent: in this process that could undo changes of the parent."""
    keep = immortal.keeper()
    if keep is None:
        _kept_without_ctypes(inherited)
    else:
        keep(inherited)


def _kept_without_ctypes(inherited: object) -> None:
    """The stack of a thread that never ends has it: at the end of the interpreter that is not taken down."""

    def wait() -> None:
        lock = new_lock()
        while inherited is not lock:
            lock.acquire()

    ServiceThread("coshelf-keeps-connection", wait).start()


def _before() -> None:
    connections = watched()
    if connections:
        immortal.keeper()  # in the child, an import that another thread had begun would never end
    for connection in connections:
        connection.before_fork()
        _at_fork.append(connection)


def _in_parent() -> None:
    while _at_fork:
        _at_fork.pop().after_fork_in_parent()


def _in_child() -> None:
    while _at_fork:
        _at_fork.pop().after_fork_in_child()


at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
