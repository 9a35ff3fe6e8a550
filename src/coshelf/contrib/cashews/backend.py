"""The backend: the commands of cashews, each one commit of a part of a shelf."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

from cashews.backends.interface import NOT_EXIST, UNLIMITED, Backend
from cashews.serialize import DEFAULT_SERIALIZER, Serializer

from coshelf.contrib.cashews import steps
from coshelf.contrib.cashews.locks import Locks, value_of_lock
from coshelf.contrib.cashews.patterns import page_of_keys
from coshelf.contrib.deleting import delete_many
from coshelf.contrib.parts import AsyncPart, Part, Target
from coshelf.mapping.shelf import Shelf

__all__ = ["CoshelfBackend"]

_ABSENT: Final = object()
_SCHEME: Final = "coshelf://"


class CoshelfBackend(Backend):
    """A backend of cashews in a part of a shelf. All processes that open it share it. It needs ``coshelf[aio]``.

    Args:
        address: ``coshelf://`` and a path or URL: ``coshelf:///var/cache/app.shelf``, ``coshelf://memory:``. The query
            of the URL has further arguments.
        target: a path, a URL, or an open shelf, in the place of the address.
        part: the part of the shelf where the entries are.
        serializer: what cashews makes of the options ``secret``, ``pickle_type`` and so on.
        options: further options of :func:`coshelf.open`, such as ``max_bytes=``.

    Raises:
        TypeError: there is neither an address nor a target, or an open shelf was given further options.
        Unsupported: entries cannot expire on the engine.
    """

    def __init__(
        self,
        address: str = "",
        *,
        target: Target | None = None,
        part: str = "cashews",
        serializer: Serializer | None = None,
        **options: Any,
    ) -> None:
        super().__init__(serializer=serializer or DEFAULT_SERIALIZER)
        if target is None:
            target = address.removeprefix(_SCHEME)
        if target == "":
            raise TypeError(
                f"the address {address!r} names no shelf\n  hint: coshelf:///PATH, coshelf://URL, or target=SHELF"
            )
        self._make: Final = partial(Part, target, part, needs=("expiry",), **options)
        self._part = AsyncPart(self._make())
        self._locks = Locks()
        self._asking: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
        self._is_init = False

    # --- opening -----------------------------------------------------------------------------------------------------

    @property
    def is_init(self) -> bool:
        """Whether the shelf was opened."""
        return self._is_init

    async def init(self) -> None:
        """Open the shelf."""
        await self._part.shelf()
        self._is_init = True

    async def close(self) -> None:
        """Close the shelf, if the backend opened it. Locks that were not given back are free."""
        self._is_init = False
        self._locks.end()
        part, self._part = self._part, AsyncPart(self._make())
        await part.close()

    async def ping(self, message: bytes | None = None) -> bytes:
        """The message, or ``b"PONG"``, if the shelf can be used."""
        await self._part.shelf()
        return b"PONG" if message is None or message == b"PING" else message

    # --- values ------------------------------------------------------------------------------------------------------

    async def set(self, key: str, value: Any, expire: float | None = None, exist: bool | None = None) -> bool:
        """Store a value. Without a time, an entry that exists keeps its time. Return whether it was stored.

        Args:
            key: a str.
            value: what the serializer takes.
            expire: seconds; None and 0: no time is given.
            exist: True: only if the key exists. False: only if it does not.
        """
        encoded = await self._encoded(key, value, expire)
        shelf = await self._part.shelf()
        if exist:
            return await self._part.write(steps.store_existing, key, encoded, expire)
        if exist is not None:
            return await (shelf.add(key, encoded, expire=expire) if expire else shelf.add(key, encoded))
        if expire:
            await shelf.set(key, encoded, expire=expire)
        else:
            await shelf.modify(key, lambda _: encoded, default=None)
        return True

    async def set_many(self, pairs: Mapping[str, Any], expire: float | None = None) -> None:
        """Store all of these in one commit."""
        encoded = {key: await self._encoded(key, value, expire) for key, value in pairs.items()}
        await self._part.write(steps.store_many, encoded, expire)

    async def set_raw(self, key: str, value: Any, *, expire: float | None = None, **kwargs: Any) -> None:
        """Store what no serializer has seen."""
        if kwargs:
            raise TypeError(f"set_raw takes expire=, and not {', '.join(sorted(kwargs))}")
        await self._part.write(steps.store, key, value, expire)

    async def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or ``default``."""
        return await self._decoded(key, await (await self._part.shelf()).get(key, _ABSENT), default)

    async def get_raw(self, key: str) -> Any:
        """What is stored, as it is; None if the key does not exist."""
        return await (await self._part.shelf()).get(key)

    async def get_many(self, *keys: str, default: Any = None) -> tuple[Any, ...]:
        """The values of these keys in order, as of one instant."""
        found = await (await self._part.shelf()).get_many(keys)
        return tuple([await self._decoded(key, found.get(key, _ABSENT), default) for key in keys])

    async def exists(self, key: str) -> bool:
        """Whether the key exists."""
        return await (await self._part.shelf()).contains(key)

    async def incr(self, key: str, value: int = 1, expire: float | None = None) -> int:
        """Add to a number, and return the sum. The time is that of a new entry; one that exists keeps its own."""
        shelf = await self._part.shelf()
        total: int = await (shelf.incr(key, value, expire=expire) if expire else shelf.incr(key, value))
        return total

    async def get_size(self, key: str) -> int:
        """The bytes of an entry as it is stored; 0 if the key does not exist."""
        try:
            return (await (await self._part.shelf()).record(key)).size
        except KeyError:
            return 0

    # --- times -------------------------------------------------------------------------------------------------------

    async def expire(self, key: str, timeout: float) -> bool:
        """Give an entry another time, in seconds. Return whether it exists. None and 0: it keeps its time."""
        shelf = await self._part.shelf()
        return await (shelf.touch(key, expire=timeout) if timeout else shelf.contains(key))

    async def get_expire(self, key: str) -> int:
        """The seconds until an entry expires, rounded; -1 if it stays, and -2 if it does not exist."""
        return await self._part.read(_time_left, key)

    # --- removing ----------------------------------------------------------------------------------------------------

    async def delete(self, key: str) -> bool:
        """Remove an entry. Return whether it existed."""
        existed = await self._part.write(delete_many, [key])
        await self._call_on_remove_callbacks(key)
        return bool(existed)

    async def delete_many(self, *keys: str) -> None:
        """Remove these entries in one commit."""
        await self._part.write(delete_many, keys)
        await self._call_on_remove_callbacks(*keys)

    async def delete_match(self, pattern: str) -> None:
        """Remove the entries whose keys match, in one commit. ``*`` in the pattern stands for any text."""
        keys = await self._part.write(steps.delete_matching, pattern)
        if keys:
            await self._call_on_remove_callbacks(*keys)

    async def clear(self) -> None:
        """Remove all entries of this backend, and nothing else of the shelf."""
        await (await self._part.shelf()).clear()

    # --- many --------------------------------------------------------------------------------------------------------

    async def scan(self, pattern: str, batch_size: int = 100) -> AsyncIterator[str]:
        """The keys that match, in order. Each batch shows one instant."""
        after = None
        while page := await self._part.read(page_of_keys, pattern, after, batch_size):
            for key in page:
                yield key
            after = page[-1]

    async def get_match(self, pattern: str, batch_size: int = 100) -> AsyncIterator[tuple[str, Any]]:
        """The keys that match, with their values. Bits, sets, windows and locks are left out."""
        after = None
        while page := await self._part.read(page_of_keys, pattern, after, batch_size):
            found = await (await self._part.shelf()).get_many(page)
            for key in page:
                if steps.is_value(found.get(key)):
                    value = await self._decoded(key, found[key], _ABSENT)
                    if value is not _ABSENT:
                        yield key, value
            after = page[-1]

    async def get_keys_count(self) -> int:
        """How many entries there are. It goes through all of them."""
        return await (await self._part.shelf()).len()

    # --- collections -------------------------------------------------------------------------------------------------

    async def get_bits(self, key: str, *indexes: int, size: int = 1) -> tuple[int, ...]:
        """The numbers of counters of ``size`` bits."""
        return await self._part.read(steps.get_bits, key, indexes, size)

    async def incr_bits(self, key: str, *indexes: int, size: int = 1, by: int = 1) -> tuple[int, ...]:
        """Add to counters of ``size`` bits, from 0 to the most that they can hold. Return their numbers."""
        return await self._part.write(steps.add_bits, key, indexes, size, by)

    async def slice_incr(self, key: str, start: float, end: float, maxvalue: int, expire: float | None = None) -> int:
        """Count ``end``, unless ``maxvalue`` times lie between start and end. Return how many lie there then."""
        return await self._part.write(steps.count_in_window, key, start, end, maxvalue, expire)

    async def set_add(self, key: str, *values: str, expire: float | None = None) -> None:
        """Add to a set. Without a time, a set that exists keeps its time."""
        await self._part.write(steps.add_to_set, key, values, expire)

    async def set_remove(self, key: str, *values: str) -> None:
        """Remove from a set. An empty set does not exist."""
        await self._part.write(steps.remove_from_set, key, values)

    async def set_pop(self, key: str, count: int = 100) -> list[str]:
        """Remove up to ``count`` values from a set, and return them."""
        return await self._part.write(steps.pop_from_set, key, count)

    # --- locks -------------------------------------------------------------------------------------------------------

    async def set_lock(self, key: str, value: str, expire: float) -> bool:
        """Take a lock for up to ``expire`` seconds. It ends with its process, where the engine sees that end."""
        # Two calls in worker threads may end in either order. The task that asks first is to get the lock.
        async with self._asking.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            return await self._part.write(self._locks.take, key, value, expire)

    async def unlock(self, key: str, value: str) -> bool:
        """Give back the lock that was taken with this value. Return whether it was held."""
        return await self._part.write(self._locks.free, key, value)

    async def is_locked(self, key: str, wait: float | None = None, step: float = 0.1) -> bool:
        """Whether a lock is held. With ``wait``, whether it still is after so many seconds."""
        left = wait or 0
        while await self._part.read(self._locks.is_taken, key):
            if left <= 0:
                return True
            await asyncio.sleep(min(step, left))
            left -= step
        return False

    # --- the serializer ----------------------------------------------------------------------------------------------

    async def _encoded(self, key: str, value: Any, expire: float | None) -> Any:
        assert self._serializer is not None
        return await self._serializer.encode(self, key=key, value=value, expire=expire)

    async def _decoded(self, key: str, stored: Any, default: Any) -> Any:
        if stored is _ABSENT:
            return default
        if isinstance(stored, bytes):
            assert self._serializer is not None
            return await self._serializer.decode(self, key=key, value=stored, default=default)
        if isinstance(stored, tuple):
            return value_of_lock(stored) or default
        return stored


def _time_left(shelf: Shelf[Any, Any], key: str) -> int:
    try:
        expires = shelf.expires(key)
    except KeyError:
        return NOT_EXIST
    if expires is None:
        return UNLIMITED
    now = shelf._handle.engine.now() / 1_000_000  # noqa: SLF001 (on a server, its clock decides)
    return max(round(expires - now), 0)
