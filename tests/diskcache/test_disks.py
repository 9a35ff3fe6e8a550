"""Subclasses of Disk, as programs write them, and JSONDisk."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import pytest

from coshelf.diskcache import UNKNOWN, Cache, Disk, JSONDisk
from coshelf.diskcache.core import MODE_BINARY, MODE_PICKLE, MODE_RAW

LARGE = b"v" * 40_000


def test_json_disk_stores_what_json_makes_of_keys_and_values(tmp_path: Path) -> None:
    with Cache(tmp_path, disk=JSONDisk, disk_compress_level=6) as cache:
        assert isinstance(cache.disk, JSONDisk) and cache.disk.compress_level == 6
        values = [None, True, 0, 1.25, {}, {"a": [1]}, [None] * 50_000, "text"]
        for value in values:
            cache[value] = value
        assert [cache[value] for value in values] == values == list(cache)
        cache[(1, "a")] = (2, 3)
        assert (cache[[1, "a"]], cache.peekitem()[0]) == ([2, 3], [1, "a"])
        assert cache.set("stream", io.BytesIO(b"abc"), read=True)
        with cache.get("stream", read=True) as file:
            assert file.read() == b"abc"
        with pytest.raises(TypeError):
            cache["bytes"] = b"bytes"
        assert cache.check() == []
    with Cache(tmp_path, disk=JSONDisk) as cache:
        assert (cache.disk_compress_level, cache["text"]) == (6, "text")


class Named(Disk):
    """Names files by their keys."""

    def filename(self, key: Any = UNKNOWN, value: Any = UNKNOWN) -> tuple[str, str]:
        name = hashlib.sha256(key).hexdigest()[:32]
        return name, os.path.join(self._directory, name)


def test_a_disk_chooses_the_names_of_files(tmp_path: Path) -> None:
    with Cache(tmp_path, disk=Named) as cache:
        for number in range(100, 103):
            key = str(number).encode()
            cache[key] = str(number) * 100_000
            name = hashlib.sha256(key).hexdigest()[:32]
            assert (tmp_path / name).read_text() == str(number) * 100_000 == cache[key]
        assert cache.check() == []
        with pytest.raises(FileExistsError):
            cache[b"100"] = "x" * 300_000
        assert cache[b"100"] == "100" * 100_000
        del cache[b"100"]
        assert not (tmp_path / hashlib.sha256(b"100").hexdigest()[:32]).exists()


class Compressed(Disk):
    """Wraps every call, and gives keys as SQLite would have them."""

    calls: list[str]

    def __init__(self, directory: str, level: int = 1, **kwargs: Any) -> None:
        super().__init__(directory, **kwargs)
        self.level, self.calls = level, []

    def put(self, key: Any) -> tuple[Any, bool]:
        self.calls.append("put")
        return sqlite3.Binary(json.dumps(key).encode()), True

    def get(self, key: Any, raw: bool) -> Any:
        self.calls.append("get")
        return json.loads(super().get(key, raw))

    def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> Any:
        self.calls.append("store")
        data = value if read else zlib.compress(pickle.dumps(value), self.level)
        return super().store(data, read, key)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        self.calls.append("fetch")
        data = super().fetch(mode, filename, value, read)
        return data if read else pickle.loads(zlib.decompress(data))


def test_every_call_of_a_subclass_is_made(tmp_path: Path) -> None:
    with Cache(tmp_path, disk=Compressed, disk_level=9, disk_min_file_size=10) as cache:
        disk = cache.disk
        assert isinstance(disk, Compressed)
        assert (disk.level, disk.min_file_size) == (9, 10)
        cache["key"] = {"a": 1}
        assert cache["key"] == {"a": 1}
        assert disk.calls == ["put", "store", "put", "fetch"]
        assert list(cache) == list(cache.iterkeys()) == ["key"]
        assert cache.peekitem() == ("key", {"a": 1})
        assert cache.pop("key") == {"a": 1}
        with cache.transact():
            cache[["a", 1]] = 5
            assert cache[["a", 1]] == 5
        assert [str(found.message) for found in cache.check()] == []


class Restricted(Disk):
    """Loads pickles in its own way, from the shelf and from files."""

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        if mode != MODE_PICKLE:
            return super().fetch(mode, filename, value, read)
        if value is not None:
            return pickle.load(io.BytesIO(value))
        assert filename is not None
        with open(os.path.join(self._directory, filename), "rb") as file:
            return pickle.load(file)


def test_a_disk_loads_pickles_from_the_shelf_and_from_files(tmp_path: Path) -> None:
    with Cache(tmp_path, disk=Restricted) as cache:
        for value in ((1, 2), [b"x" * 500_000]):
            cache["key"] = value
            assert cache["key"] == value


def test_the_settings_of_a_disk_are_stored_and_can_be_changed(tmp_path: Path) -> None:
    with Cache(tmp_path, disk_min_file_size=0, disk_pickle_protocol=2) as cache:
        cache["key"] = b""
        with cache.read("key") as file:
            assert file.read() == b""
    with Cache(tmp_path) as cache:
        assert (cache.disk.min_file_size, cache.disk.pickle_protocol) == (0, 2)
        cache.reset("disk_min_file_size", 1_000)
        assert cache.disk.min_file_size == cache.disk_min_file_size == 1_000


def test_a_disk_stores_without_a_cache(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path), 10, 5)
    for value in (None, 5, 2.5, "text", b"bytes", b"x" * 10, (1, 2)):
        size, mode, filename, stored = disk.store(value, False)
        assert disk.fetch(mode, filename, stored, False) == value
        assert size == (10 if filename else 0)
    size, mode, filename, stored = disk.store(io.BytesIO(b"abc"), True)
    assert (size, mode, stored) == (3, MODE_BINARY, None)
    assert filename is not None
    disk.remove(filename)
    disk.remove(filename)
    with pytest.raises(FileNotFoundError):
        disk.fetch(mode, filename, None, False)
    assert disk.store("text", True)[1] == MODE_RAW


@pytest.mark.parametrize(
    ("key", "expected"),
    [("a", 6422626), (b"a", 6422626), (5, 5), (-5, 4294967290), (2**62, 1073741824), (5.5, 44171351)],
)
def test_the_hash_of_a_key_is_the_same_everywhere(key: Any, expected: int) -> None:
    assert Disk("/nowhere").hash(key) == expected


@pytest.mark.parametrize("disk", [Disk("/nowhere"), dict, "Disk", None])
def test_a_disk_that_is_no_subclass_is_refused(tmp_path: Path, disk: Any) -> None:
    with pytest.raises(ValueError, match=r"disk must subclass diskcache\.Disk"):
        Cache(tmp_path, disk=disk)


class Unwritable(Disk):
    """Names files where none can be made."""

    def filename(self, key: Any = UNKNOWN, value: Any = UNKNOWN) -> tuple[str, str]:
        return "cache.shelf/a.val", os.path.join(self._directory, "cache.shelf", "a.val")


def test_a_file_that_cannot_be_written_is_an_error_and_the_old_value_stays(tmp_path: Path) -> None:
    with Cache(tmp_path, disk=Unwritable) as cache:
        cache["key"] = 1
        for call in (cache.set, cache.add):
            with pytest.raises(OSError, match=r"a\.val"):
                call("key", LARGE)
        with pytest.raises(OSError, match=r"a\.val"):
            cache.push(LARGE)
        assert (cache["key"], list(cache)) == (1, ["key"])
        assert cache.check() == []
