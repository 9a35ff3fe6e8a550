"""Every error that coshelf raises, as one tree under :class:`CoshelfError`.

Each class also inherits the builtin that users of a dict, ``shelve`` or ``open()`` already catch. A missing key is the
plain :class:`KeyError` of a dict; damage is never a KeyError. A message says what happened (key, path, engine), why
(numbers, the holder of a lock, how long the call waited) and what to do.

The description of each class has a paragraph "Cause:" and a paragraph "Remedy:". The page of errors is made from them.
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
    """The base of every error of this library.

    Cause: coshelf raised one of its errors. Each is also a builtin that programs catch already, such as OSError or
    ValueError.

    Remedy: Catch this class where a program has to go on whatever happens to the shelf. Catch a class
    below it where the program can do something about it.

    >>> import coshelf
    >>> try:
    ...     coshelf.open("nosuch:place")
    ... except coshelf.CoshelfError as error:
    ...     print(type(error).__name__)
    UnknownEngine
    """

    def __str__(self) -> str:
        text = super().__str__()
        if isinstance(self, OSError) and self.filename is not None and "\n" in str(self.strerror):
            # OSError writes the name of the file behind the whole text. It belongs before the hints.
            first, _, hints = str(self.strerror).partition("\n")
            text = f"[Errno {self.errno}] {first}: {self.filename!r}\n{hints}"
        # A path need not be UTF-8. Printing the message must not fail because of it.
        return text.encode("utf-8", "backslashreplace").decode()


# --- opening ---------------------------------------------------------------------------------------------------------


class ShelfNotFound(CoshelfError, FileNotFoundError):
    """No shelf exists at this place, and the flag does not allow making one.

    Cause: Flag "r" or "w" was given, and the path has no shelf. Or the directory does not exist, in which a shelf was
    to be made.

    Remedy: Compare the path with the names in its directory. Flag "c" makes a shelf, and ``os.makedirs()`` makes the
    directory.

    >>> import coshelf
    >>> coshelf.open("no/such/directory/recipes.shelf")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    coshelf.errors.ShelfNotFound: [Errno 2] the directory for the shelf does not exist: ...
      hint: make it first, with os.makedirs() or `mkdir -p`; coshelf makes only the file
    """


class ShelfExists(CoshelfError, FileExistsError):
    """Something exists at the place of a new shelf.

    Cause: ``backup``, ``salvage``, an import or a copy was to make a shelf where a file lies already. It is as it was.

    Remedy: Name another place. ``backup(path, overwrite=True)`` replaces a shelf.
    """


class NotAShelf(CoshelfError, OSError):
    """The file or object at this place is not a shelf. It has not been changed.

    Cause: The path leads to a text file, a database of another program, a directory, or an empty file.

    Remedy: Choose another path. ``coshelf import OLD NEW`` copies what shelve, dbm, pickleshare, sqlitedict or
    diskcache stored.

    >>> import coshelf, tempfile
    >>> with tempfile.TemporaryDirectory() as directory, coshelf.open(directory):  # doctest: +ELLIPSIS
    ...     pass
    Traceback (most recent call last):
    coshelf.errors.NotAShelf: ... is a directory; a shelf is a file
      hint: name a file in it; or end the path with a slash for the files engine, which keeps each value in a file
    """


class FormatTooNew(NotAShelf):
    """The shelf or a record in it was written by a later version of coshelf.

    Cause: A later version of coshelf wrote the shelf or the entry, in a form that this version does not know.

    Remedy: Install the latest version of coshelf. Nothing was changed.
    """


class DamagedShelf(CoshelfError, OSError):
    """The file is a shelf, but parts of it are missing or overwritten.

    Cause: The file was cut short or overwritten by another program, or the disk returned other bytes than were written.

    Remedy: Restore a backup, or copy what can be read by ``coshelf salvage OLD NEW``. ``coshelf check`` lists what is
    damaged.
    """


class ShelfPermissionError(CoshelfError, PermissionError):
    """The operating system does not let this user read or write the shelf.

    Cause: The file, its directory or the server belongs to another user, or the file system is mounted read-only.

    Remedy: Open the shelf with flag "r" if reading is enough. Otherwise change the owner or the permissions, or the
    role on the server.
    """


class UnsafeFilesystem(CoshelfError, OSError):
    """The file system is shared between machines, where locks and shared memory do not work.

    Cause: The path lies on a network file system, or in a folder that two machines share. Processes of two machines
    would not know of each other's writes.

    Remedy: Put the shelf on a local disk. ``files:DIRECTORY`` works on a network file system, and a server such as
    ``postgresql://`` for any number of machines.
    """


class OpenUnderAnotherName(CoshelfError, OSError):
    """Another process has the same file open under another name (hard link, bind mount, rename).

    Cause: The file has two names (a hard link or a bind mount), or was renamed while it was open. Each name has its own
    locks, so writers would not wait for each other.

    Remedy: Open the shelf by the same path in all processes, or close it first where it has the other name.
    """


class UnknownEngine(CoshelfError, ValueError):
    """No engine is registered for this URL scheme.

    Cause: The text before the first colon is not a scheme of an engine, or the package with this engine is not
    installed.

    Remedy: Correct the scheme. A path that has a colon needs ``./`` before it, or a ``pathlib.Path``.

    >>> import coshelf
    >>> coshelf.open("redi://localhost/0/recipes")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    coshelf.errors.UnknownEngine: no engine is registered for URLs that begin with 'redi:' (known: ...)
      hint: did you mean 'redis:'? Or if this is the name of a file, put './' before it or pass a pathlib.Path
    """


class MissingExtra(CoshelfError, ImportError):
    """The feature needs an optional package that is not installed.

    Cause: coshelf itself needs only ``lmdb``. This option or engine needs a package that is not installed, or that
    cannot be imported here.

    Remedy: Install it by the line in the message, such as ``pip install 'coshelf[msgspec]'``.
    """


class CodecMismatch(CoshelfError, ValueError):
    """The shelf remembers another codec, compression or encryption than ``open`` was given.

    Cause: A shelf remembers its codec, compression and encryption. The call gave others.

    Remedy: Leave these options out to use what the shelf has. ``recode=True`` writes by the new ones from now on, and
    older entries stay readable.

    >>> import coshelf
    >>> store = {}
    >>> coshelf.open(store, codec="json").close()
    >>> coshelf.open(store, codec="bytes")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    coshelf.errors.CodecMismatch: ... has codec 'json', no compression, ...; it was to be opened with codec 'bytes', ...
      hint: leave codec=, type=, compress= and encrypt= out to use what it has, ...
    """


# --- using -----------------------------------------------------------------------------------------------------------


class ShelfClosed(CoshelfError, ValueError):
    """The shelf, snapshot or transaction has been closed.

    Cause: The call came after ``close()``, or after the ``with`` block of the shelf, snapshot or transaction. A view or
    cursor uses its shelf, too.

    Remedy: Use it inside the block, or open it again. What was written before is stored.

    >>> import coshelf
    >>> with coshelf.open("memory:") as shelf:
    ...     shelf["a"] = 1
    >>> shelf["a"]
    Traceback (most recent call last):
    coshelf.errors.ShelfClosed: the shelf memory: has been closed
      hint: use it before close() and inside its `with` block, or open it again
    """


class ReadOnlyShelf(CoshelfError, OSError):
    """The shelf was opened with ``flag="r"``.

    Cause: The shelf was opened with flag "r", or this user can only read its file.

    Remedy: Open it with flag "w" or "c".
    """


class InvalidKey(CoshelfError, TypeError):
    """The object cannot be a key.

    Cause: Keys are str, bytes, int, float, bool, None and tuples of these. They have an order, and lists, dicts, sets
    and objects of classes have none. NaN is not equal to itself.

    Remedy: Make a key from the object. The message says how for common types, such as ``tuple(key)`` for a list.

    >>> import coshelf
    >>> coshelf.open("memory:")[["ann", 1]] = "x"  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    coshelf.errors.InvalidKey: a key cannot be of type list: keys are str, ...
      hint: use tuple(key)
    """


class InvalidExpiry(CoshelfError, ValueError):
    """An ``expire=`` is not a number of seconds, a timedelta or None, or is later than times can be written.

    Cause: An ``expire=`` is a text, NaN, or so large that no date can be written. Or a default for the whole shelf is 0
    or less, so that no entry would be kept.

    Remedy: Give seconds from now, or a ``timedelta``. None stores an entry that does not expire.

    >>> import coshelf
    >>> coshelf.open("memory:").set("a", 1, expire="1h")
    Traceback (most recent call last):
    coshelf.errors.InvalidExpiry: expire= is a number of seconds, a timedelta or None, not str ('1h')
      hint: None stores an entry that does not expire
    """


class InvalidLimit(CoshelfError, ValueError):
    """A ``max_bytes=``, ``max_entries=`` or ``evict=`` is not possible.

    Cause: A ``max_bytes=`` or ``max_entries=`` is less than 1 or not a size, or ``evict=`` is unknown, or no limit is
    given for it.

    Remedy: Give a number of bytes or text such as "500 MB". False means no limit.
    """


class InvalidTag(CoshelfError, ValueError):
    """A tag is not a str of 1 to 255 bytes in UTF-8, or an entry was given more than 100.

    Cause: A tag is empty, longer than 255 bytes in UTF-8, or not a str; or an entry was to have more than 100 tags.

    Remedy: Use short names such as ``"user:17"``.
    """


class UnkeyableArgument(CoshelfError, TypeError):
    """An argument of a memoized function has no form that is the same in every process. ``argument`` is its name.

    Cause: A memoized function was called with an object that has no form which is the same in every process. Its
    results could not be found again.

    Remedy: Leave the argument out by ``ignore=``, or pass a part that identifies it, such as a name or number.
    """

    def __init__(self, message: str, argument: str = "") -> None:
        super().__init__(message)
        self.argument = argument


class UnwritableValue(CoshelfError, TypeError):
    """A value cannot be encoded. ``keys`` lists its keys; nothing was stored for them.

    Cause: The value has something in it that pickle or the codec refuses: an open file, a lock, a lambda, a class
    inside a function, or a type that ``type=`` does not allow.

    Remedy: Store what it was made from. Define classes and functions at the top of a module.

    >>> import coshelf
    >>> coshelf.open("memory:")["squares"] = (n * n for n in range(3))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    coshelf.errors.UnwritableValue: the value for key 'squares', of type generator, cannot be pickled: ...
      hint: store list(value)
    """

    def __init__(self, message: str, keys: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.keys = keys


class UnreadableValue(CoshelfError, ValueError):
    """A stored value is intact but cannot be decoded here. For example, its class no longer exists. ``key`` is its key.

    Cause: The class of the value was renamed, moved or removed, or was defined in a script that is not this one.

    Remedy: Make the class importable under its old name, then read the value and store it again. The entry is intact
    until then.
    """

    def __init__(self, message: str, key: Any = None) -> None:
        super().__init__(message)
        self.key = key


class TypeMismatch(UnreadableValue):
    """A stored value does not fit the ``type=`` that the shelf was opened with.

    ``field`` is the path of the part that does not fit, such as ``"address.lines[0]"``. "" is the value as a whole.

    Cause: The entry was stored with another type, or without ``type=``.

    Remedy: Give new fields a default. Open the shelf without ``type=`` to read the entry as it is, and store it in the
    new form.
    """

    def __init__(self, message: str, field: str = "", key: Any = None) -> None:
        super().__init__(message, key)
        self.field = field


class WrongKey(UnreadableValue):
    """A value is encrypted, and not with a secret that was given. ``key`` is None for the whole shelf.

    Cause: The shelf or entry is encrypted, and ``encrypt=`` is missing or is another secret.

    Remedy: Give the secret with which it was encrypted. ``encrypt=[new, old]`` reads what an old secret encrypted.
    Without the secret the values cannot be read by any means.
    """


class UntrustedValue(CoshelfError, ValueError):
    """A stored value is not plain data, and this shelf may not run code. ``name`` is the class or function it needs.

    Cause: The shelf was made by another user or on another machine, or was copied, and the value is more than plain
    data. Loading it could run code of the program that wrote it.

    Remedy: If you trust the writers, run ``coshelf trust PATH``. ``allow=[...]`` loads the classes that you expect and
    no others.
    """

    def __init__(self, message: str, name: str = "", key: Any = None) -> None:
        super().__init__(message)
        self.name = name
        self.key = key


class DamagedRecord(DamagedShelf):
    """A stored record or key differs from the one that was written. The rest of the shelf can be read.

    ``key`` is the key of the entry, if it is known.

    Cause: The disk returned other bytes than were written, or another program wrote to the file.

    Remedy: Delete or overwrite the entry, or restore it from a backup. ``coshelf check`` lists all damaged entries.
    """

    def __init__(self, message: str, key: Any = None) -> None:
        super().__init__(message)
        self.key = key


class ShelfLocked(CoshelfError, TimeoutError):
    """Another process or thread kept the shelf's lock for longer than ``timeout``.

    Cause: A transaction, ``edit`` or ``modify`` of another process or thread takes longer than ``timeout``. ``pid`` and
    ``since`` say which process, if that is known.

    Remedy: Wait longer with ``timeout=``, or let the transactions do less. ``coshelf stats PATH`` shows the holder. A
    lock of a process that died is free at once.
    """

    def __init__(self, message: str, *, pid: int | None = None, since: float | None = None) -> None:
        super().__init__(message)
        self.pid = pid
        self.since = since


class WaitTimeout(CoshelfError, TimeoutError):
    """``wait()`` ended because the key did not appear in time.

    Cause: No process stored the key within the time.

    Remedy: Wait again, or do without the value. ``wait`` without ``timeout=`` waits for ever.
    """


class TurnTimeout(WaitTimeout):
    """A lock, semaphore or barrier was not free within the timeout. The message names who has it.

    ``holders`` has them: see :class:`coshelf.contract.Who`.

    Cause: Another process or task has the lock, semaphore or barrier.

    Remedy: Wait longer, or do something else meanwhile. ``coshelf locks PATH`` shows who has it.
    """

    def __init__(self, message: str, holders: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.holders = holders


class TurnLost(CoshelfError, RuntimeError):
    """The lease of a lock ended while its block ran: another process may have had the turn meanwhile.

    Cause: The process did not renew its lease in time, because it was stopped or could not reach the server.

    Remedy: Repeat the work. Where another process may have worked meanwhile, store the token of the turn with the
    result, and refuse a result with a smaller one.
    """


class TurnHeld(CoshelfError, RuntimeError):
    """This thread or task has the turn already, and would wait for itself.

    Cause: The block of ``with shelf.lock(name)`` contains another one of the same name.

    Remedy: Take the lock once, at the outermost place, or use two names.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:")
    >>> with shelf.lock("oven"), shelf.lock("oven"):  # doctest: +ELLIPSIS
    ...     pass
    Traceback (most recent call last):
    coshelf.errors.TurnHeld: ...
    """


class TurnNotHeld(CoshelfError, RuntimeError):
    """This thread or task has no turn that it could give back, or this process was forked from the one that has it.

    Cause: ``release()`` was called twice, by another thread or task than the one that acquired it, or in a forked
    child.

    Remedy: Use ``with shelf.lock(name):``, which gives the turn back once, where it was taken.
    """


class TransactionInProgress(CoshelfError, RuntimeError):
    """This thread is inside a transaction or edit of the shelf, and the call cannot be part of it.

    A signal handler or finalizer gets this error, too, if its call would have to wait for the call that it interrupted.

    Cause: A transaction of another shelf object or task runs in this thread, or ``edit`` changes the same entry.

    Remedy: Change the value that ``edit`` gave, and use one shelf object for one file in a thread.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:")
    >>> shelf["a"] = []
    >>> with shelf.edit("a") as value:  # doctest: +ELLIPSIS
    ...     shelf["a"] = [1]
    Traceback (most recent call last):
    coshelf.errors.TransactionInProgress: the entry 'a' is being changed by edit() or modify() in this transaction; ...
      hint: change the value that edit() returned, or return the new value from the function of modify()
    """


class Conflict(CoshelfError, RuntimeError):
    """Another writer changed entries meanwhile. The newer values stay.

    ``keys`` names the entries. If the caller's own values would be lost, ``values`` has them as ``{key: value}``.

    Cause: The engine has no exclusive lock, or the shelf has ``writeback=True``: two writers changed the same entries
    at once.

    Remedy: Use ``transact(function)``, which repeats the function. Or read the entries again, and store your change to
    the newer values.
    """

    def __init__(self, message: str, keys: tuple[Any, ...] = (), values: dict[Any, Any] | None = None) -> None:
        super().__init__(message)
        self.keys = keys
        self.values: dict[Any, Any] = values if values is not None else {}


class SnapshotLost(CoshelfError, RuntimeError):
    """A reader cannot go on: commits overtook it, its server gave up its instant, or its task was cancelled.

    Cause: A snapshot or an iteration took so long that the engine gave up its instant.

    Remedy: Begin again, and read less at a time.
    """


# --- the engine below ------------------------------------------------------------------------------------------------


class StorageError(CoshelfError, OSError):
    """The operating system or server failed to read or write. Earlier commits are untouched.

    Cause: The disk, the file system or the server reported an error, which the message has.

    Remedy: Look for it in the log of the system or the server. Then repeat the call: it stored nothing.
    """


class StorageFull(StorageError):
    """No space is left. Nothing of the batch was stored. Earlier commits are untouched.

    Cause: The disk or the user's quota is full. Or the limits of the shelf are reached, and ``evict="expired"`` lets
    nothing go.

    Remedy: Make space, and repeat the call. ``compact()`` gives free pages of the file back.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.errno = errno.ENOSPC


