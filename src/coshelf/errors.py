"""Every error that coshelf raises, as one tree under :class:`CoshelfError`.

Each class also inherits the builtin that users of a dict, ``shelve`` or ``open()`` already catch. A missing key is the
plain :class:`KeyError` of a dict; damage is never a KeyError. A message says what happened (key, path, engine), why
(numbers, the holder of a lock, how long the call waited) and what to do.
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
    "InvalidExpiry",
    "InvalidKey",
    "InvalidLimit",
    "InvalidTag",
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
    "TurnHeld",
    "TurnLost",
    "TurnNotHeld",
    "TurnTimeout",
    "TypeMismatch",
    "Unavailable",
    "UnkeyableArgument",
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
        # A path need not be UTF-8. Printing the message must not fail because of it.
        return super().__str__().encode("utf-8", "backslashreplace").decode()


# --- opening ---------------------------------------------------------------------------------------------------------


class ShelfNotFound(CoshelfError, FileNotFoundError):
    """No shelf exists at this place, and the flag does not allow making one."""


class ShelfExists(CoshelfError, FileExistsError):
    """Something exists at the place of a new shelf."""


class NotAShelf(CoshelfError, OSError):
    """The file or object at this place is not a shelf. It has not been changed."""


class FormatTooNew(NotAShelf):
    """The shelf or a record in it was written by a later version of coshelf."""


class DamagedShelf(CoshelfError, OSError):
    """The file is a shelf, but parts of it are missing or overwritten."""


class ShelfPermissionError(CoshelfError, PermissionError):
    """The operating system does not let this user read or write the shelf."""


class UnsafeFilesystem(CoshelfError, OSError):
    """The file system is shared between machines, where locks and shared memory do not work."""


class OpenUnderAnotherName(CoshelfError, OSError):
    """Another process has the same file open under another name (hard link, bind mount, rename)."""


class UnknownEngine(CoshelfError, ValueError):
    """No engine is registered for this URL scheme."""


class MissingExtra(CoshelfError, ImportError):
    """The feature needs an optional package that is not installed."""


class CodecMismatch(CoshelfError, ValueError):
    """The shelf remembers another codec, compression or encryption than ``open`` was given."""


# --- using -----------------------------------------------------------------------------------------------------------


class ShelfClosed(CoshelfError, ValueError):
    """The shelf, snapshot or transaction has been closed."""


class ReadOnlyShelf(CoshelfError, OSError):
    """The shelf was opened with ``flag="r"``."""


class InvalidKey(CoshelfError, TypeError):
    """The object cannot be a key."""


class InvalidExpiry(CoshelfError, ValueError):
    """An ``expire=`` is not a number of seconds, a timedelta or None, or is later than times can be written."""


class InvalidLimit(CoshelfError, ValueError):
    """A ``max_bytes=``, ``max_entries=`` or ``evict=`` is not possible."""


class InvalidTag(CoshelfError, ValueError):
    """A tag is not a str of 1 to 255 bytes in UTF-8, or an entry was given more than 100."""


class UnkeyableArgument(CoshelfError, TypeError):
    """An argument of a memoized function has no form that is the same in every process. ``argument`` is its name."""

    def __init__(self, message: str, argument: str = "") -> None:
        super().__init__(message)
        self.argument = argument


class UnwritableValue(CoshelfError, TypeError):
    """A value cannot be encoded. ``keys`` lists its keys; nothing was stored for them."""

    def __init__(self, message: str, keys: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.keys = keys


class UnreadableValue(CoshelfError, ValueError):
    """A stored value is intact but cannot be decoded here. For example, its class no longer exists."""

    def __init__(self, message: str, key: Any = None) -> None:
        super().__init__(message)
        self.key = key


class TypeMismatch(UnreadableValue):
    """A stored value does not fit the ``type=`` that the shelf was opened with.

    ``field`` is the path of the part that does not fit, such as ``"address.lines[0]"``. "" is the value as a whole.
    """

    def __init__(self, message: str, field: str = "", key: Any = None) -> None:
        super().__init__(message, key)
        self.field = field


class WrongKey(UnreadableValue):
    """A value is encrypted, and not with a secret that was given. ``key`` is None for the whole shelf."""


class UntrustedValue(CoshelfError, ValueError):
    """A stored value is not plain data, and this shelf may not run code. ``name`` is the class or function it needs."""

    def __init__(self, message: str, name: str = "", key: Any = None) -> None:
        super().__init__(message)
        self.name = name
        self.key = key


class DamagedRecord(DamagedShelf):
    """A stored record or key differs from the one that was written. The rest of the shelf can be read."""

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
    """``wait()`` ended because the key did not appear in time."""


class TurnTimeout(WaitTimeout):
    """A lock, semaphore or barrier was not free within the timeout. The message names who has it.

    ``holders`` has them: see :class:`coshelf.contract.Who`.
    """

    def __init__(self, message: str, holders: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.holders = holders


class TurnLost(CoshelfError, RuntimeError):
    """The lease of a lock ended while its block ran: another process may have had the turn meanwhile."""


class TurnHeld(CoshelfError, RuntimeError):
    """This thread or task has the turn already, and would wait for itself."""


class TurnNotHeld(CoshelfError, RuntimeError):
    """This thread or task has no turn that it could give back, or this process was forked from the one that has it."""


class TransactionInProgress(CoshelfError, RuntimeError):
    """This thread is inside a transaction or edit of the shelf, and the call cannot be part of it.

    A signal handler or finalizer gets this error, too, if its call would have to wait for the call that it interrupted.
    """


class Conflict(CoshelfError, RuntimeError):
    """Another writer changed entries meanwhile. The newer values stay.

    ``keys`` names the entries. If the caller's own values would be lost, ``values`` has them as ``{key: value}``.
    """

    def __init__(self, message: str, keys: tuple[Any, ...] = (), values: dict[Any, Any] | None = None) -> None:
        super().__init__(message)
        self.keys = keys
        self.values: dict[Any, Any] = values if values is not None else {}


class SnapshotLost(CoshelfError, RuntimeError):
    """A reader cannot go on: commits overtook it, its server gave up its instant, or its task was cancelled."""


# --- the engine below ------------------------------------------------------------------------------------------------


class StorageError(CoshelfError, OSError):
    """The operating system or server failed to read or write. Earlier commits are untouched."""


class StorageFull(StorageError):
    """No space is left. Nothing of the batch was stored. Earlier commits are untouched."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.errno = errno.ENOSPC


class ShelfGone(StorageError):
    """The file was deleted, replaced by another one, or moved while it was open.

    With ``is_lost`` the file has no name any more, so its content is lost when the last process closes it.
    """

    def __init__(self, message: str, *, is_lost: bool = True) -> None:
        super().__init__(message)
        self.is_lost = is_lost


class Unavailable(CoshelfError, ConnectionError):
    """The server of the shelf cannot be reached, or closed the connection. This call wrote nothing."""


class OutcomeUnknown(CoshelfError, OSError):
    """A write was sent and its reply was lost. It may or may not have happened, and is not repeated."""


class Unsupported(CoshelfError, NotImplementedError):
    """The engine cannot do this. The message names the operation, the engine, the limit and an alternative."""


class KeyTooLong(Unsupported, ValueError):
    """The key is longer than the engine allows."""


class ValueTooLarge(Unsupported, ValueError):
    """The value is larger than the engine allows."""


class BatchTooLarge(Unsupported, ValueError):
    """The batch is larger than the engine can commit as a whole."""


class CrossShard(Unsupported, ValueError):
    """The engine cannot commit these keys together."""
