"""Limits in a shelf on a server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import limits
import pytest
from limits.aio.strategies import SlidingWindowCounterRateLimiter as AsyncSlidingWindowCounterRateLimiter
from limits.storage import storage_from_string
from limits.strategies import STRATEGIES
from valkey_servers import a_name, single

import coshelf.contrib.limits  # noqa: F401 (tells limits the schemes)

LONG = limits.parse("3 per 10 year")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    place: Path = tmp_path_factory.mktemp("server")
    server = single(place)
    yield f"{server.url}/0/{a_name()}"
    server.kill()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_threads_with_storages_of_their_own_are_counted_exactly(url: str, strategy: str) -> None:
    allowed: list[bool] = []

    def hit() -> None:
        storage = storage_from_string(f"coshelf://{url}")
        allowed.extend(STRATEGIES[strategy](storage).hit(LONG, "ann") for _ in range(3))
        storage.close()

    threads = [threading.Thread(target=hit) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(allowed), sum(allowed)) == (9, 3)


def test_tasks_are_counted_exactly(url: str) -> None:
    async def main() -> list[bool]:
        storage = storage_from_string(f"async+coshelf://{url}")
        limiter = AsyncSlidingWindowCounterRateLimiter(storage)
        found = await asyncio.gather(*[limiter.hit(LONG, "bob") for _ in range(6)])
        await storage.close()
        return found

    assert sum(asyncio.run(main())) == 3
