"""Files of values that are being stored while another process mends the directory."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coshelf.diskcache import Cache, Disk

LARGE = b"v" * 40_000


class Mended(Disk):
    """Another process mends the directory right after a value's file was written."""

    mends: Callable[[], object] | None = None

    def store(self, value: Any, read: bool, key: Any = None) -> Any:
        stored = super().store(value, read, key)
        mends, self.mends = self.mends, None
        if mends is not None:
            mends()
        return stored


@pytest.fixture
def caches(tmp_path: Path) -> Iterator[tuple[Cache, Cache]]:
    with Cache(tmp_path, disk=Mended) as cache, Cache(tmp_path) as other:
        disk = cache.disk
        assert isinstance(disk, Mended)
        disk.mends = lambda: other.check(fix=True)
        yield cache, other


@pytest.mark.parametrize(
    "store",
    [
        lambda cache: cache.set("key", LARGE, tag="red", expire=100),
        lambda cache: cache.add("key", LARGE, tag="red", expire=100),
        lambda cache: cache.push(LARGE, tag="red", expire=100),
    ],
)
def test_a_value_whose_file_was_taken_for_an_orphan_is_stored_again(caches: tuple[Cache, Cache], store: Any) -> None:
    cache, other = caches
    assert store(cache)
    (key,) = cache
    value, expire_time, tag = other.get(key, expire_time=True, tag=True)
    assert (value, tag) == (LARGE, "red")
    assert expire_time is not None
    assert other.check() == []


def test_a_stream_whose_file_was_taken_for_an_orphan_is_an_error_and_leaves_no_entry(
    caches: tuple[Cache, Cache],
) -> None:
    cache, other = caches
    with pytest.raises(OSError, match="store it again"):
        cache.set("key", io.BytesIO(LARGE), read=True)
    assert "key" not in cache
    assert other.check() == []


def test_a_value_that_was_replaced_meanwhile_is_not_stored_again(caches: tuple[Cache, Cache]) -> None:
    cache, other = caches
    cache["key"] = 1
    with other.transact():
        other["key"] = LARGE
    assert cache["key"] == LARGE
    assert cache.check() == []
