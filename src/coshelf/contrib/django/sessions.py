"""Sessions of Django in a shelf: ``SESSION_ENGINE = "coshelf.contrib.django.sessions"``.

The settings:

- ``SESSION_SHELF``: the path or URL of the shelf, or an open shelf.
- ``SESSION_SHELF_OPTIONS``: arguments of :func:`coshelf.open`, and ``part``: the part of the shelf that has the
  sessions (``"django/sessions"``).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django import conf
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError

from coshelf.contrib.django.shelves import Held, hold
from coshelf.mapping.transaction import Transaction

__all__ = ["SessionStore"]

PART = "django/sessions"
"""The part of the shelf that has the sessions, unless SESSION_SHELF_OPTIONS names another one."""


class SessionStore(SessionBase):  # type: ignore[misc]  # Django has no types
    """The session of one visitor. Its data is signed JSON, as in Django's own engines, and expires by the shelf.

    The methods whose names begin with ``a`` do not block the event loop. They need ``coshelf[aio]``.

    Args:
        session_key: the key of the session. None: a new session.

    Raises:
        ImproperlyConfigured: ``SESSION_SHELF`` is missing.
        CoshelfError: at the first use, what :func:`coshelf.open` raises.
    """

    @classmethod
    def _held(cls) -> Held:
        options = dict(getattr(conf.settings, "SESSION_SHELF_OPTIONS", {}))
        part = options.pop("part", PART)
        target = getattr(conf.settings, "SESSION_SHELF", None)
        return hold("SESSION_SHELF", target, part, options, require=("expiry", "checks=batch"))

    # --- reading -----------------------------------------------------------------------------------------------------

    def exists(self, session_key: str) -> bool:
        """Whether there is a session with this key."""
        return session_key in self._held().shelf

    async def aexists(self, session_key: str) -> bool:
        """As :meth:`exists`."""
        return await (await self._held().shelf_of_tasks()).contains(session_key)

    def load(self) -> dict[str, Any]:
        """The data of the session. If it does not exist any more, it is empty, and the session has no key."""
        return self._decoded(self._held().shelf.get(self.session_key))

    async def aload(self) -> dict[str, Any]:
        """As :meth:`load`."""
        return self._decoded(await (await self._held().shelf_of_tasks()).get(self.session_key))

    def _decoded(self, data: str | None) -> dict[str, Any]:
        if data is None:
            self._session_key = None
            return {}
        decoded: dict[str, Any] = self.decode(data)
        return decoded

    # --- writing -----------------------------------------------------------------------------------------------------

    def create(self) -> None:
        """Store a new session under a key that no session has."""
        while True:
            self._session_key = self._get_new_session_key()
            try:
                self.save(must_create=True)
            except CreateError:
                continue
            self.modified = True
            return

    async def acreate(self) -> None:
        """As :meth:`create`."""
        while True:
            self._session_key = await self._aget_new_session_key()
            try:
                await self.asave(must_create=True)
            except CreateError:
                continue
            self.modified = True
            return

    def save(self, must_create: bool = False) -> None:
        """Store the data, in one step. The session expires as :meth:`get_expiry_age` says.

        Args:
            must_create: store it only if there is no session with its key.

        Raises:
            CreateError: ``must_create``, and there is a session with this key.
            UpdateError: the session was deleted meanwhile, by whatever process. It is not stored again.
        """
        if self.session_key is None:
            self.create()
            return
        data = self.encode(self._get_session(no_load=must_create))
        shelf, age = self._held().shelf, self.get_expiry_age()
        if not must_create:
            shelf.transact(partial(_renew, key=self.session_key, data=data, age=age))
        elif not shelf.add(self.session_key, data, age):
            raise CreateError

    async def asave(self, must_create: bool = False) -> None:
        """As :meth:`save`."""
        if self.session_key is None:
            await self.acreate()
            return
        data = self.encode(await self._aget_session(no_load=must_create))
        shelf, age = await self._held().shelf_of_tasks(), await self.aget_expiry_age()
        if not must_create:
            await shelf.transact(partial(_renew, key=self.session_key, data=data, age=age))
        elif not await shelf.add(self.session_key, data, age):
            raise CreateError

    def delete(self, session_key: str | None = None) -> None:
        """Delete a session: this one, or that of the key. It may be missing."""
        key = self.session_key if session_key is None else session_key
        if key is not None:
            self._held().shelf.pop(key, None)

    async def adelete(self, session_key: str | None = None) -> None:
        """As :meth:`delete`."""
        key = self.session_key if session_key is None else session_key
        if key is not None:
            await (await self._held().shelf_of_tasks()).pop(key, None)

    @classmethod
    def clear_expired(cls) -> None:
        """Remove all that has expired from the shelf. ``manage.py clearsessions`` calls it.

        Expired sessions are missing without it, and most are removed while others are stored.
        """
        cls._held().whole.expire()

    @classmethod
    async def aclear_expired(cls) -> None:
        """As :meth:`clear_expired`."""
        await sync_to_async(cls.clear_expired, thread_sensitive=False)()


def _renew(sessions: Transaction[str, str], key: str, data: str, age: float) -> None:
    """Store the data of a session that exists. Unlike ``set``, ``touch`` leaves no row of the former time behind."""
    try:
        sessions.modify(key, lambda _: data)
    except KeyError:
        raise UpdateError from None
    sessions.touch(key, age)
