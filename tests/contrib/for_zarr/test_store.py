"""What a store in a shelf promises beyond zarr's own tests."""

from __future__ import annotations

import asyncio
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from fixtures import crew
from support import Crew
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import cpu, default_buffer_prototype

import coshelf
from coshelf.contrib.zarr import CoshelfStore

__all__ = ["crew"]

MIB = 1 << 20
PROTOTYPE = default_buffer_prototype()


def buffer(data: bytes) -> cpu.Buffer:
    return cpu.Buffer.from_bytes(data)


def got(store: CoshelfStore, key: str, byte_range: Any = None) -> bytes | None:
    found = store.get_sync(key, byte_range=byte_range)
    return None if found is None else found.to_bytes()


def memory_of(array: Any) -> Any:
    """The object that owns the memory of an array."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array.obj if isinstance(array, memoryview) else array


@pytest.mark.parametrize("url", ["memory:", "sqlite:{}/a.sqlite", "{}/a.shelf"])
def test_arrays_and_groups_come_back_on_each_engine(url: str, tmp_path: Path) -> None:
    with CoshelfStore(url.format(tmp_path)) as store:
        root = zarr.create_group(store)
        array = root.create_array("a/b", shape=(300,), chunks=(100,), dtype="float64")
        array[50:250] = np.arange(200)
        again = zarr.open_group(store, mode="r")
        assert again["a/b"][50:250].tolist() == list(range(200))
        assert sorted(again) == ["a"]
        del root["a"]
        assert list(root) == []


def test_a_large_chunk_comes_back_in_place(tmp_path: Path) -> None:
    with CoshelfStore(tmp_path / "a.shelf") as store:
        data = np.arange(MIB, dtype="int64")
        array = zarr.create_array(store, data=data, chunks=data.shape, compressors=None, zarr_format=3)
        chunk = store.get_sync("c/0")
        assert chunk is not None
        assert (chunk.as_numpy_array().view("int64") == data).all()
        assert not chunk.as_numpy_array().flags.writeable
        assert type(memory_of(chunk.as_numpy_array())) not in (bytes, bytearray)
        assert (array[:] == data).all()


def test_a_range_of_a_large_chunk_is_a_view_of_it(tmp_path: Path) -> None:
    with CoshelfStore(tmp_path / "a.shelf") as store:
        store.set_sync("c/0", buffer(bytes(range(256)) * (MIB // 128)))
        size = 2 * MIB
        for asked, expected in [
            (RangeByteRequest(10, 20), bytes(range(10, 20))),
            (RangeByteRequest(size - 2, size + 5), b"\xfe\xff"),
            (RangeByteRequest(size, size + 5), b""),
            (OffsetByteRequest(size - 3), b"\xfd\xfe\xff"),
            (SuffixByteRequest(2), b"\xfe\xff"),
        ]:
            part = store.get_sync("c/0", byte_range=asked)
            assert part is not None
            assert part.to_bytes() == expected
            assert type(memory_of(part.as_numpy_array())) is not bytes
        everything = store.get_sync("c/0", byte_range=SuffixByteRequest(9 * MIB))
        assert everything is not None
        assert len(everything) == size


def test_several_ranges_of_a_value_are_read_at_once() -> None:
    async def read() -> list[Any]:
        asked = [RangeByteRequest(0, 2), None, SuffixByteRequest(1)]
        return [
            (number, found.to_bytes())
            async for group in store.get_ranges("k", asked, prototype=PROTOTYPE, max_concurrency=2)
            for number, found in group
        ]

    with CoshelfStore("memory:") as store:
        store.set_sync("k", buffer(b"abcd"))
        assert asyncio.run(read()) == [(0, b"ab"), (1, b"abcd"), (2, b"d")]
        one = store.get_ranges_sync("k", [OffsetByteRequest(3)], prototype=PROTOTYPE)
        assert [(number, found.to_bytes()) for number, found in one if found is not None] == [(0, b"d")]
        with pytest.raises(BaseExceptionGroup) as caught:
            store.get_ranges_sync("missing", [None], prototype=PROTOTYPE)
        assert caught.group_contains(FileNotFoundError)


def test_of_many_writers_one_sets_what_does_not_exist(tmp_path: Path) -> None:
    stores = [CoshelfStore(tmp_path / "a.shelf") for _ in range(8)]
    start = threading.Barrier(len(stores))
    written: list[bytes] = []

    def write(number: int) -> None:
        start.wait()
        asyncio.run(stores[number].set_if_not_exists("k", buffer(bytes([number]))))
        written.append(got(stores[number], "k") or b"")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written) == len(stores)
    assert len(set(written)) == 1
    for store in stores:
        store.close()


def test_a_bulk_write_and_a_deleted_folder_are_one_commit_each(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf, CoshelfStore(shelf) as store:
        watch = shelf.watch()
        asyncio.run(store._set_many((f"a/{number}", buffer(b"x")) for number in range(30)))
        asyncio.run(store.delete_dir("a"))
        changes = [watch.next(60) for _ in range(60)]
        assert [change.kind for change in changes] == 30 * ["set"] + 30 * ["deleted"]
        assert [number for number, change in enumerate(changes) if change.is_last] == [29, 59]


def test_a_bulk_write_that_fails_stores_nothing() -> None:
    with CoshelfStore("memory:") as store:
        with pytest.raises(TypeError, match="Buffers, and not values of type bytes"):
            asyncio.run(store._set_many([("a", buffer(b"x")), ("b", b"raw")]))  # type: ignore[list-item]
        assert got(store, "a") is None


def test_a_read_only_store_makes_no_shelf(tmp_path: Path) -> None:
    store = CoshelfStore(tmp_path / "a.shelf", read_only=True)
    with pytest.raises(coshelf.ShelfNotFound):
        store.get_sync("k")
    assert os.listdir(tmp_path) == []


def test_a_read_only_store_opens_a_shelf_that_it_could_not_write(tmp_path: Path) -> None:
    with CoshelfStore(tmp_path / "a.shelf") as store:
        store.set_sync("k", buffer(b"x"))
    with CoshelfStore(tmp_path / "a.shelf", read_only=True) as reader:
        assert got(reader, "k") == b"x"
        assert reader._tasks.part.shelf.flag == "r"
        for call in (lambda: reader.set_sync("k", buffer(b"y")), lambda: reader.delete_sync("k")):
            with pytest.raises(ValueError, match="read-only"):
                call()
        for waiting in (reader._set_many([]), reader.set_if_not_exists("k", buffer(b"")), reader.delete_dir("")):
            with pytest.raises(ValueError, match="read-only"):
                asyncio.run(waiting)
        assert got(reader, "k") == b"x"


def test_a_store_in_memory_is_shared_with_its_read_only_twin_and_not_pickled() -> None:
    with CoshelfStore("memory:") as store:
        store.set_sync("k", buffer(b"x"))
        twin = store.with_read_only(read_only=True)
        assert got(twin, "k") == b"x"
        assert twin.read_only
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(store)
        assert store != CoshelfStore("memory:")


def test_stores_are_equal_if_shelf_part_and_mode_are(tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    assert CoshelfStore(path) == CoshelfStore(str(path))
    assert CoshelfStore(path) != CoshelfStore(path, "other")
    assert CoshelfStore(path) != CoshelfStore(path, read_only=True)
    assert CoshelfStore(path) != "text"
    with coshelf.open(path) as shelf:
        assert CoshelfStore(shelf) == CoshelfStore(shelf)
        assert CoshelfStore(shelf) != CoshelfStore(shelf.sub("a"))


def test_a_closed_store_opens_again_at_its_next_use(tmp_path: Path) -> None:
    store = CoshelfStore(tmp_path / "a.shelf")
    store.set_sync("k", buffer(b"x"))
    store.close()
    assert got(store, "k") == b"x"
    store.close()
    store.close()


def test_parts_with_other_names_are_other_stores_in_one_shelf(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        one, other = CoshelfStore(shelf, "one"), CoshelfStore(shelf, "other")
        one.set_sync("k", buffer(b"1"))
        other.set_sync("k", buffer(b"2"))
        asyncio.run(one.clear())
        assert dict(shelf) == {"other/k": b"2"}


def test_what_is_not_a_shelf_is_refused_and_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a shelf, but some text of mine")
    with pytest.raises(coshelf.NotAShelf):
        CoshelfStore(path).set_sync("k", buffer(b"x"))
    assert path.read_text() == "not a shelf, but some text of mine"


def test_a_value_of_the_program_is_not_taken_for_a_chunk() -> None:
    with coshelf.open("memory:") as shelf:
        shelf["zarr/k"] = 5
        with pytest.raises(coshelf.UnreadableValue, match="of type int"):
            CoshelfStore(shelf).get_sync("k")
        assert shelf["zarr/k"] == 5


WRITER = """
import sys
import numpy as np, zarr
from coshelf.contrib.zarr import CoshelfStore
store = CoshelfStore(path)
array = zarr.open_array(store)
say("ready")
hear()
number = int(sys.argv[2])
for turn in range(1, 1_000_000):
    array[number] = turn
    if turn == 20:
        say("written")
