"""``CoshelfStore``: the long-term memory of LangGraph's agents in a shelf."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from langgraph.store.base import (
    BaseStore,
    GetOp,
    IndexConfig,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
)

from coshelf.contrib.langgraph import matching, meaning
from coshelf.contrib.langgraph.rows import Instant, instant
from coshelf.contrib.langgraph.sweeping import Sweeper
from coshelf.contrib.parts import AsyncPart, Part, Target, in_thread
from coshelf.errors import InvalidExpiry
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction

__all__ = ["CoshelfStore"]

_Key = tuple[str, ...]  # the labels of the namespace, then the key of the item
_Entries = Shelf[Any, Any]
_NO_VECTORS = meaning.Vectors({}, {})


class _Stored(NamedTuple):
    """What is stored of an item, as a tuple. ``minutes``: its time to live; None: it does not expire."""

    value: dict[str, Any]
    created: datetime
    updated: datetime
    minutes: float | None
    vectors: tuple[meaning.Vector[float], ...]


class CoshelfStore(BaseStore):
    """Keeps items in a shelf, for all processes, by namespace and key.

    All that one batch stores is one commit. A batch reads before it stores. The asynchronous methods need
    ``coshelf[aio]``.

    Args:
        target: a path, a URL, or an open shelf.
        part: the part of the shelf that has the items.
        ttl: LangGraph's ``TTLConfig``. Times are in minutes. Expired items are missing at once, whatever
            ``omit_expired`` says.
        index: LangGraph's ``IndexConfig``, for ``search(query=...)``. Each search compares all items that fit.
        options: further arguments of :func:`coshelf.open`, for a path or URL.

    Raises:
        Unsupported: the engine commits entry by entry, or ``ttl`` has a default and entries cannot expire.
        InvalidExpiry: by ``put``, a ``ttl`` that is not a number of minutes.

    >>> store = CoshelfStore("memory:")
    >>> store.put(("users", "ann"), "food", {"likes": "leeks"}, ttl=60)
    >>> store.get(("users", "ann"), "food").value
    {'likes': 'leeks'}
    >>> [item.key for item in store.search(("users",), filter={"likes": "leeks"})]
    ['food']
    >>> store.close()
    """

    supports_ttl = True

    def __init__(
        self,
        target: Target,
        *,
        part: str = "langgraph/store",
        ttl: TTLConfig | None = None,
        index: IndexConfig | None = None,
        **options: Any,
    ) -> None:
        has_default = ttl is not None and ttl.get("default_ttl") is not None
        self.ttl_config = ttl
        self.part = Part(target, part, needs=("checks=batch", *(("expiry",) if has_default else ())), **options)
        self._tasks = AsyncPart(self.part)
        self._index = None if index is None else meaning.Index(index)
        self._sweeper = Sweeper(self.part)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Run operations: first all that read, then all that store. The results are in the order of the operations."""
        wanted = list(ops)
        vectors = _NO_VECTORS if self._index is None else self._index.embed(wanted)
        results, refreshed = _read(self.part.shelf, wanted, vectors)
        stored = self._to_store(wanted, vectors)
        if stored or refreshed:
            _write(self.part.shelf, stored, refreshed)
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """As :meth:`batch`."""
        wanted = list(ops)
        vectors = _NO_VECTORS if self._index is None else await self._index.aembed(wanted)
        results, refreshed = await self._tasks.read(_read, wanted, vectors)
        stored = self._to_store(wanted, vectors)
        if stored or refreshed:
            await self._tasks.write(_write, stored, refreshed)
        return results

    def sweep_ttl(self) -> int:
        """Remove what has expired by now from the whole shelf, and return how many entries these were.

        Expired items are missing anyway. This frees their space, in a shelf that no process writes.
        """
        return self.part.whole.expire()

    async def asweep_ttl(self) -> int:
        """As :meth:`sweep_ttl`."""
        return await self._tasks.write(lambda _: self.part.whole.expire())

    def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> None:
        """Sweep at intervals, in a thread of this process, until :meth:`stop_ttl_sweeper` or :meth:`close`.

        Args:
            sweep_interval_minutes: None: that of ``ttl``, and otherwise 5.
        """
        minutes = sweep_interval_minutes
        if minutes is None:
            minutes = (self.ttl_config or {}).get("sweep_interval_minutes") or 5
        self._sweeper.start(minutes)

    def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:
        """End sweeping, and wait for that, up to ``timeout`` seconds. Return whether it has ended."""
        return self._sweeper.stop(timeout)

    def close(self) -> None:
        """End sweeping, and close the shelf, if the store opened it."""
        self._sweeper.stop()
        self.part.close()

    async def aclose(self) -> None:
        """As :meth:`close`."""
        await in_thread(self._sweeper.stop)
        await self._tasks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _to_store(self, ops: Sequence[Op], vectors: meaning.Vectors) -> dict[_Key, _Stored | None]:
        """What a batch stores, by key; None: the item is deleted. Of several for one key the last one counts."""
        now = datetime.now(UTC)
        stored: dict[_Key, _Stored | None] = {}
        for op in ops:
            if isinstance(op, PutOp):
                texts = [] if self._index is None else self._index.texts(op)
                stored[(*op.namespace, op.key)] = (
                    None
                    if op.value is None
                    else _Stored(
                        dict(op.value), now, now, _usable(op.ttl), tuple(vectors.texts[text] for text in texts)
                    )
                )
        return stored


