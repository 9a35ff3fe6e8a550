"""The methods of a shelf about entries that expire or have tags. docs/design.md, "Expiry" and "Tags"."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from contextlib import suppress
from typing import Any, TypeVar, cast

from coshelf.contract import Batch, Engine
from coshelf.errors import OutcomeUnknown, ShelfLocked, StorageError, TransactionInProgress, Unavailable
from coshelf.mapping.gathering import gather
from coshelf.mapping.lapsing import MISSING, Expire, unsupported, usable
from coshelf.mapping.living import removal
from coshelf.mapping.namespace import Range
from coshelf.mapping.tagging import Tags, usable_tag, usable_tags
from coshelf.mapping.transacting import Transacting
from coshelf.mapping.transaction import Transaction
from coshelf.values.envelope import NOTHING, enclosed_with_rows, envelope_for
from coshelf.values.expiry import is_over

__all__ = ["Lapsing", "remove_due"]

K = TypeVar("K")
V = TypeVar("V")

_STEP = 1_000  # rows of the index that one commit of expire() removes
_TAGGED = 100_000  # rows of the index that one commit of delete_tagged() removes
_UNSWEPT = 32  # entries that are stored until expired ones are removed, on engines that do not do so by themselves


class Lapsing(Transacting[K, V]):
    """The methods of a :class:`coshelf.Shelf` about times and tags."""

    engine_for: Callable[..., Engine]

    def set(self, key: K, value: V, expire: Expire = MISSING, tags: Tags = ()) -> None:
        """Store a value, with a time after which it expires, and with tags. Without these it is ``shelf[key] = value``.

        From its time on the entry is missing, whether or not it has been removed. Storing the key again without a time
        makes the entry permanent, unless the shelf was opened with ``expire=``. Storing it again without tags removes
        its tags. :meth:`modify`, :meth:`edit` and :meth:`replace` keep the time and the tags.

        Args:
            key: the key of the entry.
            value: its value.
            expire: seconds from now, or a timedelta; with 0 or less, the entry is gone at once. None: it does not
                expire. If it is not given, the shelf's default applies.
            tags: texts by which :meth:`tagged` and :meth:`delete_tagged` find the entry: up to 100, of 1 to 255 bytes.
                A str is one tag.

        Raises:
            InvalidExpiry, InvalidTag: ``expire`` or ``tags`` is none of these.
            Unsupported: entries of this engine cannot expire, or have no tags.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf.set("session/ann", "data", expire=3600)
        >>> shelf.set("session/bob", "data", expire=0)
        >>> list(shelf)
        ['session/ann']
        """
        length, marked = self._lifetime(expire), self._marked(tags)
        if length is None and self._codec.lifetime is None and not marked:
            cast("MutableMapping[K, V]", self)[key] = value  # the quicker way
            return
        encoded = self._namespace.encode(key)
        self._store(encoded, self._codec.dump(key, encoded, value), length, marked)

    def add(self, key: K, value: V, expire: Expire = MISSING, tags: Tags = ()) -> bool:
        """Store a value if the key does not exist, in one step. Return whether it was stored.

        Args:
            key: the key of the entry.
            value: its value.
            expire: as for :meth:`set`. With 0 or less the result is the same, and the entry is gone at once.
            tags: as for :meth:`set`.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf.add("lock", "ann", expire=30), shelf.add("lock", "bob", expire=30), shelf["lock"]
        (True, False, 'ann')
        """
        self._lifetime(expire)
        marked = self._marked(tags)
        engine, handle = self._handle.engine, self._handle
        if engine.locks_quickly and not handle.inside:
            handle.refuse_writing()
            encoded = self._namespace.encode(key)
            record = engine.record(encoded)
            if record is not None and not is_over(encoded, record, engine.now()):
                return False
        added: bool = self._atomically(
            lambda transaction: transaction._add(key, value, expire, marked),  # noqa: SLF001
            writes=engine.locks_quickly,
        )
        self._sweep(added)
        return added

    def touch(self, key: K, expire: Expire = MISSING) -> bool:
        """Change when an entry expires. The value stays as it is. Return whether the entry exists.

        Args:
            key: the key of the entry.
            expire: as for :meth:`set`. None: it does not expire any longer.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf.set("a", 1, expire=60)
        >>> shelf.touch("a", expire=None), shelf.expires("a"), shelf.touch("b", expire=60)
        (True, None, False)
        """
        self._lifetime(expire)
        touched: bool = self._atomically(
            lambda transaction: transaction.touch(key, expire), writes=self._handle.engine.locks_quickly
        )
        self._sweep(touched)
        return touched

    def expire(self) -> int:
        """Remove the entries that have expired by now, and return how many these were.

        They are missing without this, too. It gives their space back, for a shelf that nobody writes any more.

        Raises:
            Unsupported: entries of this engine cannot expire, or this is a part of a shelf.

        >>> import coshelf
        >>> coshelf.open("memory:").expire()
        0
        """
        engine = self.engine_for("expire", writing=True)
        if not engine.capabilities.expiry:
            raise unsupported(engine.name)
        if engine.hides_expired:
            return engine.remove_expired(None)
        now, total = engine.now(), 0
        while (removed := _remove(engine, now, _STEP, None)) is not None:
            total += removed
        return total

    def delete_tagged(self, tag: str) -> int:
        """Remove the entries that have a tag, and return how many these were.

        This is one commit, which removes what has the tag at its moment. If these are more than 100,000 entries, there
        are several commits, each of 100,000, in the order of the keys. If the process is killed between them, the other
        entries stay. If this is part of a transaction, it is one commit for any number.

        Raises:
            InvalidTag: it cannot be a tag.
            Unsupported: entries of this engine cannot have tags.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf.set("session/ann", "data", tags=("user:ann",))
        >>> shelf.delete_tagged("user:ann"), len(shelf)
        (1, 0)
        """
        wanted, total = self._wanted(tag), 0
        left: list[Range] = list(self._namespace.ranges)
        run = self._patiently if self._handle.engine.capabilities.exclusive is None else self._holding
        while left:

            def step(transaction: Transaction[K, V], ranges: list[Range] = left) -> tuple[int, list[Range]]:
                return transaction._delete_tagged(wanted, ranges, _TAGGED)  # noqa: SLF001 (a part of this module)

            removed, left = run(step)
            total += removed
        return total

    def _begin_count(self, key: K, by: float, default: float, expire: Expire) -> Any:
        """As ``incr``, with a time for a new entry."""
        self._lifetime(expire)
        total = self._atomically(
            lambda transaction: transaction.incr(key, by, default, expire=expire),
            writes=self._handle.engine.locks_quickly,
        )
        self._sweep(1)
        return total

    def _lifetime(self, expire: Any) -> int | None:
        engine = self._handle.engine
        return usable(expire, self._codec, engine.capabilities, engine.name)

    def _marked(self, tags: Any) -> tuple[bytes, ...]:
        engine = self._handle.engine
        return () if tags == () else usable_tags(tags, engine.capabilities, engine.name)

    def _wanted(self, tag: Any) -> bytes:
        self._handle.refuse_closed()
        engine = self._handle.engine
        return usable_tag(tag, engine.capabilities, engine.name)

    def _store(self, encoded: bytes, body: bytes, length: int | None, marked: tuple[bytes, ...] = ()) -> None:
        """Store an entry that expires after a lifetime, and has tags. None: it does not expire."""
        joined = self._joined() if self._handle.inside and self._handle.state() is not None else None
        if joined is not None:
            joined._put_for(encoded, body, length, marked)  # noqa: SLF001 (a part of this module)
            return
        self._handle.commit_or_defer(self._batch({encoded: body}, length, marked))
        self._sweep(length is not None)

    def _batch(self, puts: dict[bytes, bytes], length: int | None, marked: tuple[bytes, ...]) -> Batch:
        """The batch that stores entries which expire after a lifetime, and have tags."""
        if length is None and not marked:
            return Batch(puts=puts)
        envelope = envelope_for(length, marked, self._handle.engine.now())
        if envelope is None:
            return Batch(deletes=frozenset(puts))
        return Batch(puts=enclosed_with_rows(puts, envelope))

    def _update_for(self, length: int | None, marked: tuple[bytes, ...], items: Iterable[tuple[K, V]]) -> None:
        """Store items in one commit. They expire after a lifetime, and have tags. None: they do not expire."""
        is_plain = length is None and not marked
        envelope = NOTHING if is_plain else envelope_for(length, marked, self._handle.engine.now())
        puts = self._handle.engine.gather()
        left, is_left, entries = iter(items), True, 0
        while is_left:
            some: dict[bytes, bytes] = {}
            is_left = gather(some, left, self._namespace, self._codec)
            entries += len(some)
            puts.update(some if is_plain or envelope is None else enclosed_with_rows(some, envelope))
        if not puts:
            return
        self._handle.commit_or_defer(Batch(deletes=frozenset(puts)) if envelope is None else Batch(puts=puts))
        if length is not None:
            self._sweep(entries)

    def _sweep(self, stored: int) -> None:
        """Remove some expired entries after others were stored, on an engine that does not do so by itself."""
        handle = self._handle
        if handle.engine.removes_expired or not handle.engine.capabilities.expiry or handle.inside:
            return
        handle.unswept += stored
        if handle.unswept < _UNSWEPT:
            return
        most, handle.unswept = 2 * handle.unswept, 0
        # The entries are stored. If this fails, a later call removes the expired ones.
        with suppress(ShelfLocked, TransactionInProgress, Unavailable, OutcomeUnknown):
            if handle.engine.hides_expired:
                handle.engine.remove_expired(most)
            else:
                _remove(handle.engine, handle.engine.now(), most, 0.0)


def remove_due(engine: Engine) -> float | None:
    """Remove some entries whose time has come. Return the seconds until the first of the others; None if there is none.

    It waits for no lock. What cannot be removed now stays due.
    """
    first = engine.first_expiry()
    if first is None or first > (now := engine.now()):
        return None if first is None else (first - now) / 1_000_000
    with suppress(ShelfLocked, TransactionInProgress, StorageError):
        _remove(engine, now, _STEP, 0.0)
    return 0.0


def _remove(engine: Engine, now: int, most: int, timeout: float | None) -> int | None:
    """Remove up to ``most`` rows whose time has come. Return the number of entries; None if no row was due."""
    with engine.exclusive(timeout) as lock:
        found = removal(engine, now, most)
        if found is None:
            return None
        lock.commit(found[0])
        return found[1]
