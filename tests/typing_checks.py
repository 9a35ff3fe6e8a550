"""Uses that must type-check, with mypy and with a second checker. Wrong uses have a type-ignore. It is never run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_type

import coshelf
import coshelf.aio
from coshelf import Cursor, Shelf, Snapshot, Transaction


@dataclass
class User:
    name: str


def open_and_annotate(path: Path) -> None:
    users: Shelf[str, int] = coshelf.open(path)
    mapping: MutableMapping[str, int] = users
    number: int = users["ann"]
    maybe: int | None = users.get("ann")
    sure: int | str = users.get("ann", "nobody")
    fallback: int = users.get("ann", 0)
    popped: int | None = users.pop("ann", None)
    last: tuple[str, int] = users.popitem()
    names: Iterator[str] = iter(users.keys("a*", start="a", reverse=True))
    pairs: dict[str, int] = users.copy()
    merged: dict[str, int] = users | {"bob": 2}
    users |= {"bob": 2}
    print(mapping, number, maybe, sure, fallback, popped, last, names, pairs, merged)


def open_with_options(path: Path) -> None:
    typed: Shelf[str, list[int]] = coshelf.open(path, codec="msgspec", type=list[int], compress="zstd")
    small: Shelf[str, str] = coshelf.open(path, codec="str", compress=coshelf.Zstd(level=9), recode=True)
    users = coshelf.open(path, type=User)
    assert_type(users, Shelf[str, User])
    assert_type(users["ann"], User)
    users["ann"] = 5  # type: ignore[assignment]
    numbered: Shelf[int, User] = coshelf.open(path, type=User, durability="commit")
    either: Shelf[str, int | str] = coshelf.open(path, type=int | str)
    coshelf.open(path, type=User, durable="commit")  # type: ignore[call-overload]
    print(users, numbered, either)
    secret: Shelf[str, bytes] = coshelf.open(path, codec="bytes", compress=False, encrypt=[b"new", b"old"])
    coshelf.open(path, codec="yaml")  # type: ignore[call-overload]
    gained: int = small.train_dictionary(samples=1_000, size=4_096).before
    print(typed, secret, gained)


def change(users: Shelf[str, list[int]]) -> bool:
    with users.edit("ann", default=[]) as value:
        value.append(1)
    new: list[int] = users.modify("ann", lambda old: [*old, 2])
    return users.replace("ann", new, [])


def together(users: Shelf[str, int]) -> int:
    with users.transaction() as transaction:
        handle: Transaction[str, int] = transaction
        handle["a"], handle["b"] = handle["b"], handle["a"]
    with users.snapshot() as snapshot:
        frozen: Snapshot[str, int] = snapshot
        view: Mapping[str, int] = frozen
    cursor: Cursor[str, int] = users.cursor()
    item: tuple[str, int] | None = cursor.seek("a")
    print(view, item)
    return users.transact(lambda t: t["a"] + 1)


def types_that_follow_from_type(path: Path) -> None:
    users = coshelf.open(path, type=User)
    assert_type(users.sub("staff")["ann"], User)
    with users.snapshot() as snapshot:
        assert_type(snapshot, Snapshot[str, User])
    with users.transaction() as transaction:
        assert_type(transaction, Transaction[str, User])
    with users.edit("ann") as user:
        assert_type(user, User)
    assert_type(users.cursor().first(), tuple[str, User] | None)
    coshelf.open(path, comress="zstd")  # type: ignore[call-overload]
    users.edit("ann").name = "Ann"  # type: ignore[attr-defined]


def parts(shelf: Shelf[str, int]) -> None:
    part = shelf.sub("users")
    part["ann"] = 1
    awaited: int = shelf.wait("users/ann", timeout=1.0)
    print(awaited)


def memoize(shelf: Shelf[Any, Any]) -> int:
    @shelf.memoize
    def double(number: int, *, times: int = 2) -> int:
        return number * times

    @shelf.memoize(expire=60, refresh=5, ignore="self", version=2, when=bool)
    async def awaited(number: int) -> str:
        return str(number)

    class Source:
        @shelf.memoize(ignore="self")
        def read(self, number: int) -> bytes:
            return bytes(number)

    result: int = double(1, times=3)
    double("a")  # type: ignore[arg-type]
    there: bool = double.forget(1)
    hits: int = double.cache_info().hits
    original: Callable[..., int] = double.__wrapped__
    read: bytes = Source().read(3)

    async def main() -> str:
        return await awaited(1)

    print(there, original, read, main, double.cache_key(1), awaited.cache_key(1))
    return result + hits


async def tasks(path: Path) -> int:
    async with coshelf.aio.open(path, type=User, timeout=5) as typed:
        assert_type(typed, coshelf.aio.AsyncShelf[str, User])
        assert_type(await typed.sub("staff")["ann"], User)
        async with typed.snapshot() as then:
            assert_type(then, coshelf.aio.AsyncSnapshot[str, User])
        typed["ann"] = User("Ann")  # type: ignore[index]
    async with coshelf.aio.open(path) as opened:
        users: coshelf.aio.AsyncShelf[str, int] = opened
        number: int = await users["ann"]
        maybe: int | None = await users.get("ann")
        sure: int | str = await users.get("ann", "nobody")
        popped: int | None = await users.pop("ann", None)
        last: tuple[str, int] = await users.popitem()
        await users.set("ann", "text")  # type: ignore[arg-type]
        names: list[str] = [name async for name in users.keys("a*", reverse=True)]
        pairs: list[tuple[str, int]] = await users.items(prefix="a").list()
        async with users.transaction() as t:
            handle: coshelf.aio.AsyncTransaction[str, int] = t
            await handle.set("a", await handle["b"])
        async with users.snapshot() as snapshot:
            frozen: coshelf.aio.AsyncSnapshot[str, int] = snapshot
        async with users.edit("ann") as value:
            edited: int = value
        async with users.lock("deploy") as turn:
            token: int = turn.token
        async with users.queue("jobs").take() as job:
            item: int = job
        async for change in users.watch():
            key: str = change.key
            print(key)

        @users.memoize
        async def double(number: int) -> int:
            return 2 * number

        result: int = await double(4)
        await double("a")  # type: ignore[arg-type]
        print(number, maybe, sure, popped, last, names, pairs, frozen, edited, token, item, result)
        return await users.transact(lambda t: t["a"] + 1)
