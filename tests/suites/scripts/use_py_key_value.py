"""py-key-value-aio's DiskStore and MultiDiskStore."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Any

import pytest
from elsewhere import at_once, elsewhere
from key_value.aio.stores.disk import DiskStore, MultiDiskStore


def made(kind: str, directory: Path) -> Any:
    return DiskStore(directory=directory) if kind == "one" else MultiDiskStore(base_directory=directory)


@pytest.mark.parametrize("kind", ["one", "many"])
def test_values_collections_and_expiry(tmp_path: Path, kind: str) -> None:
    async def work() -> None:
        async with made(kind, tmp_path) as store:
            await store.put("key", {"name": "Ann"})
            await store.put("key", {"name": "Bob"}, collection="others")
            assert await store.get("key") == {"name": "Ann"}
            assert await store.get("key", collection="others") == {"name": "Bob"}
            assert await store.get("missing") is None
            await store.put("passing", {"n": 1}, ttl=60)
            value, left = await store.ttl("passing")
            assert value == {"n": 1}
            assert 0 < left <= 60
            await store.put_many(["a", "b"], [{"n": 1}, {"n": 2}])
            assert await store.get_many(["a", "b", "c"]) == [{"n": 1}, {"n": 2}, None]
            assert await store.delete("key")
            assert not await store.delete("key")
            assert await store.get("key") is None
            await store.put("long", {"text": "x\r\n" * 40_000})
            assert await store.get("long") == {"text": "x\r\n" * 40_000}

    asyncio.run(work())


def test_store_with_a_limit_and_one_with_a_cache_of_the_caller(tmp_path: Path) -> None:
    made_by_caller = importlib.import_module("diskcache").Cache(directory=str(tmp_path / "b"))

    async def work() -> None:
        async with DiskStore(directory=tmp_path / "a", max_size=10_000_000) as store:
            await store.put("key", {"n": 1})
            assert await store.get("key") == {"n": 1}
        async with DiskStore(disk_cache=made_by_caller) as store:
            await store.put("key", {"n": 2})
            assert await store.get("key") == {"n": 2}
        assert len(made_by_caller) == 1
        made_by_caller.close()

    asyncio.run(work())


WRITE = """
import asyncio, sys
from pathlib import Path
from key_value.aio.stores.disk import DiskStore, MultiDiskStore

async def whole():
    where = Path(sys.argv[2])
    async with DiskStore(directory=where) if sys.argv[1] == "one" else MultiDiskStore(base_directory=where) as store:
        for number in range(50):
            await store.put(f"{sys.argv[3]}-{number}", {"n": number})
        print(sum([await store.get(f"{who}-49") is not None for who in sys.argv[4:]]))

asyncio.run(whole())
"""


@pytest.mark.parametrize("kind", ["one", "many"])
def test_processes_write_together_and_a_later_one_reads(tmp_path: Path, kind: str) -> None:
    at_once(WRITE, [(kind, tmp_path, name) for name in "ab"])
    assert elsewhere(WRITE, kind, tmp_path, "c", "a", "b") == "2"
