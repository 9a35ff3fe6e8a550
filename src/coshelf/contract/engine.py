"""What an engine must have, and the checks that every commit passes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from coshelf.contract.batches import Batch
from coshelf.contract.capabilities import Capabilities, OpenOptions
from coshelf.contract.changes import Changes, Position
from coshelf.contract.reading import Doorbell, PollingBell, Reader
from coshelf.contract.turns import Turns
from coshelf.errors import (
    BatchTooLarge,
    KeyTooLong,
    ReadOnlyShelf,
    TransactionInProgress,
    Unsupported,
    ValueTooLarge,
)
from coshelf.keys import FIRST, decode, shown
from coshelf.system import clock
from coshelf.system.threads.participants import Party, WouldWait
from coshelf.values.blobs import Blobs

__all__ = ["Engine", "Exclusive"]

_BESIDE_A_KEY = 64  # bytes that a request takes for each key, in addition to key and body


def _leave(_key: Any, _start: bytes | None = None) -> Any:
    return NotImplemented


def _decline(_: Any, __: Any, ___: bytes | None, ____: bool = False) -> bool | None:
    return False


def _add_not(_: Any, __: Any, ___: bytes | None) -> Any:
    return NotImplemented


_NOT_HELD = nullcontext(False)


def _take_not(_: bytes, __: bytes, ___: bytes | None, ____: bytes) -> Any:
    return NotImplemented


def _hold_not(_: Party) -> AbstractContextManager[bool]:
    return _NOT_HELD


class Exclusive:
    """The exclusive lock, while a thread holds it. Commits of others wait until it is released; reads do not wait.

    Attributes:
        commit: like :meth:`Engine.commit`, for the thread that holds the lock.
    """

    def __init__(self, commit: Callable[[Batch], int | str]) -> None:
        self.commit = commit


class Engine(Reader):
    """The place of the bytes. A subclass sets the first four attributes and has the abstract methods.

    :mod:`coshelf.contract.optional` has what an engine may have in addition.
    """

    name: str
    capabilities: Capabilities
    where: str
    """Path or URL, for messages. It never has a secret in it."""
    _options: OpenOptions
    """The options with which the engine was opened."""
    store_id: bytes = b""
    """The id that no other store has; empty if the engine has no ids."""
    blobs: Blobs | None = None
    """The place of large buffers; None if they are part of their records."""
    quick: Callable[[Any, bytes | None], Any] = staticmethod(_leave)
    """A quick way from a key to a value of plain data. If it returns ``NotImplemented``, call :meth:`record`.

    The second argument is what the bytes of str keys begin with in the key's namespace; None for the whole shelf.
    """
    quick_store: Callable[..., bool | None] = staticmethod(_decline)
    """A quick way to store a value of plain data under a key, as a plain pickle.

    The third argument is that of :attr:`quick`. A fourth one is True for the thread that is inside :attr:`quick_hold`.
    If it returns False, nothing was stored: call :meth:`put`. None: all is done. True: call :meth:`stored`.
    """
    quick_add: Callable[[Any, Any, bytes | None], Any] = staticmethod(_add_not)
    """A quick way to add an int to the int under a key. The third argument is that of :attr:`quick`.

    It returns the sum, and whether :meth:`stored` is to be called. If it returns ``NotImplemented``, nothing was done.
    """
    quick_pop: Callable[[Any, bytes | None], Any] = staticmethod(_leave)
    """A quick way to take out the entry of a key, if its value is plain data.

    The second argument is that of :attr:`quick`. It returns the value, and whether :meth:`stored` is to be called.
    ``NotImplemented``: nothing was done.
    """
    quick_setdefault: Callable[[Any, Any, bytes | None], Any] = staticmethod(_add_not)
    """The same for a key and a default, which is stored if the key does not exist. It returns the value of the key."""
    quick_popitem: Callable[[tuple[tuple[bytes, bytes], ...], bool, bytes | None], Any] = staticmethod(_add_not)
    """The same for the last item, or else the first one, of the ranges of a namespace. None: there is no item."""
    quick_take: Callable[[bytes, bytes, bytes | None, bytes], Any] = staticmethod(_take_not)
    """A quick way to take the first row of a range ``[start, stop)`` out, if its value is plain data and its key ends
    in a zero byte.

    With the third argument, the row moves, in the same commit: ``start`` is replaced by that argument in its key, whose
    last byte is left out, and its body is enclosed in a pickle of bytes, after the bytes of the fourth argument.

    It returns the key, the value, the number of the commit, and whether :meth:`stored` is to be called. None: the range
    is empty. ``NotImplemented``: nothing was done.
    """
    quick_hold: Callable[[Party], AbstractContextManager[bool]] = staticmethod(_hold_not)
    """A quick way to hold the exclusive lock for a block. The block gets False if it has to use :meth:`exclusive`.

    The argument is a new tuple of this process and the owner. What the block commits goes through :meth:`commit_held`.
    """
    locks_quickly: bool = False
    """Whether the exclusive lock takes less time than a commit with checks."""
    can_be_awaited: bool = False
    """Whether it waits for its server only by :func:`coshelf.system.threads.bridge.awaited` in a bridge."""
    reads_at_once: bool = False
    """Whether reading an entry takes microseconds, and waits for nothing. An event loop then calls it by itself."""
    commits_at_once: bool = False
    """The same for a commit, if the exclusive lock is free."""
    removes_expired: bool = False
    """Whether it removes entries that have expired by itself, in the background."""
    hides_expired: bool = False
    """Whether its reads and checks leave out what has expired, by its own clock, so that it needs no index of times.

    It then drops the rows of the index from batches, and has :meth:`remove_expired`.
    """
    keeps_settings: bool = True
    """Whether it stores coshelf's own rows beside the entries, and records that are more than bare pickles."""

    # --- writing -----------------------------------------------------------------------------------------------------

    def commit(self, batch: Batch) -> int | str:
        """Apply a batch, all or nothing, and return the version that its puts have.

        This method refuses what every engine refuses, before anything is stored or sent.

        Raises:
            ReadOnlyShelf: the engine was opened with flag "r".
            TransactionInProgress: this thread is inside :meth:`exclusive`, through any handle.
            KeyTooLong, ValueTooLarge, BatchTooLarge, Unsupported: the batch is more than the capabilities promise.
            Conflict: checks failed; ``keys`` has the encoded keys.
            ShelfLocked: a transaction of another process or thread lasts longer than the timeout.
            OutcomeUnknown: the reply of a server was lost.
        """
        self._refuse_writes()
        if self.owns_exclusive():
            raise TransactionInProgress(
                f"this thread is inside a transaction of {self.where} and must write through it"
            )
        self._refuse_excess(batch)
        return self._apply(batch)

    @abstractmethod
    def _apply(self, batch: Batch) -> int | str:
        """Commit a batch that :meth:`commit` has not refused. The result and further errors are those of ``commit``."""

    def put(self, key: bytes, body: bytes) -> int | str:
        """Commit one put, as most commits do. An engine may have a quicker way. Raises what :meth:`commit` raises."""
        return self.commit(Batch(puts={key: body}))

    def put_at_once(self, key: bytes, body: bytes) -> int | str:
        """As :meth:`put`, if that takes microseconds and waits for nothing now.

        Raises :class:`~coshelf.system.threads.participants.WouldWait` otherwise. Then nothing was done.
        """
        raise WouldWait

    def stored(self) -> None:
        """Do what :attr:`quick_store` left to do after its commit."""

    def gather(self) -> MutableMapping[bytes, bytes]:
        """A mapping that collects the puts of a large batch. An engine may keep part of it outside of memory."""
        return {}

    def exclusive(self, timeout: float | None = None) -> AbstractContextManager[Exclusive]:
        """Take the exclusive lock, which keeps other writers out. Waits for at most ``timeout`` seconds.

        With None, the timeout is that of opening. It is called only if ``capabilities.exclusive`` promises the lock.
        """
        raise NotImplementedError

    def commit_held(self, batch: Batch) -> int | str:
        """As :attr:`Exclusive.commit`, for the thread that is inside :attr:`quick_hold`."""
        raise NotImplementedError

    def owns_exclusive(self) -> bool:
        """Whether this thread is inside :meth:`exclusive` on this engine, through any handle."""
        return False

    # --- what is refused ---------------------------------------------------------------------------------------------

    def _refuse_writes(self) -> None:
        """Raise if this handle must not write. An engine with further reasons extends it."""
        if self._options.flag == "r":
            raise ReadOnlyShelf(
                f"{self.where} was opened with flag 'r' and cannot be written\n  hint: open it with flag 'w' or 'c'"
            )

    def _refuse_excess(self, batch: Batch) -> None:
        """Raise if a batch is larger than the capabilities promise."""
        limits = self.capabilities
        if limits.largest_key is not None:
            self._refuse_long_keys(batch.puts, limits.largest_key)
        if limits.largest_value is not None:
            self._refuse_large_values(batch.puts, limits.largest_value)
        if limits.largest_batch is not None:
            self._refuse_large_batch(batch, limits.largest_batch)
        if limits.checks == "entry":
            self.refuse_wide(batch)

    def _refuse_long_keys(self, puts: Mapping[bytes, bytes], most: int) -> None:
        longest = max(map(len, puts), default=0)
        if longest > most:
            raise KeyTooLong(
                f"a key takes {longest:,} bytes as it is stored; {self.where} takes keys of up to {most:,} bytes\n"
                "  hint: use a shorter key"
            )

    def _refuse_large_values(self, puts: Mapping[bytes, bytes], most: int) -> None:
        largest = max(map(len, puts.values()), default=0)
        if largest > most:
            raise ValueTooLarge(
                f"a value takes {largest:,} bytes; {self.where} takes values of up to {most:,} bytes\n"
                "  hint: store it in parts, or as a file"
            )

    def _refuse_large_batch(self, batch: Batch, most: int) -> None:
        size = sum(len(key) + len(body) + _BESIDE_A_KEY for key, body in batch.puts.items())
        size += sum(len(key) + _BESIDE_A_KEY for keys in (batch.deletes, batch.checks) for key in keys)
        if size > most:
            raise BatchTooLarge(
                f"a commit takes {size:,} bytes; {self.where} takes up to {most:,} bytes in one commit\n"
                "  hint: store fewer entries at a time"
            )

    def refuse_wide(self, batch: Batch, *, whole: bool = False) -> None:
        """Raise if a batch with checks spans more than the engine commits together; with ``whole``, any batch.

        Raises:
            BatchTooLarge: several entries would have to change together.
            Unsupported: an entry that was read would have to stay unchanged while another entry is written.
        """
        if self.capabilities.checks == "batch" or not (batch.checks or whole):
            return
        written = batch.puts.keys() | batch.deletes
        if not written and not batch.clears:
            return
        if len(written) > 1 or batch.clears:
            count = "a range of" if batch.clears else str(len(written))
            raise BatchTooLarge(
                f"the {self.name} engine cannot commit {count} entries together ({self.where}): it commits each one on "
                "its own\n"
                "  hint: keep together what changes together, under one key; update() and clear() go entry by entry"
            )
        others = sorted(batch.checks.keys() - written)
        if others:
            key = shown(decode(others[0])) if others[0] >= FIRST else repr(others[0])
            raise Unsupported(
                f"the {self.name} engine cannot make sure that {key}, which was read, stays as it is while another "
                f"entry is written ({self.where})\n  hint: keep together what changes together, under one key"
            )

    # --- time --------------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """The time by which entries expire, in microseconds since 1970."""
        return clock.now()

    def cutoff(self) -> int:
        """The time up to which entries that reads have returned have expired; 0 if reads leave these out."""
        return 0 if self.hides_expired else self.now()

    def remove_expired(self, most: int | None) -> int:
        """Remove up to ``most`` entries that have expired, or all of them in steps. Return how many these were.

        It is called only if the engine :attr:`hides_expired`.
        """
        raise NotImplementedError

    def number(self) -> int | None:
        """A number that is not less than that of any call, by whatever process, that had ended before this one began.

        None, if the monotonic clock of this machine is such a number for all processes that can use the shelf. By
        default that is so for engines with an exclusive lock. The others give the time, as far as clocks agree.
        """
        return None if self.capabilities.exclusive is not None else self.now()

    # --- the rest ----------------------------------------------------------------------------------------------------

    def instant(self) -> AbstractContextManager[Reader]:
        return nullcontext(self) if self.capabilities.snapshots is None else self.snapshot()

    def doorbell(self, key: bytes) -> Doorbell:
        """A bell that rings when the entry of a key changes. It may ring at other changes, too."""
        return PollingBell()

    def turns(self) -> Turns:
        """The lines of the shelf. It is called only if ``capabilities.turns`` promises them."""
        raise NotImplementedError

    def position(self) -> Position:
        """The position right after the last commit. It is called only if ``capabilities.changes`` promises them.

        What is committed next is kept for a while, so that a reader made soon with this position gets no gap.
        """
        raise NotImplementedError

    def changes(self, ranges: Sequence[tuple[bytes, bytes]], since: Position) -> Changes:
        """A reader of the changes of entries in ranges ``[start, stop)``, that come after a position.

        Rows of coshelf's own are never told. A position that is too old gives a gap first. It is called only if
        ``capabilities.changes`` promises it.

        Raises:
            ValueError: ``since`` is no position of this shelf.
        """
        raise NotImplementedError

    def may_be_later(self, version: int | str, since: Position) -> bool:
        """Whether the entry that has a version may have been stored after a position.

        It is asked after a gap. By default versions do not tell, and the result is True.
        """
        return True

    @abstractmethod
    def sync(self) -> None:
        """Make all commits as durable as the engine can."""

    @abstractmethod
    def close(self) -> None:
        """Release what the engine holds. Closing twice is fine."""

    def rest(self) -> None:
        """Make everything durable at the end of the interpreter, and release what other processes need.

        Functions of :mod:`atexit` and ``__del__`` can still use the engine afterwards. Threads cannot be started then,
        and a commit makes itself as durable as it can before it returns. By default this is :meth:`sync`.
        """
        self.sync()

    def reopen_arguments(self) -> tuple[str, OpenOptions]:
        """The arguments that open the same entries in another process. Raises TypeError if there are none."""
        raise TypeError(f"a shelf on the {self.name} engine cannot be pickled: its entries live in this process")
