"""Weave's cache of server responses. Weave itself comes with a fork of diskcache, under the same name."""

from __future__ import annotations

from pathlib import Path

from elsewhere import at_once, elsewhere
from weave.trace_server_bindings.caches import DiskCache, LRUCache, StackedCache


def test_values_keys_and_deletion(tmp_path: Path) -> None:
    cache = DiskCache(str(tmp_path), size_limit=100_000_000)
    cache.put("a", "text")
    cache.put("b", '{"json": "\r\n"}' * 10_000)
    assert cache.get("a") == "text"
    assert cache.get("b") == '{"json": "\r\n"}' * 10_000
    assert cache.get("missing") is None
    assert cache.keys() == {"a", "b"}
    assert "a" in cache
    cache.delete("a")
    cache.delete("a")
    assert "a" not in cache
    cache.close()
    assert DiskCache(str(tmp_path)).keys() == {"b"}


def test_memory_above_disk(tmp_path: Path) -> None:
    memory, disk = LRUCache[str, str](10), DiskCache(str(tmp_path))
    stacked = StackedCache([memory, disk], existence_check_optimization=True)
    stacked.put("a", "1")
    memory.clear()
    assert stacked.get("a") == "1"
    assert memory.get("a") == "1"
    stacked.delete("a")
    assert stacked.keys() == set()
    stacked.close()


WORK = """
import sys
from weave.trace_server_bindings.caches import DiskCache
cache = DiskCache(sys.argv[1])
for number in range(100):
    cache.put(f"{sys.argv[2]} {number}", str(number))
print(len(cache.keys()))
"""


def test_processes_write_together_and_a_later_one_reads(tmp_path: Path) -> None:
    at_once(WORK, [(tmp_path, "a"), (tmp_path, "b")])
    assert elsewhere(WORK, tmp_path, "c") == "300"