def _usable(minutes: Any) -> float | None:
    if minutes is not None and (isinstance(minutes, bool) or not isinstance(minutes, (int, float))):
        raise InvalidExpiry(f"ttl is a number of minutes, or None, not {minutes!r}")
    return minutes


def _read(shelf: _Entries, ops: Sequence[Op], vectors: meaning.Vectors) -> tuple[list[Result], dict[_Key, float]]:
    """The results of the operations, and the minutes that the items which they returned now live, by key."""
    results: list[Result] = []
    refreshed: dict[_Key, float] = {}
    with instant(shelf) as entries:
        for op in ops:
            shown: list[tuple[_Key, _Stored]] = []
            if isinstance(op, GetOp):
                key = (*op.namespace, op.key)
                found = entries.get(key)
                shown = [] if found is None else [(key, _Stored(*found))]
                results.append(_item(*shown[0]) if shown else None)
            elif isinstance(op, SearchOp):
                ranked = _searched(entries, op, vectors)[op.offset :][: op.limit]
                shown = [each for each, _ in ranked]
                results.append([_search_item(key, stored, score) for (key, stored), score in ranked])
            elif isinstance(op, ListNamespacesOp):
                keys = entries.keys(prefix=matching.literal_prefix(op))
                results.append(matching.listed((key[:-1] for key in keys), op))
            elif isinstance(op, PutOp):
                results.append(None)
            else:
                raise TypeError(f"a batch has GetOp, PutOp, SearchOp and ListNamespacesOp, not {op!r}")
            if isinstance(op, (GetOp, SearchOp)) and op.refresh_ttl and shelf.flag != "r":
                refreshed |= {key: stored.minutes for key, stored in shown if stored.minutes is not None}
    return results, refreshed


def _searched(
    entries: Instant, op: SearchOp, vectors: meaning.Vectors
) -> list[tuple[tuple[_Key, _Stored], float | None]]:
    """All items that fit, with their scores: the nearest to the query first, or else the last updated first."""
    prefix = op.namespace_prefix
    found = [
        (key, _Stored(*stored))
        for key, stored in entries.items(prefix=prefix)
        if len(key) > len(prefix)  # else the end of the prefix is the key of an item
    ]
    if op.filter:
        found = [(key, stored) for key, stored in found if matching.fits(stored.value, op.filter)]
    found.sort(key=lambda pair: pair[1].updated, reverse=True)
    query = vectors.queries.get(op.query or "")
    if query is None:
        return [(each, None) for each in found]
    return meaning.ranked(query, ((each, each[1].vectors) for each in found))


def _write(shelf: _Entries, stored: Mapping[_Key, _Stored | None], refreshed: Mapping[_Key, float]) -> None:
    def write(transaction: Transaction[Any, Any]) -> None:
        for key, minutes in refreshed.items():
            transaction.touch(key, expire=minutes * 60)
        for key, item in stored.items():
            if item is None:
                transaction.pop(key, None)
                continue
            before = transaction.get(key)
            created = item.created if before is None else _Stored(*before).created
            expire = None if item.minutes is None else item.minutes * 60
            transaction.set(key, tuple(item._replace(created=created)), expire=expire)

    if not stored and len(refreshed) == 1:
        ((key, minutes),) = refreshed.items()
        shelf.touch(key, expire=minutes * 60)
    else:
        shelf.transact(write)


def _item(key: _Key, stored: _Stored) -> Item:
    return Item(
        namespace=key[:-1], key=key[-1], value=stored.value, created_at=stored.created, updated_at=stored.updated
    )


def _search_item(key: _Key, stored: _Stored, score: float | None) -> SearchItem:
    return SearchItem(
        namespace=key[:-1],
        key=key[-1],
        value=stored.value,
        created_at=stored.created,
        updated_at=stored.updated,
        score=score,
    )
