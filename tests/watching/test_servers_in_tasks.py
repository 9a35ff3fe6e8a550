"""Readers of changes on servers, in tasks of an event loop that must not be blocked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import objects
import pytest
from postgresql import Postgresql, postgresql
from valkey_servers import a_name, single

from coshelf.contract import EVERYTHING_GONE, Batch, Change, Engine, OpenOptions
from coshelf.engines import open_engine
from coshelf.keys import FIRST, LAST, encode
from coshelf.system.threads import bridge

__all__ = ["postgresql"]

ALL = ((FIRST, LAST),)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = single(tmp_path_factory.mktemp("server"))
    yield server.url
    server.kill()


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in objects.ENVIRONMENT.items():
            patch.setenv(name, value)
        with objects.moto_server() as server:
            yield server.url()


@pytest.fixture(params=["redis", "postgresql", "objects"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    kind: str = request.param
    if kind == "redis":
        url = f"{request.getfixturevalue('redis_url')}/0/{a_name()}"
    elif kind == "postgresql":
        server: Postgresql = request.getfixturevalue("postgresql")
        url = server.url()
    else:
        url = request.getfixturevalue("moto_url")
    engine = open_engine(url, OpenOptions(flag="n"))
    engine.commit(EVERYTHING_GONE)
    yield engine
    engine.close()


def put(key: str) -> Batch:
    return Batch(puts={encode(key): b"\x80\x04N."})


def test_tasks_go_on_while_one_waits_for_changes(engine: Engine) -> None:
    async def main() -> None:
        reader = await bridge.run(lambda: engine.changes(ALL, engine.position()))
        for key in ("a", "b"):
            waiting = asyncio.create_task(bridge.run(_some, reader))
            for _ in range(20):  # the loop runs
                await asyncio.sleep(0)
            assert not waiting.done()
            await bridge.run(engine.commit, put(key))
            assert [change.key for change in await asyncio.wait_for(waiting, 60)] == [encode(key)]
        await bridge.run(reader.close)

    def _some(reader: object) -> list[Change]:
        while not (found := reader.read(60)):  # type: ignore[attr-defined]
            pass
        return found

    asyncio.run(main())


def test_task_that_is_cancelled_while_it_waits_leaves_nothing_behind(engine: Engine) -> None:
    async def main() -> None:
        since = await bridge.run(engine.position)
        for _ in range(5):
            reader = await bridge.run(engine.changes, ALL, since)
            waiting = asyncio.create_task(bridge.run(reader.read, None))
            await asyncio.sleep(0.02)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await bridge.run(reader.close)
        await bridge.run(engine.commit, put("a"))
        reader = await bridge.run(engine.changes, ALL, since)
        assert [change.key for change in await bridge.run(reader.read, 60)] == [encode("a")]
        await bridge.run(reader.close)

    asyncio.run(main())
