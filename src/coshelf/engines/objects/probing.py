"""Tests whether a server honours the conditions of a write. On a server that ignores them, updates would be lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from coshelf.engines.objects.client import NEW, Client, Token
from coshelf.engines.objects.failures import Changed
from coshelf.engines.objects.workers import Workers
from coshelf.errors import CoshelfError, Unsupported

__all__ = ["deletes_conditionally", "refuse_careless"]

_WRONG: Token = {"e_tag": '"00000000000000000000000000000000"'}


def refuse_careless(client: Client, scratch: str, workers: Workers) -> Token:
    """Raise :class:`Unsupported` for a server that ignores conditions. If it does not, a scratch object remains.

    Of two creations of the same object at the same time, one must succeed. A write over a state that never existed must
    fail. A write over the current state must succeed.
    """
    first, second = workers.all([partial(_created, client, scratch)] * 2)
    if first is not None and second is not None:
        _refuse(client, scratch, "creates an object twice (it ignores If-None-Match)")
    token = first or second
    if token is None:
        _refuse(client, scratch, "does not create an object on condition that there is none (If-None-Match)")
    assert token is not None
    wrong = _WRONG if "version" not in token else _WRONG | {"version": "1"}
    if _attempt(lambda: client.put(scratch, os.urandom(16), wrong)) is not None:
        _refuse(client, scratch, "overwrites an object in another state than the request names (it ignores If-Match)")
    token = _attempt(lambda: client.put(scratch, os.urandom(16), token))
    if token is None:
        _refuse(client, scratch, "does not overwrite an object on condition that it is unchanged (If-Match)")
    assert token is not None
    return token


def deletes_conditionally(client: Client, scratch: str, token: Token) -> bool:
    """Whether the server deletes an object only in the state that was named. If so, the scratch object is deleted."""
    try:
        return (
            _attempt(lambda: _deleted(client, scratch, _WRONG)) is None
            and client.get(scratch) is not None
            and _attempt(lambda: _deleted(client, scratch, token)) is not None
            and client.get(scratch) is None
            and _attempt(lambda: _deleted(client, scratch, token)) is None
        )
    except CoshelfError:  # the server has no such deletion, or the client cannot sign one
        return False


def _created(client: Client, scratch: str) -> Token | None:
    return _attempt(lambda: client.put(scratch, os.urandom(16), NEW))


def _attempt(write: Callable[[], Token]) -> Token | None:
    """What a write returns; None if its condition did not hold."""
    try:
        return write()
    except Changed:
        return None


def _deleted(client: Client, name: str, token: Token) -> Token:
    client.delete_matching(name, token)
    return token


def _refuse(client: Client, scratch: str, why: str) -> None:
    client.delete([scratch])
    raise Unsupported(
        f"{client.server} is not written to: its server {why}, so updates would be lost unnoticed\n"
        "  hint: read it with flag 'r', or use a server that honours conditional writes"
    )
