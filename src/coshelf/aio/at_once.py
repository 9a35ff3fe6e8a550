"""A shelf whose methods do what takes microseconds and waits for nothing, and raise ``WouldWait`` for all else.

It is a :class:`coshelf.Shelf` over the same handle, whose engine and codec refuse whatever may wait. So what a call
means is written in one place. A call that is refused has done nothing yet, and is made again in a worker thread.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final, cast

from coshelf.contract import Batch, Engine, Entry, Exclusive
from coshelf.errors import ShelfLocked
from coshelf.mapping.handle import Handle
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction
from coshelf.system.threads.participants import Party, WouldWait
from coshelf.values.codec import Codec
from coshelf.values.pickled import PickleCodec

__all__ = ["shelf_at_once", "transaction_at_once"]

_LARGE: Final = 256 * 1024  # bytes of a record whose decoding may keep a loop for a millisecond or longer


def shelf_at_once(shelf: Shelf[Any, Any]) -> Shelf[Any, Any] | None:
    """The twin of a shelf, or of a part of one; None if every call has to be made in a worker thread."""
    handle = shelf._handle
    if not handle.engine.reads_at_once or shelf.writeback:
        return None
    return _ShelfAtOnce(shelf)


def transaction_at_once(engine: Engine, transaction: Transaction[Any, Any]) -> Transaction[Any, Any] | None:
    """The twin of a transaction: its writes are in memory until it ends."""
    if not engine.reads_at_once:
        return None
    state, namespace, codec = transaction._state, transaction._namespace, transaction._codec
    return Transaction(state, namespace, _codec_at_once(codec))


class _ShelfAtOnce(Shelf[Any, Any]):
    def __init__(self, shelf: Shelf[Any, Any]) -> None:
        super().__init__(_HandleAtOnce(shelf._handle), shelf._namespace)
        self._shelf = shelf
        self._codec = _codec_at_once(shelf._codec)

    def _sweep(self, stored: int) -> None:
        self._shelf._sweep(stored)  # after the commit, so this must not be refused


class _HandleAtOnce(Handle):
    """The same handle, with an engine that waits for nothing."""

    def __init__(self, handle: Handle) -> None:  # it has no life of its own: nothing of a handle's is made
        self._handle = handle
        self.engine = cast("Engine", _EngineAtOnce(handle))
        self.codec = handle.codec
        self.flag = handle.flag
        self.reopen = handle.reopen
        self.inside = handle.inside
        self.is_resting = False

    @property
    def closed(self) -> bool:
        return self._handle.closed

    def leave(self, party: Party) -> None:
        self._handle.leave(party)  # as a rule nothing was deferred


class _EngineAtOnce:
    """What an engine does at once. Every other attribute raises ``WouldWait``."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def __getattr__(self, name: str) -> Any:
        engine = self._handle.engine
        if name in _PLAIN or (name == "quick_hold" and engine.commits_at_once):
            return getattr(engine, name)
        raise WouldWait

    @property
    def quick(self) -> Any:
        return self._handle.engine.quick

    @property
    def quick_store(self) -> Any:
        return self._handle.engine.quick_store

    def get(self, key: bytes) -> Entry | None:
        return self._handle.engine.get(key)

    def record(self, key: bytes) -> bytes | None:
        return self._handle.engine.record(key)

    def put(self, key: bytes, body: bytes) -> int | str:
        engine = self._handle.engine
        return self.commit(Batch(puts={key: body})) if engine.commits_at_once else engine.put_at_once(key, body)

    def commit(self, batch: Batch) -> int | str:
        engine = self._handle.engine
        if not engine.commits_at_once:
            raise WouldWait
        if engine.owns_exclusive():
            return engine.commit(batch)  # raises
        with self._exclusive() as lock:
            return lock.commit(batch)

    def exclusive(self, timeout: float | None = None) -> AbstractContextManager[Exclusive]:
        if not self._handle.engine.commits_at_once:
            raise WouldWait
        return self._exclusive()

    @contextmanager
    def _exclusive(self) -> Iterator[Exclusive]:
        with ExitStack() as stack:
            try:
                lock = stack.enter_context(self._handle.engine.exclusive(0.0))
            except ShelfLocked:
                raise WouldWait from None
            yield lock


_PLAIN: Final = frozenset(
    {
        "blobs", "capabilities", "commits_at_once", "cutoff", "hides_expired", "keeps_settings", "locks_quickly",
        "name", "now", "owns_exclusive", "quick_add", "quick_pop", "quick_popitem", "quick_setdefault",
        "reads_at_once", "refuse_wide", "removes_expired", "store_id", "stored", "where",
    }
)  # fmt: skip


def _codec_at_once(codec: Codec) -> Codec:
    return cast("Codec", _CodecAtOnce(codec))


class _CodecAtOnce:
    """A codec that leaves large values to a worker thread, and so values with files beside the shelf."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._small: PickleCodec | None = None
        if isinstance(codec, PickleCodec):
            self._small = copy.copy(codec)
            self._small._large = cast("Any", _NoLargeBuffers(codec._large))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codec, name)

    def dump(self, key: Any, encoded_key: bytes, value: Any) -> bytes:
        if self._small is None:
            raise WouldWait
        return self._small.dump(key, encoded_key, value)

    def load(self, key: Any, encoded_key: bytes, record: bytes, copy: bool = False) -> Any:
        if len(record) > _LARGE:
            raise WouldWait
        return self._codec.load(key, encoded_key, record, copy)


class _NoLargeBuffers:
    def __init__(self, large: Any) -> None:
        self.are_separate = large.are_separate

    def dump(self, encoded_key: bytes, payload: bytes, large: list[memoryview]) -> bytes:
        raise WouldWait

    load = dump
