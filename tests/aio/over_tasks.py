"""Presents an ``AsyncShelf`` as a shelf, and an engine that is used by tasks as an engine.

An event loop runs in a thread. Each thread that calls has a task of its own in that loop, which makes its calls.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, MutableMapping, ValuesView
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, cast

import anyio
import trio
from anyio.from_thread import start_blocking_portal

from coshelf.aio import AsyncShelf
from coshelf.aio.running import run, write
from coshelf.aio.threads import current_task, in_thread, to_the_end
from coshelf.contract import Batch, Changes, Doorbell, Engine, Entry, Exclusive, Position, Snapshot, Turns
from coshelf.mapping.handle import Handle
from coshelf.system.threads.participants import TaskOwner

__all__ = ["EngineOverTasks", "Loop", "ShelfOverTasks"]


class Loop:
    """An event loop in a thread, with a task for each thread that calls."""

    def __init__(self, backend: str) -> None:
        self._running = start_blocking_portal(backend)
        self._portal = self._running.__enter__()
        self._of_thread = threading.local()
        self._streams: list[Any] = []
        self._soon = self._portal.call(_soon)
        self.is_over = False

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """What a coroutine function returns that this thread's task calls."""
        stream = getattr(self._of_thread, "stream", None)
        if stream is None:
            stream, receive = self._portal.call(anyio.create_memory_object_stream[Any], 10)
            self._of_thread.stream = stream
            self._streams.append(stream)
            self._portal.start_task_soon(_serve, receive)
        future: Future[Any] = Future()
        self._soon(lambda: stream.send_nowait((function, args, future)))
        return future.result()

    def close(self) -> None:
        self.is_over = True
        for stream in self._streams:
            self._portal.call(stream.close)
        self._running.__exit__(None, None, None)


async def _soon() -> Callable[[Callable[[], object]], object]:
    """A function for any thread, which has a function called by this loop."""
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        return trio.lowlevel.current_trio_token().run_sync_soon


async def _serve(receive: Any) -> None:
    async with receive:
        async for function, args, future in receive:
            try:
                future.set_result(await function(*args))
            except Exception as error:
                future.set_exception(error)


