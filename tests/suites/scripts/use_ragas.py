"""Ragas' DiskCacheBackend, below its decorator."""

from __future__ import annotations

from pathlib import Path

from elsewhere import at_once, elsewhere
from ragas.cache import DiskCacheBackend, cacher


def test_decorated_function_runs_once_also_after_reopening(tmp_path: Path) -> None:
    calls = []
    for _ in range(3):

        @cacher(cache_backend=DiskCacheBackend(cache_dir=str(tmp_path)))
        def score(text: str, *, weights: dict[str, float]) -> float:
            calls.append(text)
            return len(text) * sum(weights.values())

        assert score("abcd", weights={"a": 0.5, "b": 0.25}) == 3.0
    assert calls == ["abcd"]
    assert repr(DiskCacheBackend(cache_dir=str(tmp_path))) == f"DiskCacheBackend(cache_dir={tmp_path})"


WORK = """
import sys
from ragas.cache import DiskCacheBackend
cache = DiskCacheBackend(cache_dir=sys.argv[1])
for number in range(100):
    cache.set(f"{sys.argv[2]} {number}", {"n": number})
print(sum(cache.has_key(f"{name} {number}") for name in "ab" for number in range(100)))
"""


def test_processes_write_together_and_a_later_one_reads(tmp_path: Path) -> None:
    at_once(WORK, [(tmp_path, "a"), (tmp_path, "b")])
    assert elsewhere(WORK, tmp_path, "c") == "200"
