"""Shelves on servers, used by tasks of an event loop: the requests are made by the loop, in no other thread."""

from __future__ import annotations

import asyncio
import os
import queue
import random
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import objects
import obstore
import psycopg
import pytest
import redis
import trio
from halting import halt
from postgresql import Postgresql
from valkey_servers import Cluster, Server, a_name, eventually, single

import coshelf.aio
from coshelf.aio import AsyncShelf, bridged
from coshelf.errors import Conflict, SnapshotLost

_ROOM = 120.0  # seconds for what should take much less


@pytest.fixture(params=["redis", "postgresql", "objects"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a shelf that does not exist yet, on each kind of server."""
    if request.param == "redis":
        return request.getfixturevalue("server")
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql").url()
    return request.getfixturevalue("weed").url()


@pytest.fixture
def no_blocking_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a synchronous client is used for a request. It comes after fixtures that start servers."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a request was made by a synchronous client")

    monkeypatch.setattr(redis.connection.AbstractConnection, "send_packed_command", refuse)
    monkeypatch.setattr(psycopg.Connection, "wait", refuse)
    for name in ("get", "put", "delete", "sign"):
        monkeypatch.setattr(obstore, name, refuse)


def in_time(main: Callable[[], Awaitable[object]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(main(), _ROOM)

    asyncio.run(limited())


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def test_fifty_tasks_use_a_shelf_at_once_in_one_thread(url: str, no_blocking_client: None) -> None:
    async def main() -> None:
        async with coshelf.aio.open(url) as shelf:
            before = threading.active_count()

            async def use(number: int) -> None:
                await shelf.set(f"of {number}", number)
                assert await shelf[f"of {number}"] == number
                await shelf.modify("sum", lambda total: total + number, 0)
                async with shelf.edit(f"list {number}", default=[]) as value:
                    await asyncio.sleep(0)
                    value.append(number)
                items = dict([item async for item in shelf.items(prefix="of ")])
                assert items[f"of {number}"] == number

            count = 15 if url.startswith("s3") else 50
            await asyncio.gather(*(use(number) for number in range(count)))
            assert await shelf["sum"] == sum(range(count))
            assert threading.active_count() <= before

    in_time(main)


@pytest.mark.parametrize("kind", ["redis", "postgresql"])
def test_transactions_with_an_await_in_them_belong_to_their_tasks(kind: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("server") if kind == "redis" else request.getfixturevalue("postgresql").url()

    async def main() -> None:
        async with coshelf.aio.open(url) as shelf:
            await shelf.update(a=1000, b=0)

            async def move() -> None:
                while True:
                    try:
                        async with shelf.transaction() as t:
                            a, b = await t["a"], await t["b"]
                            await asyncio.sleep(0.001)
                            await t.set("a", a - 1)
                            await t.set("b", b + 1)
                        return
                    except Conflict:
                        pass

            async def watch() -> None:
                for _ in range(20):
                    both = await shelf.get_many(["a", "b"])
                    assert both["a"] + both["b"] == 1000

            await asyncio.gather(watch(), *(move() for _ in range(10)))
            assert await shelf.get_many(["a", "b"]) == {"a": 990, "b": 10}

    in_time(main)


@contextmanager
def stopped(kind: str, request: pytest.FixtureRequest) -> Iterator[None]:
    """For a block, the server does not run."""
    if kind == "objects":
        weed: objects.Weed = request.getfixturevalue("weed")
        weed.pause()
        try:
            yield
        finally:
            weed.resume()
        return
    base: Server | Postgresql = request.getfixturevalue("server_base" if kind == "redis" else "postgresql")
    if isinstance(base, Postgresql):  # its first process, too, which would start another for a further connection
        pids = [base.pid, *base.backends()]
    else:
        pids = [base._process.pid]  # type: ignore[union-attr]
    for pid in pids:
        halt(pid)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_other_tasks_run_while_a_server_does_not_answer(url: str, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["url"]

    async def main() -> None:
        async with coshelf.aio.open(url) as shelf, coshelf.aio.open("memory:") as other:
            await shelf.set("a", 1)
            with stopped(kind, request):
                waiting = [asyncio.create_task(shelf.set("a", 2)), asyncio.create_task(shelf.get("a"))]
                for number in range(100):
                    await other.set("n", number)
                    await asyncio.sleep(0)
                assert not any(task.done() for task in waiting)
                waiting[1].cancel()
                await turns(100)
                assert waiting[1].cancelled()  # although the server is still silent
            await waiting[0]
            assert await shelf["a"] == 2

    in_time(main)


_CANCELLED = {"redis": 1500, "postgresql": 150, "objects": 60}


def test_cancelled_at_random_moments_a_call_leaves_no_connection_in_a_wrong_state(
    url: str, request: pytest.FixtureRequest
) -> None:
    kind = request.node.callspec.params["url"]
    chance = random.Random(7)

    async def main() -> None:
        async with coshelf.aio.open(url) as shelf:
            for number in range(5):
                await shelf.set(f"fixed {number}", number)

            async def one(number: int) -> None:
                which = chance.randrange(5)
                if which == 0:
                    assert await shelf[f"fixed {number % 5}"] == number % 5
                elif which == 1:
                    await shelf.set(f"own {number % 7}", ("own", number % 7))
                elif which == 2:
                    await shelf.modify("count", lambda count: count + 1, 0)
                elif which == 3 and kind != "objects":
                    await shelf.transact(lambda t: t.update(p=number, q=number))
                else:
                    async for key, value in shelf.items():
                        assert not key.startswith("fixed") or key == f"fixed {value}"
                        assert not key.startswith("own") or (value[0], f"own {value[1]}") == ("own", key)

            async def cancel_some(count: int) -> int:
                cancelled = 0
                for _ in range(count):
                    task = asyncio.create_task(one(chance.randrange(1000)))
                    if chance.random() < 0.5:
                        await turns(chance.randrange(30))
                    else:
                        await asyncio.sleep(chance.random() * 0.01)
                    task.cancel()
                    try:
                        await task
                    except asyncio.CancelledError:
                        cancelled += 1
                return cancelled

            count = _CANCELLED[kind] // 5
            assert sum(await asyncio.gather(*(cancel_some(count) for _ in range(5)))) > 0
            # More at once than there are connections: none was lost, and each reply belongs to its request.
            await asyncio.gather(*(one(number) for number in range(150 if kind != "objects" else 20)))
            if kind != "objects":
                both = await shelf.get_many(["p", "q"])
                assert both.get("p") == both.get("q")

    in_time(main)


def test_few_connections_serve_many_tasks(postgresql: Postgresql) -> None:
    async def main() -> None:
        async with coshelf.aio.open(postgresql.url(connections="2")) as shelf:
            await shelf.set("n", 0)
            assert await asyncio.gather(*(shelf.get("n") for _ in range(100))) == [0] * 100

    in_time(main)


def test_lost_sessions_are_replaced(postgresql: Postgresql) -> None:
    async def main() -> None:
        async with coshelf.aio.open(postgresql.url()) as shelf:
            await asyncio.gather(*(shelf.set(str(number), number) for number in range(5)))
            pids = postgresql.backends()
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
            # Their sockets are closed by then, which a session may be late to do after its last words.
            gone = lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids)
            await asyncio.to_thread(eventually, "no session", gone)
            await asyncio.gather(*(shelf.set(str(number), -number) for number in range(5)))
            assert await shelf["4"] == -4

    in_time(main)


def test_no_addition_is_lost_or_doubled_while_a_server_is_killed_and_started_again(tmp_path: Path) -> None:
    server = single(tmp_path, "--appendfsync", "always")  # or it may lose what it has acknowledged

    async def main() -> None:
        async with coshelf.aio.open(f"{server.url}/0/shelf") as shelf:
            begun = asyncio.Event()

            async def add() -> None:
                for _ in range(20):
                    await shelf.incr("n")
                    begun.set()

            adding = [asyncio.create_task(add()) for _ in range(5)]
            await begun.wait()
            server.kill()
            await asyncio.to_thread(server.start)
            await asyncio.gather(*adding)
            assert await shelf["n"] == 100

    try:
        in_time(main)
    finally:
        server.kill()


def test_tasks_use_a_cluster(cluster: str, no_blocking_client: None) -> None:
    async def main() -> None:
        async with coshelf.aio.open(f"{cluster}?buckets=16") as shelf:
            await asyncio.gather(*(shelf.set(f"{{{number}}}", number) for number in range(50)))
            assert [value async for value in shelf.values()] == sorted(range(50), key="{{{}}}".format)
            assert await shelf.len() == 50

    in_time(main)


def test_a_cluster_sends_tasks_to_the_new_place_of_a_slot(cluster_base: Cluster, cluster: str) -> None:
    async def main() -> None:
        async with coshelf.aio.open(cluster) as shelf:
            await shelf.set("a", 1)
            client = shelf._handle.engine._client  # type: ignore[attr-defined]
            slot = shelf._handle.engine._only.slot  # type: ignore[attr-defined]
            found = await bridged.bridge.run(lambda: client.client.nodes_manager.known)
            wrong = next(node for node in found.slots_cache.values() if node[0] is not found.slots_cache[slot][0])
            found.slots_cache[slot] = wrong
            assert await shelf["a"] == 1
            assert found.slots_cache[slot] is not wrong

    in_time(main)


def sessions(kind: str, name: str, request: pytest.FixtureRequest) -> int:
    """How many sessions of clients with a name a server has."""
    if kind == "redis":
        with request.getfixturevalue("server_base").client as client:
            return sum(each["name"] == name for each in client.client_list())
    with psycopg.connect(request.getfixturevalue("postgresql").admin_url) as connection:
        found = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", (name,))
        return int(found.fetchall()[0][0])


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "left open"])
@pytest.mark.parametrize("kind", ["redis", "postgresql"])
def test_connections_end_with_the_shelf_or_with_the_loop(
    kind: str, is_closed: bool, request: pytest.FixtureRequest
) -> None:
    name = a_name()
    if kind == "redis":
        url = f"{request.getfixturevalue('server')}?client_name={name}"
    else:
        url = request.getfixturevalue("postgresql").url(application_name=name)
    kept: list[AsyncShelf[Any, Any]] = []

    async def main() -> None:
        shelf = await coshelf.aio.open(url)
        kept.append(shelf)
        await asyncio.gather(*(shelf.set(str(number), number) for number in range(10)))
        assert await asyncio.to_thread(sessions, kind, name, request) > 0
        if is_closed:
            await shelf.close()
            await asyncio.to_thread(eventually, "no session", lambda: not sessions(kind, name, request))

    in_time(main)
    eventually("no session", lambda: not sessions(kind, name, request))


def test_loops_of_several_threads_share_a_shelf(url: str) -> None:
    async def main() -> None:
        async with coshelf.aio.open(url) as shelf:

            async def add() -> None:
                await asyncio.gather(*(shelf.incr("n") for _ in range(5)))

            await asyncio.gather(add(), *(asyncio.to_thread(asyncio.run, add()) for _ in range(2)))
            assert await shelf["n"] == 15

    in_time(main)


def test_tasks_share_a_snapshot(postgresql: Postgresql) -> None:
    async def main() -> None:
        async with coshelf.aio.open(postgresql.url()) as shelf:
            await shelf.update({str(number): number for number in range(20)})
            async with shelf.snapshot() as snapshot:
                await shelf.clear()
                values = await asyncio.gather(*(snapshot[str(number)] for number in range(20)))
                assert values == list(range(20))

    in_time(main)


def test_iteration_that_was_cancelled_says_so(request: pytest.FixtureRequest, postgresql: Postgresql) -> None:
    async def main() -> None:
        async with coshelf.aio.open(postgresql.url()) as shelf:
            await shelf.update({f"{number:03}": number for number in range(300)})
            stream = aiter(shelf.keys())
            with stopped("postgresql", request):
                reading = asyncio.create_task(anext(stream))
                await turns(50)
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            with pytest.raises(SnapshotLost, match="cancelled"):
                await anext(stream)
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
            assert await shelf.keys().len() == 300

    in_time(main)


def test_many_tasks_wait_for_keys_without_threads(url: str, no_blocking_client: None) -> None:
    async def main() -> None:
        async with coshelf.aio.open(url) as shelf:
            before = threading.active_count()
            waiting = [asyncio.create_task(shelf.wait(f"key {number % 3}")) for number in range(50)]
            await turns(20)
            for number in range(3):
                await shelf.set(f"key {number}", number)
            assert await asyncio.gather(*waiting) == [number % 3 for number in range(50)]
            assert threading.active_count() <= before

    in_time(main)


async def _use(url: str) -> None:
    async with coshelf.aio.open(url) as shelf:
        await shelf.set("a", 1)
        async with shelf.edit("b", default=[]) as value:
            value.append(2)
        assert [item async for item in shelf.items()] == [("a", 1), ("b", [2])]


def test_under_trio_worker_threads_make_the_requests(url: str) -> None:
    trio.run(_use, url)


def test_without_greenlet_worker_threads_make_the_requests(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridged, "_has_greenlets", lambda: False)
    asyncio.run(_use(url))


@pytest.mark.parametrize("kind", ["redis", "postgresql"])
def test_a_queue_gives_each_item_to_a_task_that_was_not_cancelled(kind: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("server") if kind == "redis" else request.getfixturevalue("postgresql").url()
    chance = random.Random(3)

    async def main() -> None:
        async with coshelf.aio.open(url) as shelf:
            jobs = shelf.queue("jobs")
            for number in range(30):
                await jobs.put(number)
            taken: list[int] = []

            async def take() -> None:
                while True:
                    getting = asyncio.create_task(jobs.get(block=False))
                    await turns(chance.randrange(40))
                    getting.cancel()
                    try:
                        taken.append(await getting)
                    except asyncio.CancelledError:
                        pass
                    except queue.Empty:
                        return

            await asyncio.gather(*(take() for _ in range(3)))
            taken += [await jobs.get() for _ in range(await jobs.qsize())]
            assert sorted(taken) == list(range(30))

    in_time(main)


@pytest.mark.parametrize("kind", ["redis", "postgresql"])
def test_cancelled_while_it_waits_for_a_lock_a_task_is_in_no_line(kind: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("server") if kind == "redis" else request.getfixturevalue("postgresql").url()
    chance = random.Random(4)

    async def main() -> None:
        async with coshelf.aio.open(url) as shelf:
            inside: list[int] = []

            async def hold(number: int) -> None:
                async with shelf.lock("x"):
                    inside.append(number)
                    assert len(inside) == 1
                    await asyncio.sleep(0)
                    inside.remove(number)

            async def cancelled(number: int) -> None:
                holding = asyncio.create_task(hold(number))
                await turns(chance.randrange(100))
                holding.cancel()
                await asyncio.gather(holding, return_exceptions=True)
                inside[:] = [each for each in inside if each != number]

            await asyncio.gather(*(cancelled(number) for number in range(20)))
            lock = shelf.lock("x", timeout=_ROOM / 2)
            async with lock:
                assert await lock.waiting() == ()

    in_time(main)