class _Over(MutableMapping[Any, Any]):
    """A shelf, transaction or snapshot of the face for tasks, as a mapping."""

    def __init__(self, loop: Loop, face: Any) -> None:
        self._loop = loop
        self._face = face

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._face, name)
        return partial(self._call, found) if callable(found) else found

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._loop.call(partial(method, *args, **kwargs))

    def __getitem__(self, key: Any) -> Any:
        async def read() -> Any:
            return await self._face[key]

        return self._loop.call(read)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._call(self._face.set, key, value)

    def __delitem__(self, key: Any) -> None:
        self._call(self._face.delete, key)

    def __contains__(self, key: object) -> bool:
        return bool(self._call(self._face.contains, key))

    def __len__(self) -> int:
        return int(self._call(self._face.len))

    def __iter__(self) -> Iterator[Any]:
        return iter(self.keys())

    def __reversed__(self) -> Iterator[Any]:
        return reversed(self.keys())

    def __bool__(self) -> bool:
        return any(True for _ in self)

    def __eq__(self, other: object) -> bool:
        return self.copy() == dict(other.items()) if isinstance(other, Mapping) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __or__(self, other: Any) -> Any:
        return self.copy() | dict(other)

    def __ror__(self, other: Any) -> Any:
        return dict(other) | self.copy()

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    # What MutableMapping would do by other calls.
    def get(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(self._face.get, *args, **kwargs)

    def pop(self, *args: Any) -> Any:
        return self._call(self._face.pop, *args)

    def popitem(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(self._face.popitem, *args, **kwargs)

    def setdefault(self, *args: Any) -> Any:
        return self._call(self._face.setdefault, *args)

    def update(self, *args: Any, **kwargs: Any) -> None:
        self._call(self._face.update, *args, **kwargs)

    def clear(self) -> None:
        self._call(self._face.clear)

    def keys(self, *args: Any, **kwargs: Any) -> Any:
        return _Keys(self, self._face.keys(*args, **kwargs))

    def items(self, *args: Any, **kwargs: Any) -> Any:
        return _Items(self, self._face.items(*args, **kwargs))

    def values(self, *args: Any, **kwargs: Any) -> Any:
        return _Values(self, self._face.values(*args, **kwargs))

    def tagged(self, tag: Any) -> Any:
        return _Keys(self, self._face.tagged(tag))

    def records(self, *args: Any, **kwargs: Any) -> Any:
        return _each(self._loop, self._face.records(*args, **kwargs))

    def sub(self, name: str) -> Any:
        return _Over(self._loop, self._face.sub(name))

    def cursor(self) -> Any:
        return _CursorOver(self._loop, self._face.cursor())

    def watch(self, *args: Any, **kwargs: Any) -> Any:
        return _WatchOver(self._loop, self._face.watch(*args, **kwargs))

    def snapshot(self) -> Any:
        async def take() -> Any:
            return await self._face.snapshot()

        return _Over(self._loop, self._loop.call(take))

    def transaction(self, *args: Any) -> AbstractContextManager[Any]:
        return _Block(self._loop, self._face.transaction(*args), partial(_Over, self._loop))

    def edit(self, *args: Any) -> AbstractContextManager[Any]:
        return _Block(self._loop, self._face.edit(*args), lambda value: value)


def ShelfOverTasks(loop: Loop, shelf: AsyncShelf[Any, Any]) -> Any:  # noqa: N802 (in the place of a class)
    """A shelf whose calls are made by tasks."""
    return _Over(loop, shelf)


def _each(loop: Loop, stream: Any) -> Iterator[Any]:
    iterator = stream.__aiter__()

    async def some() -> list[Any]:
        found: list[Any] = []
        while len(found) < 50:
            try:
                found.append(await iterator.__anext__())
            except StopAsyncIteration:
                break
        return found

    while found := loop.call(some):
        yield from found


class _View:
    def __init__(self, mapping: _Over, view: Any) -> None:
        self._mapping = mapping
        self._view = view
        self._loop = mapping._loop

    def __iter__(self) -> Iterator[Any]:
        return _each(self._loop, self._view)

    def __reversed__(self) -> Iterator[Any]:
        return _each(self._loop, self._view.reversed())

    def __len__(self) -> int:
        return int(self._loop.call(self._view.len))

    def __contains__(self, member: object) -> bool:
        return bool(self._loop.call(self._view.contains, member))

    def __bool__(self) -> bool:
        return any(True for _ in self)


class _Keys(_View, KeysView[Any]):
    pass


class _Items(_View, ItemsView[Any, Any]):
    pass


class _Values(_View, ValuesView[Any]):
    pass


class _CursorOver:
    def __init__(self, loop: Loop, cursor: Any) -> None:
        self._loop = loop
        self._cursor = cursor

    @property
    def key(self) -> Any:
        return self._cursor.key

    def __getattr__(self, name: str) -> Any:
        return partial(self._loop.call, getattr(self._cursor, name))


class _WatchOver:
    """A watch, which begins at once as that of a shelf does."""

    def __init__(self, loop: Loop, watch: Any) -> None:
        async def begin() -> Any:
            return await watch

        self._loop = loop
        self._watch = loop.call(begin)

    @property
    def version(self) -> Position:
        return cast("Position", self._watch.version)

    def next(self, timeout: float | None = None) -> Any:
        return self._loop.call(self._watch.next, timeout)

    def close(self) -> None:
        self._loop.call(self._watch.close)


class _Block(AbstractContextManager[Any]):
    def __init__(self, loop: Loop, block: Any, show: Callable[[Any], Any]) -> None:
        self._loop = loop
        self._block = block
        self._show = show

    def __enter__(self) -> Any:
        return self._show(self._loop.call(self._block.__aenter__))

    def __exit__(self, *error: object) -> bool | None:
        return cast("bool | None", self._loop.call(self._block.__aexit__, *error))


class EngineOverTasks(Engine):
    """An engine, each of whose calls is made in a worker thread, as a call of the task of the thread that makes it."""

    def __init__(self, loop: Loop, engine: Engine, handle: Handle) -> None:
        self._loop = loop
        self._engine = engine
        self._handle = handle
        self._options = engine._options
        self.name, self.capabilities, self.where = engine.name, engine.capabilities, engine.where
        self.store_id, self.blobs = engine.store_id, engine.blobs
        self.hides_expired, self.keeps_settings = engine.hides_expired, engine.keeps_settings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def _run(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._loop.call(partial(run, self._handle, call, *args, **kwargs))

    def _write(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._loop.call(partial(write, self._handle, call, *args, **kwargs))

    def get(self, key: bytes) -> Entry | None:
        return cast("Entry | None", self._run(self._engine.get, key))

    def record(self, key: bytes) -> bytes | None:
        return cast("bytes | None", self._run(self._engine.record, key))

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        return cast("list[Entry | None]", self._run(self._engine.get_many, keys))

    def scan(self, start: bytes, stop: bytes, **kwargs: Any) -> Iterator[Any]:
        found = self._run(self._engine.scan, start, stop, **kwargs)
        missing = object()

        def rest() -> Iterator[Any]:
            while (entry := self._run(next, found, missing)) is not missing:
                yield entry

        return rest()

    def count(self, start: bytes, stop: bytes) -> int:
        return cast("int", self._run(self._engine.count, start, stop))

    def first_expiry(self) -> int | None:
        return cast("int | None", self._run(self._engine.first_expiry))

    def snapshot(self) -> Snapshot:
        return cast("Snapshot", self._run(self._engine.snapshot))

    def commit(self, batch: Batch) -> int | str:
        return cast("int | str", self._write(self._engine.commit, batch))

    def _apply(self, batch: Batch) -> int | str:
        raise AssertionError("commit() is passed on")

    def put(self, key: bytes, body: bytes) -> int | str:
        return cast("int | str", self._write(self._engine.put, key, body))

    @contextmanager
    def exclusive(self, timeout: float | None = None) -> Iterator[Exclusive]:
        def begin() -> Any:
            block = self._engine.exclusive(timeout)
            return block, block.__enter__()

        async def enter() -> Any:
            return await in_thread(anyio.CapacityLimiter(1), None, TaskOwner(current_task()), begin)

        async def leave(*error: Any) -> Any:
            return await to_the_end(block.__exit__, TaskOwner(current_task()), *error)

        block, lock = self._loop.call(enter)
        try:
            yield Exclusive(partial(self._run, lock.commit))
        except BaseException as error:
            if not self._loop.call(leave, type(error), error, error.__traceback__):
                raise
        else:
            self._loop.call(leave, None, None, None)

    def owns_exclusive(self) -> bool:
        return bool(self._run(self._engine.owns_exclusive))

    def now(self) -> int:
        return self._engine.now()

    def doorbell(self, key: bytes) -> Doorbell:
        return self._engine.doorbell(key)

    def turns(self) -> Turns:
        return self._engine.turns()

    def position(self) -> Position:
        return cast("Position", self._run(self._engine.position))

    def changes(self, ranges: Any, since: Position) -> Changes:
        return cast("Changes", self._run(self._engine.changes, ranges, since))

    def may_be_later(self, version: int | str, since: Position) -> bool:
        return self._engine.may_be_later(version, since)

    def sync(self) -> None:
        self._run(self._engine.sync)

    def close(self) -> None:
        if self._loop.is_over:  # a shelf that was left is collected later than the loop ends
            self._handle.close()
        else:
            self._run(self._handle.close)

    def reopen_arguments(self) -> Any:
        return self._engine.reopen_arguments()
