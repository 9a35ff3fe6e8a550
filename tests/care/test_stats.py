"""Statistics are what can be counted by hand."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from support import Crew

import coshelf

ENTRIES: dict[Any, Any] = {"users/ann": 1, "users/bob/x": 2, "jobs/1": "x" * 5_000, "n": 3, ("t", 1): 4, 5: "y" * 300}


@pytest.mark.parametrize("kind", ["lmdb", "memory", "mapping"])
def test_entries_are_counted_by_prefix_and_size(kind: str, path: str) -> None:
    target: Any = {"lmdb": path, "memory": "memory:", "mapping": {}}[kind]
    with coshelf.open(target) as shelf:
        shelf.update(ENTRIES)
        stats = shelf.stats(largest=2)
        rows = {key: len(key) + len(entry.record) for key, entry in shelf._handle.engine.scan(b"\x10", b"\xff")}
        assert stats.entries == 6
        assert stats.bytes == sum(rows.values())
        assert {prefix: entries for prefix, (entries, _) in stats.prefixes.items()} == {"": 3, "jobs/": 1, "users/": 2}
        assert sum(size for _, size in stats.prefixes.values()) == stats.bytes
        assert stats.largest == [
            ("'jobs/1'", rows[b"\x30jobs/1"]),
            ("5", max(size for size in rows.values() if size < 1_000)),
        ]
        assert set(shelf.stats(prefix_depth=2).prefixes) == {"", "jobs/", "users/", "users/bob/"}
        assert set(shelf.stats(prefix_depth=0).prefixes) == {""}
        part = shelf.sub("users").stats()
        assert (part.entries, set(part.prefixes)) == (2, {"", "bob/"})
        cheap = shelf.stats(cheap=True)
        assert (cheap.entries, cheap.bytes, cheap.prefixes) == (6, None, {})
        assert (stats.file is None) == (kind != "lmdb")
        json.dumps(stats.as_dict())


def test_pages_and_what_waits_are_counted(path: str) -> None:
    with coshelf.open(path, flush_interval=60) as shelf:
        shelf.update(dict.fromkeys(range(2_000), "x" * 100))
        shelf.sync()
        shelf.clear()
        shelf.sync()
        shelf.update(a=1, b=2)
        del shelf["a"]
        file = shelf.stats().file
        assert file is not None
        assert file.page_size * file.pages >= file.file_size
        assert 50 < file.free_pages < file.pages
        assert file.waiting_entries <= 2
        assert (file.waiting_entries > 0) == (file.waiting_bytes > 0)
        shelf.sync()
        file = shelf.stats().file
        assert file.waiting_entries == file.waiting_bytes == 0
        assert file.file_size == os.stat(path).st_size
        assert file.sequence == shelf._handle.engine.snapshot().last_commit()
        shelf.compact()
        assert shelf.stats().file.free_pages == 0


def test_readers_and_holders_are_named(path: str, crew: Crew) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
        shelf.sync()  # or a flush could leave the other's snapshot behind
        other = crew.start(
            """
            with coshelf.open(path) as shelf, shelf.snapshot() as then, shelf.transaction():
                say("reading"); hear()
            """,
            path,
        )
        other.expect("reading")
        file = shelf.stats().file
        assert [reader.behind for reader in file.readers if reader.pid == other.pid and reader.behind is not None] == [
            0
        ]
        assert file.holder_pid == other.pid
        assert file.oldest_snapshot is None
        other.tell()
        other.finish()
        with shelf.snapshot():
            file = shelf.stats(cheap=True).file
            assert {reader.pid for reader in file.readers} == {os.getpid()}
            assert file.holder_pid is None
            assert file.oldest_snapshot >= 0
