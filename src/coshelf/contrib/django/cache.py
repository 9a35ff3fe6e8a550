"""A cache backend for Django: one file that all processes of a site share, or any other shelf."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from coshelf.contrib.django.culling import Limit, make_room
from coshelf.contrib.django.entries import UnpicklableValue, delete, missing, move, refuse
from coshelf.contrib.django.shelves import hold
from coshelf.errors import UnwritableValue
from coshelf.mapping.shelf import Shelf

if TYPE_CHECKING:
    from coshelf.aio import AsyncShelf

__all__ = ["CoshelfCache", "UnpicklableValue"]

PART = "django/cache"
"""The part of the shelf that has the entries, unless OPTIONS names another one."""


class CoshelfCache(BaseCache):  # type: ignore[misc]  # Django has no types
    """A cache backend for Django. Every method is one atomic step, among all threads and processes.

    Keys are made and checked as by each backend of Django. The methods whose names begin with ``a`` do not block the
    event loop. They need ``coshelf[aio]``.

    Args:
        location: ``LOCATION`` of the settings: a path, a URL, or an open shelf.
        params: the other settings. ``TIMEOUT`` has seconds. ``OPTIONS`` has arguments of :func:`coshelf.open`,
            ``part`` (the part of the shelf that has the entries; ``"django/cache"``), and ``MAX_ENTRIES`` and
            ``CULL_FREQUENCY`` as of Django's own backends. Without ``MAX_ENTRIES`` there is no limit.

    Raises:
        ImproperlyConfigured: ``LOCATION`` is missing, or an option does not exist.
        CoshelfError: at the first use, what :func:`coshelf.open` raises.

    >>> cache = CoshelfCache("memory:", {"TIMEOUT": 60})
    >>> cache.set("visits", 41)
    >>> cache.incr("visits"), cache.get("visits"), cache.get("visits", version=2)
    (42, 42, None)
    >>> cache.add("visits", 0), cache.get_or_set("title", lambda: "Home")
    (False, 'Home')
    """

    def __init__(self, location: Any, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        options = dict(params.get("OPTIONS", {}))
        self._has_limit = "MAX_ENTRIES" in options or "max_entries" in params
        for name in ("MAX_ENTRIES", "CULL_FREQUENCY"):
            options.pop(name, None)
        part = options.pop("part", PART)
        self._held = hold("LOCATION of CACHES", location, part, options, require=("expiry", "checks=batch"))

    @property
    def shelf(self) -> Shelf[str, Any]:
        """The entries as a shelf, under the keys that Django makes: for locks, tags, memoized functions and the rest.

        >>> cache = CoshelfCache("memory:", {})
        >>> cache.set("a", 1)
        >>> cache.shelf[":1:a"]
        1
        """
        return self._held.shelf

    async def _tasks(self) -> AsyncShelf[str, Any]:
        return await self._held.shelf_of_tasks()

    # --- one entry ---------------------------------------------------------------------------------------------------

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """The value of a key, or the default."""
        return self.shelf.get(self.make_and_validate_key(key, version=version), default)

    async def aget(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """As :meth:`get`."""
        made = self.make_and_validate_key(key, version=version)
        return await (await self._tasks()).get(made, default)

    def has_key(self, key: Any, version: int | None = None) -> bool:
        """Whether the key exists. Its value is not loaded."""
        return self.make_and_validate_key(key, version=version) in self.shelf

    async def ahas_key(self, key: Any, version: int | None = None) -> bool:
        """As :meth:`has_key`."""
        made = self.make_and_validate_key(key, version=version)
        return await (await self._tasks()).contains(made)

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Store a value.

        Args:
            key: the key.
            value: the value, which is pickled.
            timeout: seconds until it expires, or a timedelta. 0 or less: it is gone at once. None: it does not expire.
                Not given: ``TIMEOUT`` of the settings.
            version: the version of the key. None: that of the settings.

        Raises:
            UnpicklableValue: the value cannot be pickled. It is a ``pickle.PickleError``.
        """
        made = self.make_and_validate_key(key, version=version)
        self._make_room(made)
        try:
            self.shelf.set(made, value, self._seconds(timeout))
        except UnwritableValue as error:
            refuse(error)

    async def aset(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """As :meth:`set`."""
        made = self.make_and_validate_key(key, version=version)
        await self._amake_room(made)
        try:
            await (await self._tasks()).set(made, value, self._seconds(timeout))
        except UnwritableValue as error:
            refuse(error)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Store a value if the key is missing, in one step. Return whether it was stored. As :meth:`set`."""
        made = self.make_and_validate_key(key, version=version)
        self._make_room(made)
        try:
            return self.shelf.add(made, value, self._seconds(timeout))
        except UnwritableValue as error:
            refuse(error)

    async def aadd(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """As :meth:`add`."""
        made = self.make_and_validate_key(key, version=version)
        await self._amake_room(made)
        try:
            return await (await self._tasks()).add(made, value, self._seconds(timeout))
        except UnwritableValue as error:
            refuse(error)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Give an entry a new time to expire. Return whether the key exists."""
        made = self.make_and_validate_key(key, version=version)
        return self.shelf.touch(made, self._seconds(timeout))

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """As :meth:`touch`."""
        made = self.make_and_validate_key(key, version=version)
        return await (await self._tasks()).touch(made, self._seconds(timeout))

    def delete(self, key: Any, version: int | None = None) -> bool:
        """Delete an entry. Return whether it existed."""
        made = self.make_and_validate_key(key, version=version)
        try:
            del self.shelf[made]
        except KeyError:
            return False
        return True

    async def adelete(self, key: Any, version: int | None = None) -> bool:
        """As :meth:`delete`."""
        made = self.make_and_validate_key(key, version=version)
        try:
            await (await self._tasks()).delete(made)
        except KeyError:
            return False
        return True

    def incr(self, key: Any, delta: Any = 1, version: int | None = None) -> Any:
        """Add to a value in one step, and return the sum. The entry keeps its time to expire.

        Raises:
            ValueError: the key is missing.
        """
        made = self.make_and_validate_key(key, version=version)
        try:
            return self.shelf.modify(made, lambda value: value + delta)
        except KeyError:
            raise missing(key) from None

    async def aincr(self, key: Any, delta: Any = 1, version: int | None = None) -> Any:
        """As :meth:`incr`."""
        made = self.make_and_validate_key(key, version=version)
        try:
            return await (await self._tasks()).modify(made, lambda value: value + delta)
        except KeyError:
            raise missing(key) from None

    def incr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Move an entry to another version of its key, in one commit. It keeps its time to expire.

        Raises:
            ValueError: the key is missing.
        """
        move, new = self._moving(key, delta, version)
        self.shelf.transact(move)
        return new

    async def aincr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """As :meth:`incr_version`."""
        move, new = self._moving(key, delta, version)
        await (await self._tasks()).transact(move)
        return new

    def _moving(self, key: Any, delta: int, version: int | None) -> tuple[partial[None], int]:
        """The function that moves an entry in a transaction, and the new version."""
        old = self.version if version is None else version
        source = self.make_and_validate_key(key, version=old)
        target = self.make_and_validate_key(key, version=old + delta)
        return partial(move, key=key, source=source, target=target), old + delta

    # --- several entries ---------------------------------------------------------------------------------------------

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """The entries that exist, by their keys, as of one instant."""
        made = self._made(keys, version)
        return {made[key]: value for key, value in self.shelf.get_many(made).items()}

    async def aget_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """As :meth:`get_many`."""
        made = self._made(keys, version)
        found = await (await self._tasks()).get_many(made)
        return {made[key]: value for key, value in found.items()}

    def set_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        """Store several entries in one commit. Return an empty list: no key fails alone. As :meth:`set`."""
        made = {key: data[given] for key, given in self._made(data, version).items()}
        self._make_room(*made)
        try:
            self.shelf.update(made, expire=self._seconds(timeout))
        except UnwritableValue as error:
            refuse(error)
        return []

    async def aset_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        """As :meth:`set_many`."""
        made = {key: data[given] for key, given in self._made(data, version).items()}
        await self._amake_room(*made)
        try:
            await (await self._tasks()).update(made, expire=self._seconds(timeout))
        except UnwritableValue as error:
            refuse(error)
        return []

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        """Delete several entries in one commit."""
        self.shelf.transact(partial(delete, keys=self._made(keys, version)))

    async def adelete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        """As :meth:`delete_many`."""
        await (await self._tasks()).transact(partial(delete, keys=self._made(keys, version)))

    def clear(self) -> None:
        """Remove all entries of the part, of all prefixes and versions, in one commit."""
        self.shelf.clear()

    async def aclear(self) -> None:
        """As :meth:`clear`."""
        await (await self._tasks()).clear()

    def close(self, **kwargs: Any) -> None:
        """Do nothing. Django calls this after each request, and the shelf is for all requests of the process."""

    async def aclose(self, **kwargs: Any) -> None:
        """As :meth:`close`."""

    # --- keys, times and the limit -----------------------------------------------------------------------------------

    def _made(self, keys: Iterable[Any], version: int | None) -> dict[str, Any]:
        """The keys with prefix and version, and what they were made of."""
        return {self.make_and_validate_key(key, version=version): key for key in keys}

    def _seconds(self, timeout: Any) -> Any:
        return self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout

    def _make_room(self, *made: str) -> None:
        if self._has_limit:
            make_room(self._held, Limit(self._max_entries, self._cull_frequency), made)

    async def _amake_room(self, *made: str) -> None:
        if self._has_limit:
            await sync_to_async(self._make_room, thread_sensitive=False)(*made)
