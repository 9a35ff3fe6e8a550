"""The reading half of a dict, for shelves, snapshots and transactions: entries, views and cursors."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from coshelf.contract import Entry, Reader
from coshelf.errors import DamagedRecord, InvalidKey
from coshelf.mapping.living import Living, living, living_record
from coshelf.mapping.namespace import Namespace
from coshelf.mapping.record import Record
from coshelf.mapping.selection import Selection, select
from coshelf.mapping.showing import Shown, ShownCursor, ShownView
from coshelf.mapping.tagging import TaggedKeys
from coshelf.values.blobs import MissingBlob
from coshelf.values.codec import Codec
from coshelf.values.expiry import EXPIRING, is_over, time_of

if TYPE_CHECKING:
    from coshelf.inspection.preview import Preview
    from coshelf.mapping.glance import Glance

__all__ = ["Cursor", "Readable", "ShelfItems", "ShelfKeys", "ShelfValues"]

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")

_value = itemgetter(1)


class Readable(Shown, Mapping[K, V], Generic[K, V]):
    """A mapping over a reader. Subclasses choose the reader, and may keep the values that they return."""

    _namespace: Namespace
    _codec: Codec
    _hands_out_copies = False  # whether large buffers are the caller's own

    def _reader(self) -> Reader:
        """The reader. Raises :class:`coshelf.errors.ShelfClosed` if this was closed or has ended."""
        raise NotImplementedError

    def _now(self) -> int:
        """The time by which entries of the reader expire. It is asked for only if an entry can have expired."""
        raise NotImplementedError

    def _wanted(self, tag: Any) -> bytes:
        """A tag as it is stored. Raises :class:`InvalidTag`, and :class:`Unsupported` if there are no tags here."""
        raise NotImplementedError

    def _living(self) -> Reader:
        """The reader without the entries that have expired, for scans."""
        return Living(self._reader(), self._now)

    def _entry(self, encoded: bytes) -> Entry | None:
        """The entry of an encoded key; None if it does not exist or has expired."""
        reader = self._reader()
        entry = reader.get(encoded)
        if entry is not None and entry.record[:2] == EXPIRING and is_over(encoded, entry.record, self._now()):
            return living(encoded, reader, self._now)  # it may have got a later time meanwhile
        return entry

    def _value(self, key: K, encoded: bytes, entry: Entry) -> V:
        """The value of an entry, for the caller."""
        value: V = self._codec.load(key, encoded, entry.record, self._hands_out_copies)
        return value

    def _items(self, selection: Selection) -> Iterator[tuple[Any, V]]:
        """The items that a view shows."""
        pages = selection.pages(self._living())
        if pages is not None:
            return self._codec.load_pages(self._namespace.decode, pages)
        return self._items_singly(selection)

    def _items_singly(self, selection: Selection) -> Iterator[tuple[Any, V]]:
        for key, encoded, entry in selection.scan(self._living()):
            assert entry is not None
            yield key, self._value(key, encoded, entry)

    def _get(self, key: Any) -> V:
        """The value of a key. Raises KeyError if the key does not exist, and InvalidKey if it cannot be a key."""
        encoded = self._namespace.encode(key)
        return self._decoded(key, encoded, self._value)

    def _decoded(self, key: Any, encoded: bytes, decode: Callable[[Any, bytes, Entry], D]) -> D:
        """The value of an encoded key. If its blob was removed meanwhile, the overwritten entry is read again."""
        last: bytes | None = None
        while True:
            entry = self._entry(encoded)
            if entry is None:
                raise KeyError(key)
            try:
                return decode(key, encoded, entry)
            except MissingBlob:
                if entry.record == last:
                    raise
                last = entry.record

    def record(self, key: K) -> Record[K, V]:
        """What is stored under a key: the raw record and its description. Nothing is decoded.

        Raises:
            KeyError: the key is missing.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf["a"] = "text"
        >>> record = shelf.record("a")
        >>> record.form, record.size, record.decode()
        ('pickle', 19, 'text')
        """
        encoded = self._namespace.encode(key)
        entry = self._entry(encoded)
        if entry is None:
            raise KeyError(key)
        return Record(key, encoded, entry, self._codec)

    def expires(self, key: K) -> float | None:
        """When an entry expires, in seconds since 1970; None if it does not.

        Raises:
            KeyError: the key is missing.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf["a"] = 1
        >>> shelf.expires("a") is None
        True
        """
        encoded = self._namespace.encode(key)
        entry = self._entry(encoded)
        if entry is None:
            raise KeyError(key)
        time = time_of(entry.record)
        return None if time is None else time / 1_000_000

    def records(
        self,
        glob: str | None = None,
        *,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> Iterator[Record[K, V]]:
        """The records of the entries that meet all conditions, in the order of their keys; as :meth:`keys`."""
        for key, encoded, entry in self._select(glob, prefix, start, stop, reverse).scan(self._living()):
            assert entry is not None
            yield Record(key, encoded, entry, self._codec)

    def preview(self, key: K) -> Preview:
        """Type, size and beginning of a value, and the names in it. Nothing is unpickled.

        Raises:
            KeyError: the key does not exist.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf["a"] = {"b": [1, 2, 3]}
        >>> shelf.preview("a").type, shelf.preview("a").text
        ('dict', "{'b': [1, 2, 3]}")
        """
        return self.record(key).preview()

    def _encoded(self, key: object) -> bytes | None:
        """The bytes of a key for a look-up; None if it cannot be a key. As in a dict, it must be hashable."""
        try:
            return self._namespace.encode(key)
        except InvalidKey:
            hash(key)
            return None

    # --- one entry ---------------------------------------------------------------------------------------------------

    def __getitem__(self, key: K) -> V:
        return self._get(key)

    @overload
    def get(self, key: K, /, *, copy: bool = False) -> V | None: ...
    @overload
    def get(self, key: K, /, default: V | D, *, copy: bool = False) -> V | D: ...
    def get(self, key: K, /, default: Any = None, *, copy: bool = False) -> Any:
        """The value of ``key``, or ``default`` if the key does not exist. As ``dict.get``.

        Args:
            key: the key of the entry.
            default: the result if the key does not exist.
            copy: whether large buffers in the value (arrays) are the caller's own, so that they can be written. Without
                it they are read-only views of memory that all processes share.
        """
        try:
            return self._get_copy(key) if copy else self._get(key)
        except KeyError:
            return default
        except InvalidKey:
            self._encoded(key)
            return default

    def _get_copy(self, key: Any) -> V:
        """As :meth:`_get`, with copies of large buffers, which belong to the caller."""
        return self._decoded(key, self._namespace.encode(key), self._copied_value)

    def _copied_value(self, key: K, encoded: bytes, entry: Entry) -> V:
        value: V = self._codec.load(key, encoded, entry.record, copy=True)
        return value

    def __contains__(self, key: object) -> bool:
        encoded = self._encoded(key)
        try:
            if encoded is None:
                return False
            reader = self._reader()
            record = reader.record(encoded)
            if record is not None and record[:2] == EXPIRING and is_over(encoded, record, self._now()):
                return living_record(encoded, reader, self._now) is not None  # as in _entry()
            return record is not None
        except DamagedRecord:  # an engine that verifies records found a damaged one: the entry exists
            return True

    def get_many(self, keys: Iterable[K]) -> dict[K, V]:
        """The values of those ``keys`` that exist, all of one instant."""
        wanted: dict[bytes, K] = {}
        for key in keys:
            encoded = self._encoded(key)
            if encoded is not None:
                wanted.setdefault(encoded, key)
        last: list[Entry | None] = []
        while True:
            entries = self._living().get_many(list(wanted))
            found = [(encoded, entry) for encoded, entry in zip(wanted, entries, strict=True) if entry is not None]
            try:
                return self._values_of(wanted, found)
            except MissingBlob:  # the entry was overwritten meanwhile
                if entries == last:
                    raise
                last = entries

    def _values_of(self, keys: dict[bytes, K], found: list[tuple[bytes, Entry]]) -> dict[K, V]:
        """The values of entries, by their keys."""
        page = [(encoded, entry.record) for encoded, entry in found]
        return dict(self._codec.load_pages(keys.__getitem__, [page]))

    # --- all entries -------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._select().count(self._living())

    def __bool__(self) -> bool:
        return any(True for _ in self.keys())

    def __iter__(self) -> Iterator[K]:
        return iter(self.keys())

    def __reversed__(self) -> Iterator[K]:
        return iter(self.keys(reverse=True))

    def keys(
        self,
        glob: str | None = None,
        *,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> ShelfKeys[K]:
        """A lazy, ordered view of the keys that meet all given conditions.

        Args:
            glob: pattern for str keys. ``*`` stops at ``/``, ``**`` crosses it, ``?`` is one character but ``/``, and
                ``[abc]`` and ``[!abc]`` are one character of a set.
            prefix: the beginning of the keys: a str, bytes, or a tuple. A tuple selects the tuples that begin with its
                elements.
            start: the lowest key that is included. None: there is no bound.
            stop: the lowest key that is not included. None: there is no bound.
            reverse: from the last key to the first.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf.update({"a/1": 1, "a/2": 2, "a/b/3": 3})
        >>> list(shelf.keys("a/*")), list(shelf.keys(start="a/2", reverse=True))
        (['a/1', 'a/2'], ['a/b/3', 'a/2'])
        """
        return ShelfKeys(self, self._select(glob, prefix, start, stop, reverse))

    def items(
        self,
        glob: str | None = None,
        *,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> ShelfItems[K, V]:
        """A lazy, ordered view of the items. The conditions are those of :meth:`keys`."""
        return ShelfItems(self, self._select(glob, prefix, start, stop, reverse))

    def values(
        self,
        glob: str | None = None,
        *,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> ShelfValues[V]:
        """A lazy view of the values in the order of their keys. The conditions are those of :meth:`keys`."""
        return ShelfValues(self, self._select(glob, prefix, start, stop, reverse))

    def tagged(self, tag: str) -> TaggedKeys[K]:
        """A lazy, ordered view of the keys of the entries that have a tag.

        Args:
            tag: the tag. Entries get tags by ``tags=`` of :meth:`coshelf.Shelf.set`.

        Raises:
            InvalidTag: it cannot be a tag.
            Unsupported: entries of this engine cannot have tags.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf.update({"b": 1, "a": 2}, tags=("user:ann",))
        >>> list(shelf.tagged("user:ann")), "a" in shelf.tagged("user:bob")
        (['a', 'b'], False)
        """
        return TaggedKeys(self._reader, self._now, self._namespace, self._wanted(tag), self._glance)

    def _select(
        self, glob: str | None = None, prefix: Any = None, start: Any = None, stop: Any = None, reverse: bool = False
    ) -> Selection:
        return select(self._namespace, glob, prefix=prefix, start=start, stop=stop, reverse=reverse)

    def copy(self) -> dict[K, V]:
        """All entries as a dict, as of one instant."""
        return dict(self.items())

    def cursor(self) -> Cursor[K, V]:
        """A movable position among the keys. See :class:`coshelf.Cursor`."""
        return Cursor(self)

    def __reduce__(self) -> Any:
        raise TypeError(f"a {type(self).__name__.lower()} cannot be pickled: send the shelf, or store dict() of it")

    # --- with other mappings -----------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return self.copy() == dict(other.items())

    __hash__ = None  # type: ignore[assignment]

    def __or__(self, other: Mapping[K, V]) -> dict[K, V]:
        if not isinstance(other, Mapping):
            return NotImplemented
        return self.copy() | dict(other.items())

    def __ror__(self, other: Mapping[K, V]) -> dict[K, V]:
        if not isinstance(other, Mapping):
            return NotImplemented
        return dict(other.items()) | self.copy()


class _View(ShownView):
    """Shared by the three views: the shelf, and which of its entries are shown."""

    _shelf: Readable[Any, Any]
    _selection: Selection

    def __len__(self) -> int:
        return self._selection.count(self._shelf._living())

    def __bool__(self) -> bool:
        return any(True for _ in self._keys(self._selection))

    def _glance(self) -> Glance:
        return self._shelf._glance().of_view(type(self).__name__, self._selection, keys_only=not self._shows_values)

    def __reduce__(self) -> Any:
        raise TypeError("a view of a shelf cannot be pickled: store or send list() of it")

    def _items(self, selection: Selection) -> Iterator[tuple[Any, Any]]:
        return self._shelf._items(selection)

    def _keys(self, selection: Selection) -> Iterator[Any]:
        return selection.keys(self._shelf._living())

    def _backwards(self) -> Selection:
        chosen = self._selection
        return Selection(chosen.namespace, chosen.ranges, chosen.glob, not chosen.reverse)


class ShelfKeys(_View, KeysView[K]):
    """The keys of a shelf, with the operations of a set."""

    _shows_values = False

    def __init__(self, shelf: Readable[K, Any], selection: Selection) -> None:
        self._shelf = shelf
        self._selection = selection

    def __iter__(self) -> Iterator[K]:
        return self._keys(self._selection)

    def __reversed__(self) -> Iterator[K]:
        return self._keys(self._backwards())

    def __contains__(self, key: object) -> bool:
        return key in self._shelf and key in self._selection


class ShelfItems(_View, ItemsView[K, V]):
    """The items of a shelf, with the operations of a set."""

    def __init__(self, shelf: Readable[K, V], selection: Selection) -> None:
        self._shelf = shelf
        self._selection = selection

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._items(self._selection)

    def __reversed__(self) -> Iterator[tuple[K, V]]:
        return self._items(self._backwards())

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        key, value = item
        found = self._shelf.get(key, self)
        return found is not self and key in self._selection and bool(found is value or found == value)


class ShelfValues(_View, ValuesView[V]):
    """The values of a shelf."""

    _shows_keys = False

    def __init__(self, shelf: Readable[Any, V], selection: Selection) -> None:
        self._shelf = shelf
        self._selection = selection

    def __iter__(self) -> Iterator[V]:
        return map(_value, self._items(self._selection))

    def __reversed__(self) -> Iterator[V]:
        return map(_value, self._items(self._backwards()))

    def __contains__(self, value: object) -> bool:
        return any(found is value or found == value for found in self)


class Cursor(ShownCursor, Generic[K, V]):
    """A position among the items of a shelf, which moves in key order, both ways.

    The position is a key. So it stays valid when entries are inserted or deleted around it, and when its own entry is
    deleted. Each move sees the shelf of that moment. At an end a move returns None and the cursor stays.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:")
    >>> shelf.update(a=1, c=3)
    >>> cursor = shelf.cursor()
    >>> cursor.seek("b"), cursor.next(), cursor.previous()
    (('c', 3), None, ('a', 1))
    """

    def __init__(self, shelf: Readable[K, V]) -> None:
        self._shelf = shelf
        self._position: bytes | None = None

    @property
    def key(self) -> K:
        """The key that is the cursor's position. LookupError before the first move."""
        if self._position is None:
            raise LookupError("the cursor has not been moved to an entry yet")
        key: K = self._shelf._namespace.decode(self._position)
        return key

    def _glance(self) -> Glance:
        return self._shelf._glance().of_cursor(type(self).__name__, self._position)

    def first(self) -> tuple[K, V] | None:
        """Move to the first item."""
        return self._move(None, None, reverse=False)

    def last(self) -> tuple[K, V] | None:
        """Move to the last item."""
        return self._move(None, None, reverse=True)

    def next(self) -> tuple[K, V] | None:
        """Move to the item with the next greater key. Before the first move, this is the first item."""
        behind = None if self._position is None else self._position + b"\x00"
        return self._move(behind, None, reverse=False)

    def previous(self) -> tuple[K, V] | None:
        """Move to the item with the next smaller key. Before the first move, this is the last item."""
        return self._move(None, self._position, reverse=True)

    def seek(self, key: K) -> tuple[K, V] | None:
        """Move to the item with this key or the next greater one."""
        return self._move(self._shelf._namespace.encode(key), None, reverse=False)

    def _move(self, start: bytes | None, stop: bytes | None, *, reverse: bool) -> tuple[K, V] | None:
        namespace = self._shelf._namespace
        around = Selection(namespace, tuple(namespace.between(start, stop)), None, reverse)
        found: tuple[Any, bytes, Any] | None = next(iter(around.scan(self._shelf._living())), None)
        if found is None:
            return None
        key, self._position, entry = found
        return key, self._shelf._value(key, self._position, entry)
