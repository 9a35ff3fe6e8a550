"""Adapters for arrays and files over a shelf on a server. The frameworks are imported by the test that needs them."""

from __future__ import annotations

import threading

import pytest

import coshelf


def test_zarr_writes_and_lists_on_a_server(server: str) -> None:
    import zarr

    from coshelf.contrib.zarr import CoshelfStore

    with CoshelfStore(server) as store:
        root = zarr.create_group(store)
        root.create_array("a/b", shape=(300,), chunks=(100,), dtype="int64")[:] = range(300)
        again = zarr.open_group(store.with_read_only(read_only=True), mode="r")
        assert again["a/b"][:].tolist() == list(range(300))
        assert sorted(again) == ["a"]
        del root["a"]
        assert list(root) == []


def test_transactions_of_two_file_systems_on_a_server_lose_nothing(server: str) -> None:
    from coshelf.contrib.fsspec import CoshelfFileSystem

    systems = [CoshelfFileSystem(server, skip_instance_cache=True) for _ in range(2)]

    def append(fs: CoshelfFileSystem) -> None:
        for number in range(10):
            with fs.transaction, fs.open("log", "ab") as file:
                file.write(b"%d\n" % number)

    threads = [threading.Thread(target=append, args=(fs,)) for fs in systems]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(systems[0].cat("log").split()) == sorted(2 * [b"%d" % number for number in range(10)])
    with pytest.raises(FileExistsError):
        systems[1].pipe_file("log", b"", mode="create")
    for fs in systems:
        fs.close()


def test_joblib_and_a_data_set_read_what_is_on_a_server(server: str) -> None:
    import joblib

    from coshelf.contrib.joblib import CoshelfStoreBackend
    from coshelf.contrib.torch import ShelfDataset

    memory = joblib.Memory(server, backend="coshelf", verbose=0)
    assert isinstance(memory.store_backend, CoshelfStoreBackend)
    cached = memory.cache(str)
    assert [cached(1), cached(1), cached.check_call_in_cache(1)] == ["1", "1", True]
    memory.reduce_size(items_limit=0)
    assert not cached.check_call_in_cache(1)
    memory.store_backend.close()
    with coshelf.open(server) as shelf:
        shelf.update({f"samples/{number}": number for number in range(5)})
    dataset = ShelfDataset(server, "samples")
    assert dataset.__getitems__([4, 0]) == [4, 0]
    dataset.close()
    copying = ShelfDataset(server, "samples", copy=True)
    with pytest.raises(coshelf.Unsupported):
        copying[0]
    copying.close()
