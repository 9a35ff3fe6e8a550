"""zarr's own tests of stores, with a store in a shelf."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from zarr.core.buffer import Buffer, cpu
from zarr.testing.store import StoreTests

import coshelf
from coshelf.contrib.zarr import CoshelfStore


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A shelf that is open during all tests: each test has a part of it."""
    path = tmp_path_factory.mktemp("zarr") / "a.shelf"
    with coshelf.open(path):
        yield path


class TestOnLmdb(StoreTests[CoshelfStore, cpu.Buffer]):
    store_cls = CoshelfStore
    buffer_cls = cpu.Buffer

    async def set(self, store: CoshelfStore, key: str, value: Buffer) -> None:
        store._tasks.part.shelf[key] = value.to_bytes()

    async def get(self, store: CoshelfStore, key: str) -> Buffer:
        return self.buffer_cls.from_bytes(store._tasks.part.shelf[key])

    @pytest.fixture
    def store_kwargs(self, path: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
        return {"target": path, "part": request.node.name.replace("/", " ")}

    def test_store_repr(self, store: CoshelfStore) -> None:
        assert repr(store).startswith("CoshelfStore('coshelf://test_store_repr::/")

    def test_store_supports_writes(self, store: CoshelfStore) -> None:
        assert store.supports_writes

    def test_store_supports_listing(self, store: CoshelfStore) -> None:
        assert store.supports_listing
