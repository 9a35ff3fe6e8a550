"""What the store for py-key-value does beyond what is asked of every store."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from key_value.aio.errors import StoreSetupError
from support import Crew

import coshelf
from coshelf.contrib.key_value import CoshelfStore

pytestmark = pytest.mark.anyio

PUTTING = """
    import asyncio
    from coshelf.contrib.key_value import CoshelfStore

    async def main():
        async with CoshelfStore(path) as store:
            number = 0
            while True:
                number += 1
                await store.put_many([str(each) for each in range(20)], 20 * [{"number": number}])
                say(number)

    asyncio.run(main())
"""


async def test_a_bulk_call_is_one_commit_also_if_its_process_is_killed(crew: Crew, path: str) -> None:
    worker = crew.start(PUTTING, path)
    worker.expect("1")
    async with CoshelfStore(path) as store:
        keys = [str(each) for each in range(20)]
        for _ in range(10):
            found = await store.get_many(keys)
            assert len({str(value) for value in found}) == 1
        worker.kill()
        last = int(["1", *worker.rest().splitlines()][-1])
        (number,) = {value["number"] for value in await store.get_many(keys) if value is not None}
        assert number in (last, last + 1)


async def test_an_expired_document_is_gone_and_culled(store: CoshelfStore) -> None:
    await store.put("ann", {}, ttl=1000)
    await store.put("bob", {})
    store._part.part.shelf.touch(("default_collection", "ann"), expire=-1)
    assert await store.keys() == ["bob"]
    assert await store.ttl("ann") == (None, None)
    assert await store.delete("ann") is False
    await store.cull()
    assert store._part.part.whole.expire() == 0


async def test_a_store_in_a_part_of_an_open_shelf_leaves_it_open() -> None:
    with coshelf.open("memory:") as shelf:
        async with CoshelfStore(shelf.sub("mcp")) as store:
            await store.put("ann", {"age": 41})
            await store.cull()
        assert list(shelf) == [("mcp/key_value/", ("default_collection", "ann"))]
        assert not shelf.closed
        async with CoshelfStore(shelf, part="other") as store:
            assert await store.get("ann") is None


async def test_seeds_are_stored_at_the_first_use(tmp_path: Path) -> None:
    async with CoshelfStore(tmp_path / "a.shelf", seed={"users": {"ann": {"age": 41}}}) as store:
        assert await store.get("ann", collection="users") == {"age": 41}


def test_loops_of_two_threads_share_a_store(tmp_path: Path) -> None:
    store = CoshelfStore(tmp_path / "a.shelf")
    threads = [threading.Thread(target=lambda n=n: asyncio.run(store.put(str(n), {"number": n}))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asyncio.run(store.keys()) == ["0", "1", "2", "3"]
    asyncio.run(store.close())


async def test_a_store_with_limits_keeps_them(tmp_path: Path) -> None:
    async with CoshelfStore(tmp_path / "a.shelf", max_entries=100, evict="fifo") as store:
        await store.put_many([str(number) for number in range(500)], 500 * [{}])
        store._part.part.shelf.sync()
        assert await store.get("0") is None
        assert await store.get("499") == {}


async def test_what_is_no_shelf_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>" * 1000)
    store = CoshelfStore(tmp_path / "page.html")
    with pytest.raises(StoreSetupError) as caught:
        await store.get("ann")
    assert isinstance(caught.value.__cause__, coshelf.NotAShelf)
    assert (tmp_path / "page.html").read_text() == "<html>" * 1000


async def test_an_engine_without_expiry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreSetupError, match="expiry is required"):
        await CoshelfStore(f"{tmp_path}/files/").put("ann", {})


async def test_a_closed_store_says_so_and_lost_nothing(tmp_path: Path) -> None:
    store = CoshelfStore(tmp_path / "a.shelf")
    await store.put("ann", {"age": 41})
    await store.close()
    with pytest.raises(coshelf.ShelfClosed):
        await store.get("ann")
    async with CoshelfStore(tmp_path / "a.shelf", flag="r") as again:
        assert await again.get("ann") == {"age": 41}
        with pytest.raises(coshelf.ReadOnlyShelf):
            await again.put("ann", {})
        with pytest.raises(coshelf.ReadOnlyShelf):
            await again.delete("ann")
        assert await again.get("ann") == {"age": 41}
