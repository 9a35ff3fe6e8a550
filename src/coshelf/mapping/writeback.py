"""``writeback=True``: values that were read are kept, and those that were changed in place are written back.

shelve has the same option. Two things differ: values that were not changed are not written, and a change of another
process is never overwritten silently.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from coshelf.contract import Absent, Batch, Entry
from coshelf.errors import (
    BatchTooLarge,
    Conflict,
    InvalidKey,
    ReadOnlyShelf,
    TransactionInProgress,
    UnwritableValue,
)
from coshelf.keys import FIRST, LAST, shown
from coshelf.mapping.handle import Commit, Handle
from coshelf.mapping.holders import Holders
from coshelf.mapping.immutable import is_immutable
from coshelf.mapping.lapsing import Expire
from coshelf.mapping.namespace import Namespace
from coshelf.mapping.selection import Selection
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.tagging import Tags
from coshelf.mapping.transaction import MISSING, Transaction, pairs
from coshelf.system.threads.alone import alone
from coshelf.values.codec import Codec
from coshelf.values.envelope import NOTHING, Envelope, enclosed_with_rows, envelope_of

__all__ = ["WritebackCache", "WritebackShelf"]

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Kept:
    """A value that the caller got, and its fingerprint at that moment; None if it could not be pickled.

    ``envelope``: when its entry expires, and its tags.
    """

    key: Any
    value: Any
    fingerprint: bytes | None
    version: int | str | Absent
    envelope: Envelope = NOTHING


@dataclass(frozen=True, slots=True)
class _Change:
    """The new state of a value that was changed in place."""

    fingerprint: bytes
    body: bytes


class WritebackCache:
    """Encoded key to value, for the mutable values that callers of a shelf got. Threads may share it.

    A forked child begins with an empty cache: the parent writes its own changes.
    """

    def __init__(self, codec: Codec, now: Callable[[], int]) -> None:
        self._codec = codec
        self._now = now
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.RLock()  # guards the cache; held for moments
        self._writing = threading.RLock()  # held while storing, so that threads do not cause conflicts
        self._kept: dict[bytes, _Kept] = {}
        self._holders = Holders()
        self._pid = os.getpid()  # last

    def _entries(self) -> dict[bytes, _Kept]:
        if self._pid != os.getpid():
            with alone():
                if self._pid != os.getpid():
                    self._begin()
        return self._kept

    def writing(self) -> threading.RLock:
        """The lock that a caller holds while it stores entries that the cache may have."""
        self._entries()
        return self._writing

    def find(self, encoded: bytes) -> _Kept | None:
        """The value in the cache for a key. It stays in the cache until this thread has synced."""
        entries = self._entries()
        with self._lock:
            self._holders.note(encoded)
            kept = entries.get(encoded)
            if kept is not None and self._is_over(kept):
                del entries[encoded]
                return None
            return kept

    def _is_over(self, kept: _Kept) -> bool:
        """Whether its entry has expired. Changes of the value are lost with it."""
        return kept.envelope.time is not None and kept.envelope.time <= self._now()

    def keep(
        self,
        key: Any,
        encoded: bytes,
        value: Any,
        version: int | str,
        envelope: Envelope = NOTHING,
        fingerprint: bytes | None = None,
    ) -> Any:
        """Cache a value that was just loaded, or stored with this fingerprint. Return the value for the caller."""
        entries = self._entries()
        if is_immutable(value):
            with self._lock:
                entries.pop(encoded, None)
                self._holders.release(encoded)
            return value
        if fingerprint is not None:
            with self._lock:
                self._holders.note(encoded)
                entries[encoded] = _Kept(key, value, fingerprint, version, envelope)
            return value
        try:
            fingerprint = self._codec.fingerprint(key, encoded, value)
        except UnwritableValue:
            fingerprint = None
        with self._lock:  # if two threads load it at once, both get the first object
            return entries.setdefault(encoded, _Kept(key, value, fingerprint, version, envelope)).value

    def miss(self, encoded: bytes) -> None:
        """Note that the caller got no value for a key."""
        with self._lock:
            self._holders.release(encoded)

    def forget_unchanged(self, keys: Iterable[bytes]) -> None:
        """Forget values that a commit has replaced. Values that were changed in place stay, and are reported later."""
        entries = self._entries()
        with self._lock:
            chosen = {encoded: entries[encoded] for encoded in keys if encoded in entries}
        changes, failures = self._changes(chosen)
        with self._lock:
            for encoded, kept in chosen.items():
                if encoded not in changes and encoded not in failures and entries.get(encoded) is kept:
                    del entries[encoded]

    def forget_overtaken(self, version: Callable[[bytes], int | str | None]) -> None:
        """Forget unchanged values whose entry another process has overwritten or deleted."""
        entries = self._entries()
        self.forget_unchanged([key for key, kept in list(entries.items()) if version(key) != kept.version])

    def drop(self, start: bytes, stop: bytes) -> None:
        """Forget the values of a range of keys, with their changes."""
        entries = self._entries()
        with self._lock:
            for encoded in [encoded for encoded in entries if start <= encoded < stop]:
                del entries[encoded]

    def has_changes(self, only: bytes | None = None) -> bool:
        """Whether a value was changed in place, or cannot be pickled any more."""
        return any(self._changes(self._chosen(only)))

    def write_back(self, commit: Commit, only: bytes | None = None) -> None:
        """Commit the values that were changed in place, and forget them.

        Two kinds of values stay in the cache: those that cannot be pickled, and those that another thread has, because
        it may change them.

        Raises :class:`Conflict` and :class:`UnwritableValue` after all other values have been committed.
        """
        if not self._chosen(only):
            return
        with self._writing:
            chosen = self._chosen(only)
            changes, failures = self._changes(chosen)
            bodies = {encoded: change.body for encoded, change in changes.items()}
            versions, conflicts = _commit(bodies, chosen, commit)
            # It is not a conflict if a signal handler or a finalizer of this process has stored the entry meanwhile.
            conflicts = [encoded for encoded in conflicts if self._kept.get(encoded) is chosen[encoded]]
            with self._lock:
                for encoded, kept in chosen.items():
                    if encoded not in failures:
                        fingerprint = changes[encoded].fingerprint if encoded in changes else kept.fingerprint
                        version = versions.get(encoded, kept.version)
                        current = _Kept(kept.key, kept.value, fingerprint, version, kept.envelope)
                        self._let_go(encoded, kept, None if encoded in conflicts else current)
        _report(
            {chosen[encoded].key: chosen[encoded].value for encoded in conflicts},
            {chosen[encoded].key: failure for encoded, failure in failures.items()},
        )

    def _chosen(self, only: bytes | None) -> dict[bytes, _Kept]:
        entries = self._entries()
        with self._lock:
            for encoded in [encoded for encoded, kept in entries.items() if self._is_over(kept)]:
                del entries[encoded]
            return {encoded: kept for encoded, kept in entries.items() if only is None or encoded == only}

    def _let_go(self, encoded: bytes, kept: _Kept, current: _Kept | None) -> None:
        """Forget a value that was stored, unless the cache has a newer one or another thread may change this one."""
        is_held = self._holders.release(encoded)
        if self._kept.get(encoded) is kept:
            if is_held and current is not None:
                self._kept[encoded] = current
            else:
                del self._kept[encoded]

    def _changes(self, chosen: dict[bytes, _Kept]) -> tuple[dict[bytes, _Change], dict[bytes, UnwritableValue]]:
        changes: dict[bytes, _Change] = {}
        failures: dict[bytes, UnwritableValue] = {}
        for encoded, kept in chosen.items():
            try:
                # In this order: if another thread changes the value between the two calls, the next sync finds that.
                fingerprint = self._codec.fingerprint(kept.key, encoded, kept.value)
                if fingerprint != kept.fingerprint:
                    changes[encoded] = _Change(fingerprint, self._codec.dump(kept.key, encoded, kept.value))
            except UnwritableValue as error:
                failures[encoded] = error
        return changes, failures


class WritebackShelf(Shelf[K, V]):
    """A shelf that keeps the mutable values that callers got, and writes back those that were changed in place."""

    _hands_out_copies = True

    def __init__(self, handle: Handle, namespace: Namespace, cache: WritebackCache) -> None:
        super().__init__(handle, namespace)
        self._modifies_quickly = False  # values that were kept are forgotten when a batch is committed
        self._cache = cache

    @property
    def writeback(self) -> bool:
        return True

    def _part(self, namespace: Namespace) -> Shelf[Any, V]:
        return WritebackShelf(self._handle, namespace, self._cache)

    def _write_back(self, key: Any = MISSING) -> None:
        """Write back and forget one value, or all, before the shelf is changed in another way."""
        encoded = None
        if key is not MISSING:
            try:
                encoded = self._namespace.encode(key)
            except InvalidKey:
                return  # the operation itself raises it
        try:
            self._handle.refuse_writing()
        except (TransactionInProgress, ReadOnlyShelf):
            # Without the writing lock: the thread that has it may wait for the end of this transaction.
            if self._cache.has_changes(encoded):
                raise
            return
        self._cache.write_back(self._handle.commit, encoded)

    def _is_inside(self) -> bool:
        """Whether this task is in a transaction of the shelf."""
        return bool(self._handle.inside) and self._handle.state() is not None

    # --- reading -----------------------------------------------------------------------------------------------------

    def __getitem__(self, key: K) -> V:
        return self._get(key)

    def _get(self, key: Any) -> V:
        if not self.closed and not self._is_inside():
            encoded = self._namespace.encode(key)
            kept = self._cache.find(encoded)
            if kept is not None:
                value: V = kept.value
                return value
            try:
                return super()._get(key)
            except BaseException:
                self._cache.miss(encoded)
                raise
        return super()._get(key)

    def _items(self, selection: Selection) -> Iterator[tuple[Any, V]]:
        return self._items_singly(selection)

    def _values_of(self, keys: dict[bytes, K], found: list[tuple[bytes, Entry]]) -> dict[K, V]:
        return {keys[encoded]: self._value(keys[encoded], encoded, entry) for encoded, entry in found}

    def _value(self, key: K, encoded: bytes, entry: Entry) -> V:
        if self._is_inside():
            return self._value_inside(key, encoded, entry)
        kept = self._cache.find(encoded)
        if kept is None:
            value = super()._value(key, encoded, entry)
            envelope = envelope_of(entry.record)
            kept_value: V = self._cache.keep(key, encoded, value, entry.version, envelope)
            return kept_value
        found: V = kept.value
        return found

    def _value_inside(self, key: K, encoded: bytes, entry: Entry) -> V:
        """The value that a transaction sees. Changes to it in place would not be written back."""
        value = super()._value(key, encoded, entry)
        if not is_immutable(value):
            raise TransactionInProgress(
                f"the value for key {shown(key)} was read through the shelf inside its own transaction, which does not "
                "write back what is changed in place\n  hint: read it through the transaction, or change it with edit()"
            )
        return value

    # --- writing -----------------------------------------------------------------------------------------------------

    def __setitem__(self, key: K, value: V) -> None:
        self.update(((key, value),))

    def set(self, key: K, value: V, expire: Expire = MISSING, tags: Tags = ()) -> None:
        self.update(((key, value),), expire=expire, tags=tags)

    def add(self, key: K, value: V, expire: Expire = MISSING, tags: Tags = ()) -> bool:
        self._write_back(key)
        return super().add(key, value, expire, tags)

    def delete_tagged(self, tag: str) -> int:
        self._write_back()
        return super().delete_tagged(tag)

    def _begin_count(self, key: K, by: float, default: float, expire: Expire) -> Any:
        self._write_back(key)
        return super()._begin_count(key, by, default, expire)

    def touch(self, key: K, expire: Expire = MISSING) -> bool:
        self._write_back(key)
        return super().touch(key, expire)

    def update(self, other: Any = (), /, *, expire: Expire = MISSING, tags: Tags = (), **more: Any) -> None:
        length = self._lifetime(expire)
        joined = self._joined()
        if joined is not None:
            joined.update(other, expire=expire, tags=tags, **more)
            return
        marked = self._marked(tags)
        stored = {self._namespace.encode(key): (key, value) for key, value in pairs(other, more)}
        puts = {encoded: self._codec.dump(key, encoded, value) for encoded, (key, value) in stored.items()}
        if not puts:
            return
        with self._cache.writing():
            batch = self._batch(puts, length, marked)
            version = self._handle.commit(batch)
            for encoded, (key, value) in stored.items():
                if encoded not in batch.puts:  # it has expired already
                    self._cache.drop(encoded, encoded + b"\x00")
                    continue
                fingerprint = self._codec.fingerprint(key, encoded, value, puts[encoded])
                self._cache.keep(key, encoded, value, version, envelope_of(batch.puts[encoded]), fingerprint)
        self._sweep(len(puts) if length is not None else 0)

    def clear(self) -> None:
        self._handle.refuse_writing()
        with self._cache.writing():
            super().clear()
            for start, stop in self._namespace.ranges:
                self._cache.drop(start, stop)

    def _committed(self, batch: Batch) -> None:
        self._cache.forget_unchanged([*batch.puts, *batch.deletes])

    def __delitem__(self, key: K) -> None:
        self._handle.refuse_writing()
        with self._cache.writing():
            super().__delitem__(key)
            encoded = self._namespace.encode(key)
            self._cache.drop(encoded, encoded + b"\x00")

    def pop(self, key: K, /, default: Any = MISSING) -> Any:
        self._write_back(key)
        return super().pop(key, default)

    def popitem(self, last: bool = True) -> tuple[K, V]:
        self._write_back()
        return super().popitem(last)

    def setdefault(self, key: K, default: Any = None, /) -> Any:
        if key in self:
            with suppress(KeyError):  # it may have been deleted meanwhile
                return self[key]
        self._write_back(key)
        value = super().setdefault(key, default)
        return self.get(key, value)

    @contextmanager
    def edit(self, key: K, default: Any = MISSING) -> Iterator[V]:
        self._write_back(key)
        with super().edit(key, default) as value:
            yield value

    def modify(self, key: K, function: Callable[[V], V], default: Any = MISSING, *, allow_none: bool = False) -> V:
        self._write_back(key)
        return super().modify(key, function, default, allow_none=allow_none)

    def replace(self, key: K, old: V, new: V) -> bool:
        self._write_back(key)
        return super().replace(key, old, new)

    def transaction(self, timeout: float | None = None) -> AbstractContextManager[Transaction[K, V]]:
        if self._handle.joined() is None:
            self._write_back()
        return super().transaction(timeout)

    def transact(self, function: Callable[[Transaction[K, V]], T], *, attempts: int = 10) -> T:
        self._write_back()
        return super().transact(function, attempts=attempts)

    def sync(self) -> None:
        if self.flag == "r":
            self._cache.drop(FIRST, LAST)
        else:
            self._write_back()
            self._cache.forget_overtaken(self._stored_version)
        super().sync()

    def _stored_version(self, encoded: bytes) -> int | str | None:
        entry = self._handle.engine.get(encoded)
        return None if entry is None else entry.version


def _commit(
    changed: dict[bytes, bytes], chosen: dict[bytes, _Kept], commit: Commit
) -> tuple[dict[bytes, int | str], list[bytes]]:
    """Commit the entries that no other process has changed. Return their versions, and the keys of the others."""
    conflicts: list[bytes] = []
    versions: dict[bytes, int | str] = {}
    try:
        while changed:
            try:
                checks = {encoded: chosen[encoded].version for encoded in changed}
                version = commit(Batch(puts=_enclosed(changed, chosen), checks=checks))
                versions = dict.fromkeys(changed, version)
                break
            except Conflict as conflict:
                conflicts.extend(conflict.keys)
                changed = {encoded: body for encoded, body in changed.items() if encoded not in conflict.keys}
    except BatchTooLarge:  # the engine checks one entry at a time, which is enough here
        if len(changed) == 1:
            raise
        for encoded, body in changed.items():
            one, theirs = _commit({encoded: body}, chosen, commit)
            versions |= one
            conflicts += theirs
    return versions, conflicts


def _enclosed(changed: dict[bytes, bytes], chosen: dict[bytes, _Kept]) -> dict[bytes, bytes]:
    """The puts for changed values, which keep the times and tags of their entries."""
    puts: dict[bytes, bytes] = {}
    for encoded, body in changed.items():
        puts.update(enclosed_with_rows({encoded: body}, chosen[encoded].envelope))
    return puts


def _report(conflicts: dict[Any, Any], failures: dict[Any, UnwritableValue]) -> None:
    failed: UnwritableValue | None = None
    if failures:
        first = next(iter(failures.values()))
        told = [str(failure).partition("\n") for failure in failures.values()]
        hints = dict.fromkeys(hint for _, _, hint in told if hint)
        failed = UnwritableValue(
            f"{len(failures)} changed values cannot be pickled and stay in the cache; all others were written: "
            + "\n".join(["; ".join(what for what, _, _ in told), *hints]),
            tuple(failures),
        )
        failed.__cause__ = first.__cause__
    if conflicts:
        raise Conflict(
            f"{len(conflicts)} entries were changed here and by another process; its values stay, your values are in "
            f"this error's values, and all other changes were written: {', '.join(map(repr, conflicts))}",
            tuple(conflicts),
            conflicts,
        ) from failed
    if failed is not None:
        raise failed
