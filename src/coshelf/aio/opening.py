"""``coshelf.aio.open``: from a path, URL or mapping to a shelf for tasks."""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Iterable, MutableMapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Never, TypeVar, overload

import anyio.to_thread

from coshelf import engines, opening
from coshelf.aio.bridged import in_bridge, is_possible
from coshelf.aio.entries import Pending
from coshelf.aio.shelf import AsyncShelf
from coshelf.aio.threads import Limits, current_task, in_thread
from coshelf.contract import Durability, Flag
from coshelf.system.option_names import hiding_unknown, refuse_unknown
from coshelf.system.threads.participants import TaskOwner

if TYPE_CHECKING:
    from typing import Unpack

    import typing_extensions

    from coshelf.opening import Codec, Options, Target
    from coshelf.values.compression import Zstd
    from coshelf.values.limits import Eviction

    K = typing_extensions.TypeVar("K", default=str)  # as in coshelf.opening

V = TypeVar("V")

__all__ = ["open"]


@overload
def open(
    target: Target, flag: Flag = "c", *, type: builtins.type[V], **options: Unpack[Options]
) -> Pending[AsyncShelf[K, V]]: ...
@overload
def open(  # with the options themselves: then a type checker says which one does not exist
    target: Target,
    flag: Flag = "c",
    *,
    mode: int = 0o600,
    durability: Durability = "interval",
    flush_interval: float = 1.0,
    timeout: float = 60.0,
    protocol: int | None = None,
    writeback: bool = False,
    require: Iterable[str] = (),
    trust: bool | None = None,
    allow: Iterable[Callable[..., Any]] = (),
    sign: bytes | Iterable[bytes] = (),
    codec: Codec | None = None,
    type: Any = None,
    compress: Literal["zstd", False] | Zstd | None = None,
    encrypt: bytes | Iterable[bytes] = (),
    recode: bool = False,
    expire: float | timedelta | Literal[False] | None = None,
    max_bytes: int | str | None = None,
    max_entries: int | None = None,
    evict: Eviction | None = None,
    **unknown: Never,
) -> Pending[AsyncShelf[Any, Any]]: ...
@hiding_unknown
def open(
    target: str | bytes | os.PathLike[str] | os.PathLike[bytes] | MutableMapping[Any, bytes],
    flag: Flag = "c",
    *,
    mode: int = 0o600,
    durability: Durability = "interval",
    flush_interval: float = 1.0,
    timeout: float = 60.0,
    protocol: int | None = None,
    writeback: bool = False,
    require: Iterable[str] = (),
    trust: bool | None = None,
    allow: Iterable[Callable[..., Any]] = (),
    sign: bytes | Iterable[bytes] = (),
    codec: Codec | None = None,
    type: Any = None,
    compress: Literal["zstd", False] | Zstd | None = None,
    encrypt: bytes | Iterable[bytes] = (),
    recode: bool = False,
    expire: float | timedelta | Literal[False] | None = None,
    max_bytes: int | str | None = None,
    max_entries: int | None = None,
    evict: Eviction | None = None,
    **unknown: object,
) -> Pending[AsyncShelf[Any, Any]]:
    """Open a shelf for the tasks of an event loop. The arguments and errors are those of :func:`coshelf.open`.

    Use it as ``async with coshelf.aio.open(...) as shelf:``, or await it and close the shelf.

    >>> import asyncio, coshelf.aio
    >>> async def main():
    ...     async with coshelf.aio.open("memory:") as shelf:
    ...         await shelf.set("a", 1)
    ...         return await shelf["a"]
    >>> asyncio.run(main())
    1
    """
    if unknown:
        refuse_unknown(unknown, [*opening.Options.__annotations__, "type"])

    def opened() -> AsyncShelf[Any, Any]:
        shelf = opening.open(
            target, flag,
            mode=mode, durability=durability, flush_interval=flush_interval, timeout=timeout, protocol=protocol,
            writeback=writeback, require=require, trust=trust, allow=allow, sign=sign, codec=codec, type=type,
            compress=compress, encrypt=encrypt, recode=recode, expire=expire, max_bytes=max_bytes,
            max_entries=max_entries, evict=evict,
        )  # fmt: skip
        return AsyncShelf(shelf)

    async def open_now() -> AsyncShelf[Any, Any]:
        owner = TaskOwner(current_task())
        if is_possible() and engines.is_on_server(target):
            await anyio.to_thread.run_sync(engines.load, target)  # to import a client takes long
            return await in_bridge(owner, opened)
        return await in_thread(Limits().inside, lambda shelf: shelf._face.close(), owner, opened)

    return Pending(open_now, AsyncShelf.close)
