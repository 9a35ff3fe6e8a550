"""Every error that coshelf raises, as one tree under :class:`CoshelfError`.

Each class also inherits the builtin that somebody who uses a dict, ``shelve`` or ``open()`` would already catch.
A missing key is the plain :class:`KeyError` of a dict; damage is never a KeyError. A message says what (key, path,
engine), why (numbers, who holds it, how long it waited) and what to do.
"""

from __future__ import annotations

import errno
from typing import Any

__all__ = [
    "BatchTooLarge",
    "CodecMismatch",
    "Conflict",
    "CoshelfError",
    "CrossShard",
    "DamagedRecord",
    "DamagedShelf",
    "FormatTooNew",
    "InvalidKey",
    "KeyTooLong",
    "MissingExtra",
    "NotAShelf",
    "OpenUnderAnotherName",
    "OutcomeUnknown",
    "ReadOnlyShelf",
    "ShelfClosed",
    "ShelfExists",
    "ShelfGone",
    "ShelfLocked",
    "ShelfNotFound",
    "ShelfPermissionError",
    "SnapshotLost",
    "StorageError",
    "StorageFull",
    "TransactionInProgress",
    "TypeMismatch",
    "Unavailable",
    "UnknownEngine",
    "UnreadableValue",
    "UnsafeFilesystem",
    "Unsupported",
    "UntrustedValue",
    "UnwritableValue",
    "ValueTooLarge",
    "WaitTimeout",
    "WrongKey",
]


class CoshelfError(Exception):
    """The base of every error of this library."""

    def __str__(self) -> str:
        # A path need not be UTF-8, and whoever prints the message must not fail by it.
        return super().__str__().encode("utf-8", "backslashreplace").decode()


# --- opening ---------------------------------------------------------------------------------------------------------


class ShelfNotFound(CoshelfError, FileNotFoundError):
    """There is no shelf at this place, and the flag does not allow making one."""


class ShelfExists(CoshelfError, FileExistsError):
    """Something lies where a new shelf was to be made."""


class NotAShelf(CoshelfError, OSError):
    """What lies at this place is something else; it has not been changed."""


class FormatTooNew(NotAShelf):
    """The shelf or a record in it was written by a later version of coshelf."""


class DamagedShelf(CoshelfError, OSError):
    """The file is a shelf, but parts of it are missing or overwritten."""


class ShelfPermissionError(CoshelfError, PermissionError):
    """The operating system does not let this user read or write the shelf."""


class UnsafeFilesystem(CoshelfError, OSError):
    """The file system is shared between machines, so that locks and shared memory do not hold."""


class OpenUnderAnotherName(CoshelfError, OSError):
    """Others have this very file open under another name (hard link, bind mount, rename)."""


class UnknownEngine(CoshelfError, ValueError):
    """No engine is registered for this URL scheme."""


class MissingExtra(CoshelfError, ImportError):
    """The feature needs an optional dependency that is not installed."""


class CodecMismatch(CoshelfError, ValueError):
    """The shelf remembers another codec, compression or encryption than it was to be opened with."""


# --- using -----------------------------------------------------------------------------------------------------------


class ShelfClosed(CoshelfError, ValueError):
    """The shelf, snapshot or transaction has been closed."""


class ReadOnlyShelf(CoshelfError, OSError):
    """The shelf was opened with ``flag="r"``."""


class InvalidKey(CoshelfError, TypeError):
    """The object cannot be a key."""


class UnwritableValue(CoshelfError, TypeError):
    """A value cannot be encoded. ``keys`` lists the keys concerned; nothing was stored for them."""

    def __init__(self, message: str, keys: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.keys = keys


class UnreadableValue(CoshelfError, ValueError):
    """A stored value is intact but cannot be decoded here, for instance because its class no longer exists."""

    def __init__(self, message: str, key: Any = None) -> None:
        super().__init__(message)
        self.key = key


class TypeMismatch(UnreadableValue):
    """A stored value does not fit the ``type=`` that the shelf was opened with.

    ``field`` is the path of the part that does not fit, as in ``"address.lines[0]"``; "" for the value as a whole.
    """

    def __init__(self, message: str, field: str = "", key: Any = None) -> None:
        super().__init__(message, key)
        self.field = field


class WrongKey(UnreadableValue):
    """A value, or the whole shelf (``key`` is None), is encrypted, and not with a secret that was given."""


class UntrustedValue(CoshelfError, ValueError):
    """A stored value is more than plain data, and this shelf may not run code. ``name`` is what it asked for."""

    def __init__(self, message: str, name: str = "", key: Any = None) -> None:
        super().__init__(message)
        self.name = name
        self.key = key


class DamagedRecord(DamagedShelf):
    """A stored record or key is not what was written. The rest of the shelf stays readable."""

    def __init__(self, message: str, key: Any = None) -> None:
        super().__init__(message)
        self.key = key


class ShelfLocked(CoshelfError, TimeoutError):
    """Another process or thread kept the shelf's lock for longer than ``timeout``."""

    def __init__(self, message: str, *, pid: int | None = None, since: float | None = None) -> None:
        super().__init__(message)
        self.pid = pid
        self.since = since


class WaitTimeout(CoshelfError, TimeoutError):
    """``wait()`` gave up because the key did not appear in time."""


class TransactionInProgress(CoshelfError, RuntimeError):
    """This thread is inside a transaction or edit of the shelf and must write through it.

    It is also raised for a call by a signal handler or finalizer that would have to wait for the call it interrupted.
    """


class Conflict(CoshelfError, RuntimeError):
    """Somebody else changed entries in the meantime. Theirs stay.

    ``keys`` names the entries. Where the caller's own values would be lost, ``values`` carries them as
    ``{key: value}``.
    """

    def __init__(self, message: str, keys: tuple[Any, ...] = (), values: dict[Any, Any] | None = None) -> None:
        super().__init__(message)
        self.keys = keys
        self.values: dict[Any, Any] = values if values is not None else {}


class SnapshotLost(CoshelfError, RuntimeError):
    """The shelf changed below a reader that has no right to register itself with the writers."""


# --- the engine below ------------------------------------------------------------------------------------------------


class StorageError(CoshelfError, OSError):
    """The operating system or server failed to read or write; what had been committed before is untouched."""


class StorageFull(StorageError):
    """No space left. Nothing of the batch was stored; everything committed before is untouched."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.errno = errno.ENOSPC


class ShelfGone(StorageError):
    """The file was deleted, replaced by another one, or moved while it was open.

    With ``is_lost`` it has no name any more, so that what is written to it goes when the last process closes it.
    """

    def __init__(self, message: str, *, is_lost: bool = True) -> None:
        super().__init__(message)
        self.is_lost = is_lost


class Unavailable(CoshelfError, ConnectionError):
    """The server that the shelf lies on cannot be reached, or went away; nothing was written by this call."""


class OutcomeUnknown(CoshelfError, OSError):
    """A write was sent and its reply was lost: it may or may not have happened, and is not repeated."""


class Unsupported(CoshelfError, NotImplementedError):
    """The engine cannot do this. The message names the operation, the engine, the limit and the way out."""


class KeyTooLong(Unsupported, ValueError):
    """The engine's limit for keys is smaller."""


class ValueTooLarge(Unsupported, ValueError):
    """The engine's limit for values is smaller."""


class BatchTooLarge(Unsupported, ValueError):
    """The engine's limit for one atomic batch is smaller."""


class CrossShard(Unsupported, ValueError):
    """The engine cannot commit these keys together."""
