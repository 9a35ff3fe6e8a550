"""Tells what the client's errors mean: the server could not be reached, or it refused the command."""

from __future__ import annotations

from coshelf.engines.closed import closed_shelf
from coshelf.errors import CoshelfError, NotAShelf, ShelfPermissionError, StorageError, StorageFull, Unavailable
from coshelf.system.extras import imported

__all__ = ["is_lost", "translated"]

redis = imported("redis", "redis", "a shelf on Redis")

_REFUSED = (redis.AuthenticationError, redis.exceptions.AuthorizationError, redis.exceptions.NoPermissionError)
_LOST = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.TryAgainError,
    redis.exceptions.AskError,  # and MovedError, after too many redirections
    redis.exceptions.RedisClusterException,
    redis.ReadOnlyError,  # a primary that became a replica, until the client has found the new primary
)
# What redis-py raises if another thread closes the connection while this one reads from it.
_CLOSED = "closed file"
# Refused for a while: a script that takes long, a replica without its primary, a primary without its replicas.
_FOR_NOW = ("BUSY", "MASTERDOWN", "NOREPLICAS", "LOADING", "CLUSTERDOWN")


def is_lost(error: Exception) -> bool:
    """Whether the server cannot be reached, closed the connection, or cannot serve now. The command may be repeated."""
    if isinstance(error, _REFUSED):
        return False
    return isinstance(error, _LOST) or (isinstance(error, redis.ResponseError) and str(error).startswith(_FOR_NOW))


def translated(error: Exception, where: str) -> Exception:
    """coshelf's error for an error of the client; any other error unchanged."""
    if isinstance(error, ValueError) and _CLOSED in str(error):
        return closed_shelf(where)
    if isinstance(error, CoshelfError) or not isinstance(error, redis.RedisError):
        return error
    text = str(error).strip()
    if isinstance(error, _REFUSED) or text.startswith(("NOAUTH", "WRONGPASS", "NOPERM")):
        return ShelfPermissionError(f"{where} refuses this user: {text}")
    if isinstance(error, redis.InvalidResponse):
        return Unavailable(f"the server at {where} does not speak the protocol of Redis")
    if isinstance(error, redis.OutOfMemoryError):
        return StorageFull(f"{where} has no memory left (maxmemory), and nothing of this was stored: {text}")
    if text.startswith("WRONGTYPE"):
        return NotAShelf(f"a key of {where} has another type: another program has written it ({text})")
    return StorageError(f"{where} refused: {text}")