class ShelfGone(StorageError):
    """The file was deleted, replaced by another one, or moved while it was open.

    With ``is_lost`` the file has no name any more, so its content is lost when the last process closes it.

    Cause: Another program deleted, replaced or moved the file. This process writes to the old file.

    Remedy: If the file has no name any more, ``backup()`` copies all of it to another place. Then close it and open it
    by its name.
    """

    def __init__(self, message: str, *, is_lost: bool = True) -> None:
        super().__init__(message)
        self.is_lost = is_lost


class Unavailable(CoshelfError, ConnectionError):
    """The server of the shelf cannot be reached, or closed the connection. This call wrote nothing.

    Cause: The server is not running or not at this address, the network is down, or the connection was closed.

    Remedy: Start the server, or correct the URL. Then repeat the call.
    """


class OutcomeUnknown(CoshelfError, OSError):
    """A write was sent and its reply was lost. It may or may not have happened, and is not repeated.

    Cause: The connection ended between the request and the reply.

    Remedy: Read the entries to see whether they are stored. Repeat the write if it does no harm to make it twice.
    """


class Unsupported(CoshelfError, NotImplementedError):
    """The engine cannot do this. The message names the operation, the engine, the limit and an alternative.

    Cause: The engine lacks what the call needs, such as snapshots on an object store.

    Remedy: Use another call, as the message says, or another engine. ``require=[...]`` checks at opening what a program
    needs.
    """


class KeyTooLong(Unsupported, ValueError):
    """The key is longer than the engine allows.

    Cause: The store behind the engine limits its keys, for example a row of PostgreSQL to 2,600 bytes.

    Remedy: Use shorter keys, such as a digest of a long one. A file of the lmdb engine takes keys of any length.
    """


class ValueTooLarge(Unsupported, ValueError):
    """The value is larger than the engine allows.

    Cause: The store behind the engine limits its values, for example to 4 GiB.

    Remedy: Store the value in parts, or compress it with ``compress="zstd"``.
    """


class BatchTooLarge(Unsupported, ValueError):
    """The batch is larger than the engine can commit as a whole.

    Cause: An ``update`` or a transaction has more entries or bytes than the engine can commit as a whole. Nothing of it
    was stored.

    Remedy: Store the entries in several calls, each of which is a commit of its own.
    """


class CrossShard(Unsupported, ValueError):
    """The engine cannot commit these keys together.

    Cause: A Redis Cluster keeps buckets on several nodes, and commits only what lies on one of them.

    Remedy: Keep entries that change together in one bucket (see the page on engines), or use a server that is not a
    cluster.
    """