"""


def test_processes_write_chunks_of_one_array_at_once_and_a_kill_tears_none(crew: Crew, tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    with CoshelfStore(path) as store:
        zarr.create_array(store, shape=(2, 5_000), chunks=(1, 5_000), dtype="int64", fill_value=0)
        workers = [crew.start(WRITER, path, number) for number in range(2)]
        for worker in workers:
            worker.expect("ready")
        for worker in workers:
            worker.tell()
        for worker in workers:
            worker.expect("written")
        for worker in workers:
            worker.kill()
        for row in zarr.open_array(store, mode="r")[:]:
            assert row[0] >= 20
            assert (row == row[0]).all()
        assert coshelf.check(path).ok


@pytest.mark.long  # test_parts.py has the short form
def test_a_forked_child_uses_the_store_of_its_parent(crew: Crew, tmp_path: Path) -> None:
    worker = crew.start(
        """
        import asyncio
        from zarr.core.buffer import cpu
        from coshelf.contrib.zarr import CoshelfStore
        store = CoshelfStore(path)
        asyncio.run(store.set("a", cpu.Buffer.from_bytes(b"parent")))
        pid = os.fork()
        if pid == 0:
            asyncio.run(store.set("b", cpu.Buffer.from_bytes(b"child of " + store.get_sync("a").to_bytes())))
            os._exit(0)
        assert reap(pid) == 0
        say(store.get_sync("b").to_bytes().decode())
        """,
        tmp_path / "a.shelf",
    )
    assert worker.hear() == "child of parent"
    worker.finish()
