"""Queues in a cache: runs of numbered keys, with or without a prefix."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from coshelf.dropin.diskcache.expiring import expires_at, refuse_tag
from coshelf.dropin.diskcache.layout import EXPIRE_TIME, FILENAME, MODE, ROWID, TAG, VALUE, Row, encode_key
from coshelf.dropin.diskcache.rows import Rows
from coshelf.dropin.diskcache.storing import Storing
from coshelf.errors import DamagedShelf

__all__ = ["Queueing", "with_extras"]

End = Callable[[Rows], "tuple[bool, Any, Row] | None"]

_FIRST = 500_000_000_000_000
_LOWEST, _HIGHEST = 0, 999_999_999_999_999  # neither is an item of a queue
_BACK = {"back": True, "front": False}


def with_extras(value: Any, expire_time: Any, tag: Any, wants_time: bool, wants_tag: bool) -> Any:
    """A value, with its time and its tag if the caller wants them."""
    if wants_time:
        return (value, expire_time, tag) if wants_tag else (value, expire_time)
    return (value, tag) if wants_tag else value


def _range(prefix: str | None) -> tuple[bytes, bytes]:
    """The range of the keys of a queue in the engine."""
    if prefix is None:
        return encode_key(_LOWEST, True) + b"\x00", encode_key(_HIGHEST, True)
    return encode_key(f"{prefix + '-'}{_LOWEST:015d}", True) + b"\x00", encode_key(f"{prefix}-{_HIGHEST}", True)


class Queueing(Storing):
    """The calls of a cache for queues, and for the first and last entry."""

    def push(
        self,
        value: Any,
        prefix: str | None = None,
        side: str = "back",
        expire: float | None = None,
        read: bool = False,
        tag: Any = None,
        retry: bool = False,
    ) -> Any:
        """Store a value at one end of a queue, and return its key.

        Args:
            value: the value.
            prefix: the name of the queue, whose keys are ``"prefix-500000000000000"`` and so on. None: the queue whose
                keys are these numbers.
            side: ``"back"`` or ``"front"``.
            expire: seconds until it expires. None: it does not.
            read: whether the value is an object whose ``read`` gives bytes.
            tag: a str, int, float or bytes, for :meth:`evict`.
            retry: whether to wait on after the timeout.

        Raises:
            Timeout: another thread or process kept the lock for longer than the timeout.
            KeyError: ``side`` is neither of the two.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache()
        >>> cache.push("first"), cache.push("second"), cache.push("third", "name")
        (500000000000000, 500000000000001, 'name-500000000000000')
        """
        now = time.time()
        to_back = _BACK[side]
        start, stop = _range(prefix)
        expire_time = expires_at(now, expire)
        refuse_tag(tag)
        stored = self._disk.store(value, read)

        def step(rows: Rows) -> Any:
            found = rows.last(start, stop) if to_back else rows.first(start, stop)
            number = _FIRST if found is None else _number(rows, found[1], prefix) + (1 if to_back else -1)
            key = number if prefix is None else f"{prefix}-{number:015d}"
            if not _LOWEST < number < _HIGHEST or rows.find(key, True) is not None:
                raise ValueError(f"the queue has no free number at its {side}: {key!r} is not free")
            rows.store(key, True, now, expire_time, tag, stored)
            self._cull(rows, now)
            return key

        key = self._store.step(step, retry, stored[2])
        self._see_to_file(key, True, value, read, expire_time, tag, stored)
        return key

    def pull(
        self,
        prefix: str | None = None,
        default: Any = (None, None),
        side: str = "front",
        expire_time: bool = False,
        tag: bool = False,
        retry: bool = False,
    ) -> Any:
        """Take the item at one end of a queue out, and return its key and value.

        Args:
            prefix: the name of the queue, as for :meth:`push`.
            default: the result if the queue is empty.
            side: ``"front"`` or ``"back"``.
            expire_time: whether to return when it expires, too.
            tag: whether to return its tag, too.
            retry: whether to wait on after the timeout.

        Raises:
            Timeout: another thread or process kept the lock for longer than the timeout.
            KeyError: ``side`` is neither of the two.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache()
        >>> cache.push("first")
        500000000000000
        >>> cache.pull(), cache.pull()
        ((500000000000000, 'first'), (None, None))
        """
        from_back = _BACK[side]
        start, stop = _range(prefix)
        return self._taken(
            lambda rows: _end(rows, start, stop, from_back), default, expire_time, tag, retry, removes=True
        )

    def peek(
        self,
        prefix: str | None = None,
        default: Any = (None, None),
        side: str = "front",
        expire_time: bool = False,
        tag: bool = False,
        retry: bool = False,
    ) -> Any:
        """Return the key and value of the item at one end of a queue. The arguments are those of :meth:`pull`.

        Items before it that have expired are removed.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache()
        >>> cache.push("first")
        500000000000000
        >>> cache.peek(), cache.peek()
        ((500000000000000, 'first'), (500000000000000, 'first'))
        """
        from_back = _BACK[side]
        start, stop = _range(prefix)
        return self._taken(
            lambda rows: _end(rows, start, stop, from_back), default, expire_time, tag, retry, removes=False
        )

    def peekitem(self, last: bool = True, expire_time: bool = False, tag: bool = False, retry: bool = False) -> Any:
        """Return the key and value of the entry that was inserted last, or with ``last=False`` first.

        Entries after it (before it) that have expired are removed.

        Args:
            last: whether it is the last one.
            expire_time: whether to return when it expires, too.
            tag: whether to return its tag, too.
            retry: whether to wait on after the timeout.

        Raises:
            KeyError: there is no entry.
            Timeout: another thread or process kept the lock for longer than the timeout.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache()
        >>> cache["a"], cache["b"] = 0, 1
        >>> cache.peekitem(), cache.peekitem(last=False)
        (('b', 1), ('a', 0))
        """

        def end(rows: Rows) -> tuple[bool, Any, Row] | None:
            return rows.end(last=last)

        nothing = object()
        found = self._taken(end, nothing, expire_time, tag, retry, removes=False)
        if found is nothing or (type(found) is tuple and found[0] is nothing):
            raise KeyError("dictionary is empty")
        return found

    def _taken(self, end: End, default: Any, expire_time: bool, tag: bool, retry: bool, *, removes: bool) -> Any:
        """The key and value of the row that ``end`` finds, which is removed if it has expired, or with ``removes``."""
        unreadable: list[Row] = []  # the rows whose files were missing

        def step(rows: Rows) -> tuple[bool, Any, Row] | None:
            while True:
                found = end(rows)
                if found is None:
                    return None
                raw, key, row = found
                is_over = row[EXPIRE_TIME] is not None and row[EXPIRE_TIME] < time.time()
                if is_over or row in unreadable[1:]:  # another process may have replaced it: it is read twice
                    rows.remove(key, raw, row)
                    continue
                if removes:
                    rows.remove(key, raw, row, keeps_file=True)
                return found

        while True:
            found = self._store.step(step, retry)
            if found is None:
                return with_extras(default, None, None, expire_time, tag)
            raw, key, row = found
            try:
                value = self._disk.fetch(row[MODE], row[FILENAME], row[VALUE], False)
            except OSError:
                unreadable.append(row)
                continue
            finally:
                if removes and row[FILENAME] is not None:
                    self._store.drop_file(row[FILENAME])
            item = (key if removes else self._disk.get(key, raw)), value
            return with_extras(item, row[EXPIRE_TIME], row[TAG], expire_time, tag)


def _end(rows: Rows, start: bytes, stop: bytes, from_back: bool) -> tuple[bool, Any, Row] | None:
    """The row at one end of a queue, with its key."""
    found = rows.last(start, stop) if from_back else rows.first(start, stop)
    if found is None:
        return None
    row: Row = found[1]
    return *_key_of(rows, row), row


def _key_of(rows: Rows, row: Row) -> tuple[bool, Any]:
    found = rows.key_of(row[ROWID])
    if found is None:
        raise DamagedShelf(f"{rows.engine.where} has no key for row {row[ROWID]}\n  hint: check(fix=True)")
    return found


def _number(rows: Rows, row: Row, prefix: str | None) -> Any:
    """The number in the key of an item."""
    _, key = _key_of(rows, row)
    return key if prefix is None else int(key[key.rfind("-") + 1 :])
