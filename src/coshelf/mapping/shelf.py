"""The shelf: a dict whose entries are in an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AbstractContextManager, suppress
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast, overload

from coshelf import native
from coshelf.contract import Batch, Capabilities, Flag, Reader
from coshelf.errors import TransactionInProgress, Unsupported
from coshelf.mapping import snapshot as snapshots
from coshelf.mapping.blocks import block
from coshelf.mapping.counting import adding
from coshelf.mapping.expiring import Lapsing
from coshelf.mapping.handle import Handle
from coshelf.mapping.memoizing import Memoizing
from coshelf.mapping.namespace import Namespace
from coshelf.mapping.queueing import Queueing
from coshelf.mapping.quick_modify import modify_quickly
from coshelf.mapping.reading import Readable
from coshelf.mapping.snapshot import Snapshot
from coshelf.mapping.tagging import Tags
from coshelf.mapping.transaction import MISSING, Transaction, pairs
from coshelf.mapping.upkeep import Cared
from coshelf.mapping.watching import Watching
from coshelf.values.blobs import MissingBlob
from coshelf.values.expiry import EXPIRING, is_over
from coshelf.values.pickled import PickleCodec

if TYPE_CHECKING:
    from coshelf.mapping.glance import Glance

__all__ = ["Shelf"]

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")
T = TypeVar("T")

_COMPLETIONS = 1_000


class Shelf(
    Cared,
    Memoizing,
    Queueing[V],
    Watching[K, V],
    Lapsing[K, V],
    Readable[K, V],
    MutableMapping[K, V],
    Generic[K, V],
):
    """A dict on disk that every process shares. Made by :func:`coshelf.open`.

    Each method that writes is one commit. Reads never wait for a lock. A value that is read is a copy, so
    ``shelf["a"].append(1)`` changes nothing: use :meth:`edit` or :meth:`modify`, or open the shelf with
    ``writeback=True``. Threads may share a shelf, and so may a process and its forked children.

    >>> import coshelf
    >>> with coshelf.open("memory:") as shelf:
    ...     shelf["hello"] = [15]
    ...     with shelf.edit("hello") as value:
    ...         value.append(16)
    ...     shelf["hello"], list(shelf), len(shelf)
    ([15, 16], ['hello'], 1)
    """

    def __init__(self, handle: Handle, namespace: Namespace | None = None) -> None:
        if not isinstance(handle, Handle):
            raise TypeError(f"a shelf is made by coshelf.open, not by Shelf({type(handle).__name__})")
        self._handle = handle
        self._namespace = namespace if namespace is not None else Namespace()
        self._start = self._namespace.start
        self._codec = handle.codec
        codec = self._codec
        self._reads_quickly = native.in_use and type(codec) is PickleCodec
        self._writes_quickly = self._reads_quickly and isinstance(codec, PickleCodec) and codec.stores_plain_pickles
        self._modifies_quickly = self._writes_quickly
        self._is_part = False  # True for a sub: only the shelf itself closes the handle

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse an attribute that a shelf does not have: it would be lost with the object, unlike an entry."""
        if name[:1] != "_" and not hasattr(type(self), name):
            raise AttributeError(
                f"a shelf has no attribute {name!r}, and would not store it\n"
                f"  hint: store an entry: shelf[{name!r}] = ..."
            )
        super().__setattr__(name, value)

    # --- what it is --------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The path or URL, without secrets."""
        return self._handle.engine.where

    @property
    def capabilities(self) -> Capabilities:
        """What this shelf's engine guarantees."""
        return self._handle.engine.capabilities

    @property
    def flag(self) -> Flag:
        """The flag that the shelf was opened with."""
        return self._handle.flag

    @property
    def protocol(self) -> int:
        """The pickle protocol for writing."""
        return self._handle.codec.protocol

    @property
    def writeback(self) -> bool:
        """Whether values that were read are kept and written back."""
        return False

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._handle.closed

    def _glance(self) -> Glance:
        from coshelf.mapping.glance import glance_of

        return glance_of(self._handle, self._select(), keeps_values=self.writeback)

    def _ipython_key_completions_(self) -> list[K]:
        """The keys that a shell offers after ``shelf["``."""
        return list(islice(self.keys(), _COMPLETIONS))

    def __reduce__(self) -> tuple[Any, ...]:
        """A shelf that is pickled to another process reopens itself there, with flag "w" instead of "c" and "n"."""
        target, options = self._handle.engine.reopen_arguments()
        return self._handle.reopen, (target, options, self.writeback, self._namespace.prefix)

    # --- reading -----------------------------------------------------------------------------------------------------

    def _reader(self) -> Reader:
        handle = self._handle
        state = handle.state() if handle.inside else None
        return handle.engine if state is None else state.overlay()

    def _now(self) -> int:
        handle = self._handle
        state = handle.state() if handle.inside else None
        return handle.engine.cutoff() if state is None else state.now()

    def __getitem__(self, key: K) -> V:
        # Does the same as _get in one step: each further call costs a twentieth of a read.
        handle = self._handle
        if self._reads_quickly and not handle.inside:
            value: V = handle.engine.quick(key, self._start)
            if value is not NotImplemented:
                return value
        encoded = self._namespace.encode(key)
        record = (self._reader() if handle.inside else handle.engine).record(encoded)
        if record is None:
            raise KeyError(key)
        if record[:2] == EXPIRING and is_over(encoded, record, self._now()):
            return self._get(key)  # it is read again: it may have got a later time meanwhile
        try:
            value = self._codec.load(key, encoded, record)
        except MissingBlob:
            return self._get(key)
        return value

    def _encoded(self, key: object) -> bytes | None:
        encoded = super()._encoded(key)
        if encoded is None:
            self._handle.refuse_closed()
        return encoded

    def snapshot(self) -> Snapshot[K, V]:
        """A read-only view of the shelf as it is now. Use it with ``with``.

        Inside a transaction it shows what is committed, without the writes of the transaction.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf["a"] = 1
        >>> with shelf.snapshot() as then:
        ...     shelf["a"] = 2
        ...     then["a"], shelf["a"]
        (1, 2)
        """
        engine = self._handle.engine
        if engine.capabilities.snapshots is None:
            raise Unsupported(f"snapshot(): the {engine.name} engine cannot keep an instant; copy() what is needed")
        return snapshots.take(engine, self._namespace, self._codec)

    def sub(self, name: str) -> Shelf[Any, V]:
        """The entries under ``name/`` as a separate shelf: its key ``"k"`` is this shelf's ``"name/k"``.

        Its keys that are no str are the tuples ``("name/", key)`` of this shelf. It shares this shelf's handle: closing
        it closes nothing, and it is closed with this shelf. ``backup``, ``compact`` and ``check`` take a whole shelf:
        for a part they are :class:`~coshelf.errors.Unsupported`.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf.sub("users")["ann"] = 1
        >>> dict(shelf)
        {'users/ann': 1}
        """
        part = self._part(self._namespace.sub(name))
        part._is_part = True  # noqa: SLF001 (it is a shelf, too)
        return part

    def _part(self, namespace: Namespace) -> Shelf[Any, V]:
        """A shelf of the same kind on the same handle."""
        return Shelf(self._handle, namespace)

    # --- the dict ----------------------------------------------------------------------------------------------------

    def __setitem__(self, key: K, value: V) -> None:
        handle = self._handle
        if self._writes_quickly and not handle.inside:
            is_left = handle.engine.quick_store(key, value, self._start)
            if is_left is None:
                return
            if is_left:
                handle.engine.stored()
                return
        encoded = self._namespace.encode(key)
        body = self._codec.dump(key, encoded, value)
        if self._codec.lifetime is not None:
            self._store(encoded, body, self._codec.lifetime)
            return
        if self._handle.inside:
            state = self._handle.state()
            if state is not None:
                state.overlay().put(encoded, body)
            else:
                self._handle.commit_or_defer(Batch(puts={encoded: body}))
            return
        try:
            self._handle.engine.put(encoded, body)  # refuses the same writes as Handle.commit, in fewer steps
        except TransactionInProgress:
            self._handle.refuse_writing()  # raises the reason, unless a signal handler interrupted a commit
            raise

    def __delitem__(self, key: K) -> None:
        self._atomically(lambda transaction: transaction.__delitem__(key), writes=self._locks_for(key))

    @overload
    def pop(self, key: K, /) -> V: ...
    @overload
    def pop(self, key: K, /, default: V | D) -> V | D: ...
    def pop(self, key: K, /, default: Any = MISSING) -> Any:
        """Remove an entry and return its value, or ``default`` if the key is missing. As ``dict.pop``.

        Raises:
            KeyError: the key is missing, and no default is given.
        """
        if self._modifies_quickly and not self._handle.inside:
            engine = self._handle.engine
            done = engine.quick_pop(key, self._start)
            if done is not NotImplemented:
                value, is_left = done
                if is_left:
                    engine.stored()
                return value
        return self._atomically(lambda transaction: transaction.pop(key, default), writes=self._locks_for(key))

    def popitem(self, last: bool = True) -> tuple[K, V]:
        """Remove and return the item with the greatest key, or with ``last=False`` the smallest.

        Raises:
            KeyError: the shelf is empty.
        """
        if self._modifies_quickly and not self._handle.inside:
            engine = self._handle.engine
            done = engine.quick_popitem(self._namespace.ranges, last, self._start)
            if done is None:
                raise KeyError("popitem(): the shelf is empty")
            if done is not NotImplemented:
                item, is_left = done
                if is_left:
                    engine.stored()
                return cast("tuple[K, V]", item)
        joined = self._joined()
        if joined is not None:
            return joined.popitem(last)
        if self.capabilities.checks == "entry":
            return self._popitem_singly(last)
        # Not optimistically: after the read, another process may store an item that must be removed first.
        if self.capabilities.exclusive is None:
            return self._patiently(lambda transaction: transaction.popitem(last))
        return self._holding(lambda transaction: transaction.popitem(last), joined=False)

    def _popitem_singly(self, last: bool) -> tuple[K, V]:
        """For engines that check single entries: the item was the last one when it was looked up."""
        for key in self.keys(reverse=last):
            with suppress(KeyError):  # another process removed it
                return key, self.pop(key)
        raise KeyError("popitem(): the shelf is empty")

    @overload
    def setdefault(self: Shelf[K, V | None], key: K, default: None = None, /) -> V | None: ...
    @overload
    def setdefault(self, key: K, default: V, /) -> V: ...
    def setdefault(self, key: K, default: Any = None, /) -> Any:
        """The value of ``key``. If the key does not exist, ``default`` is stored and a copy of it returned."""
        if self._modifies_quickly and not self._handle.inside:
            engine = self._handle.engine
            done = engine.quick_setdefault(key, default, self._start)
            if done is not NotImplemented:
                value, is_left = done
                if is_left:
                    engine.stored()
                return value
        if self._handle.engine.locks_quickly and not self._handle.inside:
            with suppress(KeyError):  # as a rule it exists, and no lock is needed
                self._handle.refuse_writing()
                return self._get(key)
        return self._atomically(
            lambda transaction: transaction.setdefault(key, default), writes=self._handle.engine.locks_quickly
        )

    def update(self, other: Any = (), /, *, expire: Any = MISSING, tags: Tags = (), **more: Any) -> None:
        """Store all items of a mapping or of an iterable of pairs, in one commit. As ``dict.update``.

        Args:
            other: a mapping, or pairs of keys and values.
            expire: as for :meth:`set`, for all of them. A key ``"expire"`` must be in a mapping or a pair.
            tags: as for :meth:`set`, for all of them. So must a key ``"tags"``.
            more: further items.
        """
        if self._handle.inside and (state := self._handle.state()) is not None:
            Transaction(state, self._namespace, self._codec).update(other, expire=expire, tags=tags, **more)
            return
        self._update_for(self._lifetime(expire), self._marked(tags), pairs(other, more))

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]
        self.update(other)
        return self

    def clear(self) -> None:
        """Remove all entries, in one commit."""
        joined = self._joined()
        if joined is not None:
            joined.clear()
            return
        if self._namespace.prefix and self.capabilities.checks == "entry":
            keys = frozenset(encoded for _, encoded, _ in self._select().scan(self._reader(), keys_only=True))
            self._handle.commit(Batch(deletes=keys))
        elif self._namespace.prefix:
            with self.transaction() as transaction:
                transaction.clear()
        else:
            self._handle.commit(Batch(clears=(*self.capabilities.indexes, *self._namespace.ranges)))

    # --- changing a value --------------------------------------------------------------------------------------------

    @block
    def edit(self, key: K, default: Any = MISSING) -> Iterator[V]:
        """Give the block a value to change in place, and store it when the block ends. Other writers wait meanwhile.

        If the block raises, the entry stays as it was. Writes of the block to the shelf are part of the same commit:
        see :meth:`transaction`.

        Args:
            key: the key of the entry.
            default: the value if the key does not exist.

        Raises:
            KeyError: the key does not exist, and no default is given.
            TypeError: the value cannot be changed in place; use :meth:`modify`.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> with shelf.edit("log", default=[]) as log:
        ...     log.append("started")
        >>> shelf["log"]
        ['started']
        """
        with self._transaction(None) as transaction, transaction.edit(key, default) as value:
            yield value

    def modify(self, key: K, function: Callable[[V], V], default: Any = MISSING, *, allow_none: bool = False) -> V:
        """Store ``function(value)`` and return it. Other writers wait meanwhile.

        On an engine without an exclusive lock the function may be called again after a conflict.

        Args:
            key: the key of the entry.
            function: takes the value and returns the new one.
            default: given to the function if the key does not exist.
            allow_none: whether the function may return None for a value that can be changed in place.

        Raises:
            KeyError: the key does not exist, and no default is given.
            TypeError: the function returned None for a list, dict or other value that can be changed in place, as
                ``list.append`` does. The entry stays as it was.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf.modify("count", lambda n: n + 1, default=0)
        1
        """
        handle = self._handle
        if self._modifies_quickly and not handle.inside:
            value: V = modify_quickly(handle, self._namespace, self._codec, key, function, allow_none=allow_none)
            if value is not MISSING:
                return value

        def step(transaction: Transaction[K, V]) -> V:
            return transaction.modify(key, function, default, allow_none=allow_none)

        locks = handle.engine.capabilities.exclusive is not None
        return self._holding(step, joined=True) if locks else self._atomically(step, joined=True)

    def incr(self, key: K, by: float = 1, default: float = 0, *, expire: Any = MISSING) -> Any:
        """Add ``by`` to the number under ``key``, and return the sum. Of several processes, each adds once.

        Args:
            key: the key of the entry.
            by: an int or float; a negative one subtracts.
            default: the number to which it is added if the key does not exist.
            expire: as for :meth:`set`, if the key does not exist. An entry that exists keeps its time.

        Raises:
            TypeError: the value, ``by`` or ``default`` is not an int or float, or is a bool. The entry stays as it was.
                Ints have any size, and floats are added as Python adds them.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf.incr("hits"), shelf.incr("hits", 10), shelf.incr("hits", by=-1)
        (1, 11, 10)
        """
        engine = self._handle.engine
        if expire is not MISSING:
            return self._begin_count(key, by, default, expire)
        if self._modifies_quickly and not self._handle.inside and type(default) is int:
            done = engine.quick_add(key, by, self._start)
            if done is not NotImplemented:
                total, is_left = done
                if is_left:
                    engine.stored()
                return total
        return self.modify(key, adding(key, by, default), cast("V", default))

    def replace(self, key: K, old: V, new: V) -> bool:
        """Store ``new`` if the value equals ``old`` (``==``), and return whether it did. Compare and set.

        If the key is missing, nothing is stored, and the result is False.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf["state"] = "idle"
        >>> shelf.replace("state", "idle", "busy"), shelf.replace("state", "idle", "busy")
        (True, False)
        """
        return self._atomically(lambda transaction: transaction.replace(key, old, new))

    # --- several entries together ------------------------------------------------------------------------------------

    def transaction(self, timeout: float | None = None) -> AbstractContextManager[Transaction[K, V]]:
        """Several reads and writes that are committed together at the end of the block, or not at all if it raises.

        Other writers wait meanwhile, readers do not. Inside the block, this shelf and its subs also show the
        transaction, for the thread and the task that began it. So functions that use the shelf take part. A transaction
        inside the transaction is part of it. If its own block raises, only its own writes are undone.

        Args:
            timeout: seconds to wait for another transaction, instead of the shelf's own timeout.

        Raises:
            ShelfLocked: another transaction took longer than the timeout.
            TransactionInProgress: this thread is inside a transaction of another task or another handle.
            Conflict: at the end of the block, on an engine without an exclusive lock. See :meth:`transact`.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf.update(a=1, b=2)
        >>> with shelf.transaction() as t:
        ...     t["a"], t["b"] = t["b"], t["a"]
        >>> dict(shelf)
        {'a': 2, 'b': 1}
        """
        self._handle.joined()  # so that errors are raised here, and not when the block begins
        return self._transaction(timeout)

    def transact(self, function: Callable[[Transaction[K, V]], T], *, attempts: int = 10) -> T:
        """Run ``function(transaction)`` and commit, and return its result.

        Args:
            function: called with a :class:`coshelf.Transaction`. It may be called several times, so it changes
                nothing but the transaction.
            attempts: after a :class:`~coshelf.errors.Conflict` the function is called again, up to so many times in
                all. Each wait is longer than the one before.

        Raises:
            Conflict: other writers changed the same entries at each attempt.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf["stock"] = 3
        >>> def sell(transaction):
        ...     transaction["stock"] -= 1
        ...     return transaction["stock"]
        >>> shelf.transact(sell)
        2
        """
        return self._transact(function, attempts)

    # --- the end -----------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Make everything durable. With ``writeback=True``, first write back the values that were changed in place.

        Raises:
            Conflict: with ``writeback=True``, another process changed the same entries. Its values stay, and ``values``
                has yours.
            UnwritableValue: with ``writeback=True``, values cannot be pickled any more; ``keys`` names them.
        """
        self._handle.engine.sync()

    def close(self) -> None:
        """Write back, make everything durable, and close. Raises as :meth:`sync`.

        Closing twice is fine. Any other use of a closed shelf raises :class:`~coshelf.errors.ShelfClosed`.
        """
        if not self._is_part:
            self._handle.close()

    def __enter__(self) -> Self:
        self._handle.refuse_closed()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
