"""Turns PostgreSQL's errors into coshelf's."""

from __future__ import annotations

import psycopg
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout

from coshelf.engines.closed import closed_shelf
from coshelf.errors import (
    CoshelfError,
    ShelfLocked,
    ShelfNotFound,
    ShelfPermissionError,
    SnapshotLost,
    StorageError,
    StorageFull,
    ValueTooLarge,
)

__all__ = ["ServerSilentError", "hopeless", "is_lost", "reason", "translate"]

# Errors for which a second attempt is useless. Before a session begins, libpq gives no code, only the server's words.
_HOPELESS = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "permission denied",
    "does not exist",
    "is not permitted to log in",
    "certificate verify failed",
    "server does not support SSL",
)


class ServerSilentError(psycopg.OperationalError):
    """The server did not answer in time; the connection was closed."""


def is_lost(error: BaseException) -> bool:
    """Whether the server could not be reached, closed the connection, or does not accept writes any more."""
    if isinstance(error, (PoolTimeout, ServerSilentError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction)):
        return not isinstance(error, PoolClosed)
    if not isinstance(error, psycopg.OperationalError):
        return False
    code = error.sqlstate
    if code is None:
        return True
    return code[:2] in ("08", "57") and code != "57014"  # 57014: a statement took too long


def hopeless(error: BaseException, where: str) -> CoshelfError | None:
    """coshelf's error for a connection that the server will always refuse, or None."""
    text = str(error)
    if not isinstance(error, psycopg.OperationalError) or not any(words in text for words in _HOPELESS):
        return None
    if "database" in text and "does not exist" in text:
        return ShelfNotFound(f"the database does not exist: {where}\n  {reason(error)}")
    return ShelfPermissionError(f"the server refuses the connection: {where}\n  {reason(error)}")


def reason(error: BaseException) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def translate(error: psycopg.Error, where: str, doing: str, timeout: float) -> CoshelfError:
    """coshelf's error for an error of the server. The statement that failed has changed nothing."""
    if isinstance(error, errors.LockNotAvailable):
        return ShelfLocked(f"shelf is locked: {where}\n  by a commit or lock of another session; waited {timeout:g} s")
    if isinstance(error, errors.QueryCanceled):
        return StorageError(f"cannot {doing} {where}: the statement was ended after {timeout:g} s: {reason(error)}")
    if isinstance(error, (errors.DiskFull, errors.OutOfMemory)):
        return StorageFull(f"cannot {doing} {where}: {reason(error)}; nothing of this was stored")
    if isinstance(error, errors.InsufficientPrivilege):
        return ShelfPermissionError(f"this user may not {doing} {where}: {reason(error)}")
    if isinstance(error, errors.UndefinedTable):
        return ShelfNotFound(f"the tables of {where} are not there any more: {reason(error)}")
    if isinstance(error, errors.ProgramLimitExceeded):
        return ValueTooLarge(f"cannot {doing} {where}: {reason(error)}")
    if isinstance(error, errors.SerializationFailure):  # a standby cancelled this reader to apply changes
        return SnapshotLost(f"the server gave up this instant of {where}: {reason(error)}")
    if isinstance(error, PoolClosed):
        return closed_shelf(where)
    return StorageError(f"cannot {doing} {where}: {reason(error)}")
