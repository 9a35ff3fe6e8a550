"""LangGraph's saver, store and cache on Valkey and PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate
from postgresql import postgresql
from valkey_servers import a_name, single

from coshelf.contrib.langgraph import CoshelfCache, CoshelfSaver, CoshelfStore

__all__ = ["postgresql"]

pytestmark = pytest.mark.long  # the servers


@pytest.fixture(params=["valkey", "postgresql"])
def new_url(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """The URL of a shelf that does not exist yet, at each call."""
    if request.param == "postgresql":
        yield request.getfixturevalue("postgresql").url
        return
    place = Path(tempfile.mkdtemp(prefix="coshelf-redis-"))
    server = single(place)
    yield lambda: f"{server.url}/0/{a_name()}"
    server.kill()
    shutil.rmtree(place)


def test_all_capabilities_pass(new_url: Callable[[], str]) -> None:
    @checkpointer_test(name="CoshelfSaver")
    async def saver() -> AsyncGenerator[CoshelfSaver, None]:
        async with CoshelfSaver(new_url()) as opened:
            yield opened

    report = asyncio.run(validate(saver))
    assert {name: result.failures for name, result in report.results.items() if not result.passed} == {}
    assert len(report.results) == 8


def test_store_and_cache_share_a_shelf(new_url: Callable[[], str]) -> None:
    url = new_url()

    async def main() -> None:
        async with CoshelfStore(url) as store, CoshelfCache[int](url) as cache:
            await asyncio.gather(*(store.aput(("a", str(n % 2)), str(n), {"n": n}, ttl=60) for n in range(8)))
            assert sorted(item.value["n"] for item in await store.asearch(("a", "1"))) == [1, 3, 5, 7]
            assert await store.alist_namespaces() == [("a", "0"), ("a", "1")]
            await cache.aset({(("a",), "k"): (5, 60), (("b",), "k"): (6, None)})
            await cache.aclear([("a",)])
            assert await cache.aget([(("a",), "k"), (("b",), "k")]) == {(("b",), "k"): 6}
            assert len(await store.asearch(())) == 8

    asyncio.run(main())
