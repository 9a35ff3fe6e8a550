"""Transactions: several reads and writes that happen together or not at all, on any engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast, overload

from coshelf.contract import Batch, Capabilities, Engine, Entry, Reader
from coshelf.errors import InvalidKey, ShelfClosed
from coshelf.keys import shown
from coshelf.mapping.blocks import block
from coshelf.mapping.counting import adding
from coshelf.mapping.gathering import gather, is_gathered_in_c
from coshelf.mapping.immutable import is_immutable
from coshelf.mapping.lapsing import MISSING, Expire, LapsingTransaction
from coshelf.mapping.living import Living
from coshelf.mapping.namespace import Namespace
from coshelf.mapping.overlay import Overlay
from coshelf.mapping.reading import Readable
from coshelf.mapping.selection import Selection
from coshelf.mapping.tagging import Tags
from coshelf.values.blobs import MissingBlob
from coshelf.values.codec import Codec

if TYPE_CHECKING:
    from coshelf.mapping.glance import Glance

__all__ = ["MISSING", "LateState", "State", "Transaction", "begin", "pairs", "refuse_none"]

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


def refuse_none(old: object, key: object) -> None:
    """Raise TypeError if ``modify`` got None from its function for a value that can be changed in place."""
    if not is_immutable(old):
        raise TypeError(
            f"the function given to modify() returned None for the {type(old).__name__} under key "
            f"{shown(key)}; the entry was not changed\n"
            "  hint: return the new value, or use edit() to change it in place; allow_none=True stores None"
        )


class Transaction(LapsingTransaction[K, V], Readable[K, V], MutableMapping[K, V], Generic[K, V]):
    """A read-write view of a shelf, from :meth:`coshelf.Shelf.transaction`. Its changes are committed together.

    Reads see the transaction's own writes. The transaction ends with its ``with`` block. Afterwards, and in
    a forked child, using it is a :class:`~coshelf.errors.ShelfClosed`.

    On engines without an exclusive lock the end may raise :class:`~coshelf.errors.Conflict`. On engines without
    snapshots reads see the latest state, and the entries that were read are checked at the end, even if nothing was
    written.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:")
    >>> with shelf.transaction() as t:
    ...     t["stock"] = 3
    ...     sold = t.incr("sold")
    ...     t["stock"] -= sold
    >>> dict(shelf)
    {'sold': 1, 'stock': 2}
    """

    _state: State
    _puts_plainly: bool | None = None  # whether to try Overlay.put_plain; None before the first write

    def __init__(self, state: State, namespace: Namespace, codec: Codec) -> None:
        self._state = state
        self._namespace = namespace
        self._codec = codec

    def _glance(self) -> Glance:
        return self._state.glance_of(self._select())

    def _reader(self) -> Overlay:
        return self._state.overlay()

    def _now(self) -> int:
        return self._state.now()

    def sub(self, name: str) -> Transaction[Any, V]:
        """A namespace in the same transaction."""
        return Transaction(self._state, self._namespace.sub(name), self._codec)

    # --- the dict ----------------------------------------------------------------------------------------------------

    def __setitem__(self, key: K, value: V) -> None:
        overlay = self._state.overlay()
        if self._puts_plainly is None:
            is_plain = self._codec.lifetime is None
            self._puts_plainly = is_plain and is_gathered_in_c(self._namespace, self._codec)
        if self._puts_plainly:
            if overlay.put_plain(key, value):
                return
            self._puts_plainly = False  # values of one kind often come together, and an attempt in vain takes time
        encoded = self._namespace.encode(key)
        self._put_for(encoded, self._codec.dump(key, encoded, value), self._codec.lifetime)

    def __delitem__(self, key: K) -> None:
        encoded = self._namespace.encode(key)
        record = self._living_record(encoded)
        if record is None:
            raise KeyError(key)
        self._remove(encoded, record)

    @overload
    def pop(self, key: K, /) -> V: ...
    @overload
    def pop(self, key: K, /, default: V | D) -> V | D: ...
    def pop(self, key: K, /, default: Any = MISSING) -> Any:
        """Remove an entry and return its value, or ``default`` if the key is missing. As ``dict.pop``."""
        try:
            value, record = self._found(key)
        except (KeyError, InvalidKey):
            self._encoded(key)
            if default is MISSING:
                raise KeyError(key) from None
            return default
        self._remove(self._namespace.encode(key), record)
        return value

    def _found(self, key: K) -> tuple[V, bytes]:
        """The value of a key, and the record that it was in."""

        def value_and_record(key: K, encoded: bytes, entry: Entry) -> tuple[V, bytes]:
            return self._value(key, encoded, entry), entry.record

        return self._decoded(key, self._namespace.encode(key), value_and_record)

    def popitem(self, last: bool = True) -> tuple[K, V]:
        """Remove and return the item with the greatest key, or with ``last=False`` the smallest."""
        for item in self.items(reverse=last):
            encoded = self._namespace.encode(item[0])
            self._remove(encoded, self._reader().record(encoded) or b"")
            return item
        raise KeyError("popitem(): the shelf is empty")

    @overload
    def setdefault(self: Transaction[K, V | None], key: K, default: None = None, /) -> V | None: ...
    @overload
    def setdefault(self, key: K, default: V, /) -> V: ...
    def setdefault(self, key: K, default: Any = None, /) -> Any:
        """Return the value of ``key``. If the key is missing, store ``default`` and return a copy of it."""
        try:
            return self._get(key)
        except KeyError:
            self[key] = default
            return self._get(key)

    def update(self, other: Any = (), /, *, expire: Expire = MISSING, tags: Tags = (), **more: Any) -> None:
        """Store all items of a mapping or of an iterable of pairs. As :meth:`coshelf.Shelf.update`."""
        length, marked = self._lifetime(expire), self._marked(tags)
        if type(other) is dict and not more:
            self._update_at_once(other, length, marked)
        else:
            self._update(pairs(other, more), length, marked)

    def _update_at_once(self, entries: dict[K, V], length: int | None, marked: tuple[bytes, ...]) -> None:
        items, is_left, puts = iter(entries.items()), True, dict[bytes, bytes]()
        try:
            while is_left:
                is_left = gather(puts, items, self._namespace, self._codec)
        finally:
            self._put_all(puts, length, marked)

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]
        self.update(other)
        return self

    def clear(self) -> None:
        """Remove all entries of this shelf or namespace."""
        overlay = self._reader()
        for (start, stop), exact in zip(self._namespace.ranges, self._namespace.exact, strict=True):
            if exact:
                overlay.clear(start, stop)
        if not all(self._namespace.exact):
            for _, encoded, _ in list(self._select().scan(overlay, keys_only=True)):
                overlay.delete(encoded)

    # --- changing a value --------------------------------------------------------------------------------------------

    def _get_or(self, key: K, encoded: bytes, record: bytes | None, default: Any, *, copy: bool = False) -> V:
        value: V = default
        if record is None:
            if default is MISSING:
                raise KeyError(key)
            return value
        try:
            value = self._codec.load(key, encoded, record, copy)
        except MissingBlob:  # the entry was overwritten meanwhile
            return self._get_copy(key) if copy else self._get(key)
        return value

    @block
    def edit(self, key: K, default: Any = MISSING) -> Iterator[V]:
        """Return a value for changes in place, and store it when the block ends. As :meth:`coshelf.Shelf.edit`."""
        overlay, encoded = self._reader(), self._namespace.encode(key)
        with overlay.guarding(encoded):
            record = self._living_record(encoded)
            value = self._get_or(key, encoded, record, default, copy=True)
            if is_immutable(value):
                raise TypeError(
                    f"the value for key {shown(key)} is of type {type(value).__name__}, which cannot be changed "
                    "in place\n  hint: use modify()"
                )
            yield value
            self._put_back(self._reader(), encoded, self._codec.dump(key, encoded, value), record)

    def modify(self, key: K, function: Callable[[V], V], default: Any = MISSING, *, allow_none: bool = False) -> V:
        """Store ``function(value)`` and return it. As :meth:`coshelf.Shelf.modify`."""
        overlay, encoded = self._reader(), self._namespace.encode(key)
        with overlay.guarding(encoded):
            record = self._living_record(encoded)
            old = self._get_or(key, encoded, record, default)
            new = function(old)
            if new is None and not allow_none:
                refuse_none(old, key)
            self._put_back(self._reader(), encoded, self._codec.dump(key, encoded, new), record)
        return new

    def incr(self, key: K, by: float = 1, default: float = 0, *, expire: Expire = MISSING) -> Any:
        """Add ``by`` to the number under ``key``, and return the sum. As :meth:`coshelf.Shelf.incr`."""
        is_new = expire is not MISSING and key not in self
        total = self.modify(key, adding(key, by, default), cast("V", default))
        if is_new:
            self.touch(key, expire)
        return total

    def replace(self, key: K, old: V, new: V) -> bool:
        """Store ``new`` if the value equals ``old``. As :meth:`coshelf.Shelf.replace`."""
        overlay, encoded = self._reader(), self._namespace.encode(key)
        record = self._living_record(encoded)
        if record is None:
            return False
        value = self._get_or(key, encoded, record, MISSING)
        if not (value is old or value == old):
            return False
        body = self._codec.dump(key, encoded, new)
        with overlay.guarding(encoded):
            self._put_back(overlay, encoded, body, record)
        return True


class State:
    """Shared by a transaction and its subs: the overlay, and whether the transaction has ended."""

    _at: int | None = None

    def __init__(self, overlay: Overlay, engine: Engine, outer: State | None = None) -> None:
        self._overlay = overlay
        self._engine = engine
        self._outer = outer
        self._where = engine.where
        self._pid = os.getpid()
        self._ended = False

    @property
    def capabilities(self) -> Capabilities:
        return self._engine.capabilities

    @property
    def engine(self) -> str:
        """The name of the engine."""
        return self._engine.name

    def clock(self) -> int:
        """The time now, from which lifetimes are counted."""
        return self._engine.now()

    def now(self) -> int:
        """The time by which entries expire in the transaction: that of the first look at an entry that expires."""
        if self._at is None:
            self._at = self._engine.cutoff() if self._outer is None else self._outer.now()
        return self._at

    def overlay(self) -> Overlay:
        if self._ended:
            raise ShelfClosed(f"the transaction on {self._where} has ended")
        if os.getpid() != self._pid:
            raise ShelfClosed(f"the transaction on {self._where} belongs to the parent of this process")
        return self._overlay

    def glance(self) -> Reader:
        """What the transaction shows now, for looking at it: nothing that is read is checked at the commit."""
        return self.overlay().glance()

    def glance_of(self, selection: Selection) -> Glance:
        """What is shown of the transaction. It raises no error, also after the end."""
        from coshelf.mapping.glance import Glance

        engine, ended = self._engine, self._ended or os.getpid() != self._pid
        changes = 0 if ended else self.overlay().changes()
        return Glance(
            "Transaction of",
            self._where,
            engine.name,
            engine.capabilities,
            engine.reads_at_once,
            selection,
            lambda: Living(self.glance(), engine.cutoff),
            (f"{changes:,} {'change' if changes == 1 else 'changes'} to be committed",),
            "ended" if ended else "",
            has_own_entries=True,
        )

    def end(self) -> None:
        self._ended = True
        self._overlay.forget()

    @contextmanager
    def nested(self) -> Iterator[State]:
        """A part of the transaction. If its block raises, only this part is undone."""
        overlay = self.overlay()
        mark = overlay.mark()
        part = State(overlay, self._engine, self)
        try:
            yield part
        except BaseException:
            overlay.go_back(mark)
            raise
        finally:
            part._ended = True

    def batch(self, *, of_reads: bool = False) -> Batch | None:
        """The batch to commit; as :meth:`coshelf.mapping.overlay.Overlay.batch`."""
        return self.overlay().batch(of_reads=of_reads)


class LateState(State):
    """The state of a step that changes one entry. The overlay is made when a function of the user first needs it."""

    def __init__(self, engine: Engine, namespace: Namespace, key: object) -> None:
        self._engine = engine
        self._namespace = namespace
        self._key = key
        self._made: list[Overlay] = []  # a signal handler may make another one meanwhile: the first counts
        self._where = engine.where
        self._pid = os.getpid()
        self._outer = None
        self._ended = False

    @property
    def is_touched(self) -> bool:
        """Whether anything has asked for the overlay."""
        return bool(self._made)

    def overlay(self) -> Overlay:
        if not self._made:
            overlay = Overlay(self._engine, watched=False)
            overlay.guard(self._namespace.encode(self._key))
            self._made.append(overlay)
        self._overlay = self._made[0]
        return super().overlay()

    def glance(self) -> Reader:
        return super().glance() if self._made else self._engine

    def put(self, codec: Codec, value: object) -> None:
        """Write the entry that the step changes."""
        encoded = self._namespace.encode(self._key)
        self.overlay().put_guarded(encoded, codec.dump(self._key, encoded, value))

    def end(self) -> None:
        self._ended = True
        if self._made:
            self._made[0].forget()


def begin(
    base: Reader, engine: Engine, namespace: Namespace, codec: Codec, *, watched: bool
) -> tuple[State, Transaction[Any, Any]]:
    """A transaction over a reader, and the state with which its owner commits and ends it."""
    state = State(Overlay(base, watched=watched), engine)
    return state, Transaction(state, namespace, codec)


def pairs(other: Any, more: Mapping[str, Any]) -> Iterable[tuple[Any, Any]]:
    """The items in the arguments of ``update``, which are those of ``dict.update``."""
    if isinstance(other, Mapping):
        items: Iterable[tuple[Any, Any]] = other.items()
    elif hasattr(other, "keys"):
        items = ((key, other[key]) for key in other.keys())  # noqa: SIM118 (it need not be iterable)
    elif isinstance(other, Iterable):
        items = other
    else:
        raise TypeError(
            f"{type(other).__name__!r} object is not iterable: update() takes a mapping or pairs of keys and values"
        )
    return chain(items, more.items()) if more else items
