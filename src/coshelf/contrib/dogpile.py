"""A backend for dogpile.cache, with a lock that is shared by all processes and ends with its holder.

docs/integrations/dogpile.md says how to set it up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from dogpile.cache.api import NO_VALUE, BackendArguments, BytesBackend, CacheMutex, SerializedReturnType

from coshelf.contrib.deleting import delete_many
from coshelf.contrib.parts import Part
from coshelf.coordination.turn import Turn
from coshelf.errors import InvalidExpiry, TurnLost, TurnNotHeld

__all__ = ["CoshelfBackend", "CoshelfMutex"]


class CoshelfBackend(BytesBackend):
    """Keeps the values of a region in a shelf. dogpile.cache knows it as ``"coshelf"``.

    Args:
        arguments: what the region was configured with:

            - ``target``: a path, a URL, or an open shelf.
            - ``part``: the part of the shelf where the entries are; ``"dogpile"`` by default.
            - ``expire``: after how many seconds the shelf removes an entry, whatever the region's ``expiration_time``.
              None, the default: it stays.
            - ``distributed_lock``: False: a value is computed once in each process, not once among all.
            - further options of :func:`coshelf.open`.

    Raises:
        TypeError: there is no target, or an open shelf was given further options.
        Unsupported: ``expire`` for an open shelf whose entries cannot expire.
        InvalidExpiry: ``expire`` is not a number of seconds greater than 0.

    >>> from dogpile.cache import make_region, register_backend
    >>> register_backend("coshelf", "coshelf.contrib.dogpile", "CoshelfBackend")
    >>> region = make_region().configure("coshelf", expiration_time=60, arguments={"target": "memory:"})
    >>> region.get_or_create("answer", lambda: 42)
    42
    """

    def __init__(self, arguments: BackendArguments) -> None:
        options = dict(arguments)
        if "target" not in options:
            raise TypeError('the coshelf backend needs the argument "target": a path, a URL, or an open shelf')
        target, name = options.pop("target"), options.pop("part", "dogpile")
        self._has_lock: Final = bool(options.pop("distributed_lock", True))
        self._expiry: Final = _usable_expiry(options.pop("expire", None))
        self.part: Final = Part(target, name, needs=("expiry",) if self._expiry else (), **options)

    def get_mutex(self, key: str) -> CoshelfMutex | None:
        """The lock for computing the value of this key."""
        return CoshelfMutex(self.part, key) if self._has_lock else None

    def get_serialized(self, key: str) -> SerializedReturnType:
        """The bytes under a key, or ``NO_VALUE``."""
        found: SerializedReturnType = self.part.shelf.get(key, NO_VALUE)
        return found

    def get_serialized_multi(self, keys: Iterable[str]) -> Sequence[SerializedReturnType]:
        """The bytes under each key, or ``NO_VALUE``, as of one instant."""
        wanted = list(keys)
        found = self.part.shelf.get_many(wanted)
        return [found.get(key, NO_VALUE) for key in wanted]

    def set_serialized(self, key: str, value: bytes) -> None:
        """Store bytes."""
        self.part.shelf.set(key, value, **self._expiry)

    def set_serialized_multi(self, mapping: Mapping[str, bytes]) -> None:
        """Store all of these in one commit."""
        self.part.shelf.update(mapping, **self._expiry)

    def delete(self, key: str) -> None:
        """Remove an entry, if it exists."""
        with suppress(KeyError):
            del self.part.shelf[key]

    def delete_multi(self, keys: Iterable[str]) -> None:
        """Remove those of these that exist, in one commit."""
        delete_many(self.part.shelf, keys)

    def close(self) -> None:
        """Close the shelf, if the backend opened it. dogpile.cache itself closes no backend."""
        self.part.close()


class CoshelfMutex(CacheMutex):
    """A lock of the shelf as dogpile.cache uses it: any thread of the process may give it back.

    It is given to those that wait in order of arrival. It ends with the process that has it, however that ends.
    """

    def __init__(self, part: Part, key: str) -> None:
        self._part = part
        self._key = key
        self._turn: Turn | None = None

    def acquire(self, wait: bool = True) -> bool:
        """Take the lock. Return whether it was taken, which is always so after a wait."""
        turn = self._part.shelf.lock(self._key).acquire(blocking=wait)
        if not turn:
            return False
        turn.detach()
        self._turn = turn
        return True

    def release(self) -> None:
        """Give the lock back.

        Raises:
            TurnNotHeld: this mutex was not taken in this process.
        """
        turn, self._turn = self._turn, None
        if turn is None:
            raise TurnNotHeld(f"the lock for computing {self._key!r} has not been taken by this process")
        # A lease that ended on a server means that another process may have computed the value, too.
        with suppress(TurnLost):
            turn.release()

    def locked(self) -> bool:
        """Whether any process has the lock."""
        return self._part.shelf.lock(self._key).locked()


def _usable_expiry(seconds: Any) -> dict[str, Any]:
    if seconds is None:
        return {}
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise InvalidExpiry(f"expire is a number of seconds greater than 0, or None, not {seconds!r}")
    return {"expire": seconds}
