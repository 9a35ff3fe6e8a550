"""Lines of turns for the processes of one machine that share no memory: a member lives as long as it holds a lock.

Each member has a file of its own, which it locks as a whole. The operating system ends the lock with the process,
whatever kills it. So there is no lease: nobody loses a turn for being slow, and a turn ends with its holder.
"""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

from coshelf.contract import Engine, Entry
from coshelf.engines.leases.lines import Lines
from coshelf.engines.leases.members import LOOK, Member, Patience, now
from coshelf.engines.leases.rows import MEMBERS
from coshelf.system.files.links import open_itself
from coshelf.system.files.names import leads_to
from coshelf.system.files.os_errors import translated
from coshelf.system.locks import whole_file
from coshelf.system.processes.forks import at_fork

__all__ = ["HeldLines", "MemberFolder"]

_WHAT = "the file of a process that uses locks or queues"

# The descriptors of this process that hold a lock. A forked child closes its copies: a lock ends with its process.
_held: set[int] = set()


def _let_go() -> None:
    while _held:
        os.close(_held.pop())


at_fork(after_in_child=_let_go)


class MemberFolder:
    """A folder with a file for each member."""

    def __init__(self, path: str) -> None:
        self._path = path

    def _file(self, id: str) -> str:
        return os.path.join(self._path, id)

    def hold(self, id: str) -> int:
        """Make the file of a member, and lock it. Return its descriptor."""
        path = self._file(id)
        with translated("write", _WHAT, path):
            Path(self._path).mkdir(exist_ok=True)  # no mode: on Windows 0o700 keeps out all other users
            while True:
                descriptor = open_itself(path, os.O_RDWR | os.O_CREAT)
                try:
                    whole_file.take(descriptor, whole_file.EXCLUSIVE)
                    is_there = leads_to(path, descriptor)
                except BaseException:
                    os.close(descriptor)
                    raise
                if is_there:
                    _held.add(descriptor)
                    return descriptor
                whole_file.close(descriptor)  # another process removed it, because it was not locked yet

    def let_go(self, id: str, descriptor: int) -> None:
        """Unlock the file of a member, and remove it."""
        if descriptor in _held:  # otherwise this is a forked child
            _held.discard(descriptor)
            whole_file.close(descriptor)
            self.remove(id)

    def lives(self, id: str) -> bool:
        """Whether a member holds its lock."""
        path = self._file(id)
        with translated("read", _WHAT, path):
            try:
                descriptor = open_itself(path, os.O_RDWR)
            except FileNotFoundError:
                return False
            try:
                return not whole_file.try_to_take(descriptor, whole_file.SHARED)
            finally:
                whole_file.close(descriptor)

    def remove(self, id: str) -> None:
        """Remove the file of a member that does not live. Another process may be looking at it: then it stays."""
        with contextlib.suppress(OSError):
            os.unlink(self._file(id))

    def ids(self) -> list[str]:
        """The members that have a file."""
        try:
            return os.listdir(self._path)
        except FileNotFoundError:
            return []


class _HeldMember(Member):
    """This process, as a member that holds a lock."""

    def __init__(self, engine: Engine, folder: MemberFolder) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        super().__init__(engine, math.inf)

    def renew(self) -> None:
        """Store the row, once: the lock shows that the member lives."""
        if self._descriptor is not None:
            return
        self._descriptor = self._folder.hold(self.id)  # first: from the row on others look at the lock
        try:
            super().renew()
        except BaseException:
            self._folder.let_go(self.id, self._descriptor)
            raise

    def end(self) -> None:
        super().end()
        if self._descriptor is not None:
            self._folder.let_go(self.id, self._descriptor)


class _HeldPatience(Patience):
    """What this process has seen of members that hold locks."""

    def __init__(self, engine: Engine, folder: MemberFolder) -> None:
        super().__init__(engine, math.inf)
        self._folder = folder
        self._looked: dict[str, float] = {}

    def _is_over(self, id: str, entry: Entry) -> bool:
        is_over = super()._is_over(id, entry)
        if is_over:
            self._folder.remove(id)
        return is_over

    def _is_due(self, id: str, entry: Entry) -> bool:
        at = now()
        if at - self._looked.get(id, -math.inf) < LOOK:
            return False
        self._looked[id] = at
        return not self._folder.lives(id)


class HeldLines(Lines):
    """Lines of turns that end with their processes.

    Args:
        engine: an engine whose commits can check the version of one entry, and which nobody keeps for a transaction.
        folder: where members have their files.
    """

    ends_with = "process"

    def __init__(self, engine: Engine, folder: MemberFolder) -> None:
        self._folder = folder
        super().__init__(engine)

    def new_member(self) -> Member:
        return _HeldMember(self.engine, self._folder)

    def new_patience(self) -> Patience:
        return _HeldPatience(self.engine, self._folder)

    def _sweep(self) -> None:
        super()._sweep()
        rows = {key[len(MEMBERS[0]) :].decode("ascii", "replace") for key, _ in self.engine.scan(*MEMBERS)}
        for id in self._folder.ids():
            if id not in rows and not self._folder.lives(id):
                self._folder.remove(id)
