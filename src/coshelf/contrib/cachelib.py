"""A cache for cachelib, and so for Flask-Caching and Flask-Session.

docs/integrations/cachelib.md says how to set it up.
"""

from __future__ import annotations

import logging
import pickle
from datetime import timedelta
from typing import Any, Final

from cachelib.base import BaseCache
from cachelib.serializers import BaseSerializer

from coshelf.contrib.deleting import delete_many
from coshelf.contrib.parts import Part, Target
from coshelf.errors import InvalidKey, UnreadableValue, UnwritableValue
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction

__all__ = ["CannotPickle", "CoshelfCache"]

_ABSENT: Final = object()
_log = logging.getLogger(__name__)


class CannotPickle(UnwritableValue, pickle.PicklingError):
    """A value cannot be pickled. It is a ``pickle.PickleError``, as cachelib documents for ``set``."""


class CoshelfCache(BaseCache):
    """A cache of cachelib in a part of a shelf. All processes that open it share it.

    Args:
        target: a path, a URL, or an open shelf, on any engine whose entries can expire.
        part: the part of the shelf where the entries are. Caches with different parts do not see each other's entries.
        default_timeout: for calls without ``timeout=``, in seconds or as a timedelta. 0: entries stay.
        ignore_delete_many_errors: as for other caches of cachelib. Here ``delete_many`` deletes all keys, or raises.
        options: further options of :func:`coshelf.open`, such as ``max_bytes=``.

    Attributes:
        serializer: None: values are stored as values of the shelf. Or a serializer of cachelib, whose bytes are stored.

    Raises:
        Unsupported: entries cannot expire on the engine.
        TypeError: an open shelf was given further options.

    >>> cache = CoshelfCache("memory:", default_timeout=60)
    >>> cache.set("ann", {"cart": []}), cache.get("ann"), cache.inc("visits")
    (True, {'cart': []}, 1)
    """

    serializer: BaseSerializer | None = None

    def __init__(
        self,
        target: Target,
        part: str = "cachelib",
        default_timeout: int | timedelta = 300,
        ignore_delete_many_errors: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(default_timeout, ignore_delete_many_errors)
        self.part: Final = Part(target, part, needs=("expiry",), **options)

    def get(self, key: str) -> Any:
        """The value of a key. None if it does not exist, or if it cannot be loaded, which is logged."""
        try:
            stored = self.part.shelf.get(_checked(key), _ABSENT)
        except UnreadableValue as error:
            _log.warning("the value of %r counts as missing: %s", key, error)
            return None
        return self._loaded(stored)

    def get_many(self, *keys: str) -> list[Any]:
        """The values of these keys in order, as of one instant; None for each that does not exist."""
        wanted = [_checked(key) for key in keys]
        try:
            stored = self.part.shelf.get_many(wanted)
        except UnreadableValue:  # one of them; get() says which
            return [self.get(key) for key in wanted]
        return [self._loaded(stored.get(key, _ABSENT)) for key in wanted]

    def has(self, key: str) -> bool:
        """Whether the key exists. Its value is not loaded."""
        return _checked(key) in self.part.shelf

    def set(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:
        """Store a value. Return True, or False if the serializer gave nothing to store.

        Args:
            key: a str.
            value: what pickle takes, or what the serializer takes.
            timeout: in seconds or as a timedelta, rounded up to seconds. 0: it stays. None: the default.

        Raises:
            CannotPickle: the value cannot be pickled.
        """
        stored = self._dumped(value)
        if stored is _ABSENT:
            return False
        try:
            self.part.shelf.set(_checked(key), stored, expire=self._expiry(timeout))
        except UnwritableValue as error:
            raise CannotPickle(str(error), error.keys) from error
        return True

    def add(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:
        """As :meth:`set`, if the key does not exist. Return whether it was stored. It is one atomic step."""
        stored = self._dumped(value)
        if stored is _ABSENT:
            return False
        try:
            return self.part.shelf.add(_checked(key), stored, expire=self._expiry(timeout))
        except UnwritableValue as error:
            raise CannotPickle(str(error), error.keys) from error

    def set_many(self, mapping: dict[str, Any], timeout: int | timedelta | None = None) -> list[str]:
        """Store all items of a mapping in one commit. Return the keys that were stored."""
        dumped = {_checked(key): self._dumped(value) for key, value in mapping.items()}
        stored = {key: value for key, value in dumped.items() if value is not _ABSENT}
        try:
            self.part.shelf.update(stored, expire=self._expiry(timeout))
        except UnwritableValue as error:
            raise CannotPickle(str(error), error.keys) from error
        return list(stored)

    def delete(self, key: str) -> bool:
        """Remove an entry. Return whether it existed."""
        return bool(delete_many(self.part.shelf, [_checked(key)]))

    def delete_many(self, *keys: str) -> list[str]:
        """Remove these entries in one commit. Return the keys: those that did not exist count as deleted."""
        delete_many(self.part.shelf, [_checked(key) for key in keys])
        return list(keys)

    def clear(self) -> bool:
        """Remove all entries of this cache, and nothing else of the shelf."""
        self.part.shelf.clear()
        return True

    def inc(self, key: str, delta: int = 1) -> int:
        """Add to the number of a key, in one atomic step. Return the sum.

        An entry keeps its time. A missing one counts as 0, and gets the default timeout.

        Raises:
            TypeError: the value is no number.
        """
        name, serializer = _checked(key), self.serializer
        if serializer is None:
            total: int = self.part.shelf.incr(name, delta, expire=self._expiry(None))
            return total
        expiry = self._expiry(None)

        def add(entries: Shelf[Any, Any] | Transaction[Any, Any]) -> int:
            stored = entries.get(name, _ABSENT)
            total: int = (0 if stored is _ABSENT else self._loaded(stored) or 0) + delta
            if stored is _ABSENT:
                entries.set(name, serializer.dumps(total), expire=expiry)
            else:
                entries.modify(name, lambda _: serializer.dumps(total))
            return total

        return self.part.shelf.transact(add)

    def dec(self, key: str, delta: int = 1) -> int:
        """As :meth:`inc`, with ``-delta``."""
        return self.inc(key, -delta)

    def close(self) -> None:
        """Close the shelf, if the cache opened it."""
        self.part.close()

    def _expiry(self, timeout: int | timedelta | None) -> int | None:
        """Seconds until an entry expires; None: it stays."""
        return self._normalize_timeout(timeout) or None

    def _dumped(self, value: Any) -> Any:
        if self.serializer is None:
            return value
        dumped = self.serializer.dumps(value)
        return _ABSENT if dumped is None else dumped

    def _loaded(self, stored: Any) -> Any:
        if stored is _ABSENT:
            return None
        return stored if self.serializer is None else self.serializer.loads(stored)


def _checked(key: str) -> str:
    if not isinstance(key, str):
        raise InvalidKey(f"a key of a cache is a str, not {type(key).__name__}")
    return key
