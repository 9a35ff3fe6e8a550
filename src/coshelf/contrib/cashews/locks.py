"""Locks of cashews: an entry with a time, which also names the process that has the lock."""

from __future__ import annotations

import os
import threading
import uuid
from typing import Any, Final

from coshelf.contrib.cashews.steps import delete_equal
from coshelf.coordination.turn import Turn
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction

__all__ = ["Locks", "value_of_lock"]

_LOCK: Final = "lock"


def value_of_lock(stored: Any) -> str | None:
    """The value with which a lock was taken; None if the entry is no lock."""
    return stored[1] if isinstance(stored, tuple) and stored[0] == _LOCK else None


class Locks:
    """The locks that this process takes through one backend.

    A lock ends when it is given back, and after its time. On engines that see the death of a process, it also ends with
    its process: each process has one turn of the shelf as long as it lives, and the entry of a lock names that turn.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._alive: tuple[int, str, Turn] | None = None

    def take(self, shelf: Shelf[Any, Any], key: str, value: str, expire: float | None) -> bool:
        """Take a lock, if it is free or its process has ended. Return whether it was taken."""
        is_watched = shelf.capabilities.turns == "processes"
        entry = (_LOCK, value, self._name(shelf) if is_watched else "")
        if _add(shelf, key, entry, expire):
            return True
        if not is_watched:
            return False
        found: Any = shelf.get(key)
        if value_of_lock(found) is None or not found[2] or _is_alive(shelf, found[2]):
            return False
        delete_equal(shelf, key, found)
        return _add(shelf, key, entry, expire)

    @staticmethod
    def free(shelf: Shelf[Any, Any], key: str, value: str) -> bool:
        """Give a lock back. Return whether it was held with this value."""

        def step(entries: Transaction[Any, Any]) -> bool:
            if value_of_lock(entries.get(key)) != value:
                return False
            del entries[key]
            return True

        return shelf.transact(step)

    @staticmethod
    def is_taken(shelf: Shelf[Any, Any], key: str) -> bool:
        """Whether the entry exists, and is not a lock whose process has ended."""
        if key not in shelf:
            return False
        found: Any = shelf.get(key)
        return value_of_lock(found) is None or not found[2] or _is_alive(shelf, found[2])

    def end(self) -> None:
        """Count as ended, before the shelf is closed: the locks that were not given back are free."""
        with self._guard:
            alive, self._alive = self._alive, None
        if alive is not None and alive[0] == os.getpid() and alive[2].held:
            alive[2].release()

    def _name(self, shelf: Shelf[Any, Any]) -> str:
        """The name of the turn that this process has as long as it lives."""
        with self._guard:
            if self._alive is None or self._alive[0] != os.getpid() or not self._alive[2].held:
                name = uuid.uuid4().hex
                turn = shelf.lock((_LOCK, name)).acquire(blocking=False)
                assert turn  # nobody else knows the name
                turn.detach()
                self._alive = os.getpid(), name, turn
            return self._alive[1]


def _is_alive(shelf: Shelf[Any, Any], name: str) -> bool:
    return shelf.lock((_LOCK, name)).locked()


def _add(shelf: Shelf[Any, Any], key: str, entry: tuple[str, str, str], expire: float | None) -> bool:
    return shelf.add(key, entry, expire=expire) if expire else shelf.add(key, entry)
