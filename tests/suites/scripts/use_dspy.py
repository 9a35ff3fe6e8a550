"""DSPy's cache: sixteen shards, any values or those of an allowlist, and functions by its decorator."""

from __future__ import annotations

import asyncio
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.clients.cache import Cache, request_cache
from elsewhere import at_once, elsewhere


def on_disk(directory: Path, **options: Any) -> Cache:
    return Cache(
        enable_disk_cache=True,
        enable_memory_cache=False,
        disk_cache_dir=str(directory),
        disk_size_limit_bytes=1_000_000_000,
        **options,
    )


@pytest.mark.parametrize("restrict", [False, True])
def test_responses_are_found_again(tmp_path: Path, restrict: bool) -> None:
    cache = on_disk(tmp_path, restrict_pickle=restrict)
    request = {"prompt": "hello", "temperature": 0.5}
    assert cache.get(request) is None
    cache.put(request, {"text": "good day", "tokens": [1, 2]})
    assert cache.get(request) == {"text": "good day", "tokens": [1, 2]}
    assert cache.cache_key(request) in cache
    assert cache.get({"prompt": "hello", "temperature": 0.6}) is None
    cache.put({"prompt": "long"}, ["x\r\n" * 30_000])
    assert on_disk(tmp_path, restrict_pickle=restrict).get({"prompt": "long"}) == ["x\r\n" * 30_000]


def test_values_out_of_the_allowlist_are_not_loaded_and_removed(tmp_path: Path) -> None:
    request = {"prompt": "hello"}
    on_disk(tmp_path).put(request, OrderedDict(a=1))
    allowing = on_disk(tmp_path, restrict_pickle=True, safe_types=[OrderedDict])
    assert allowing.get(request) == OrderedDict(a=1)
    strict = on_disk(tmp_path, restrict_pickle=True)
    assert strict.get(request) is None
    assert strict.cache_key(request) not in strict
    assert pickle.loads(pickle.dumps(strict.disk_cache.directory)) == str(tmp_path)


def test_decorated_functions_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dspy, "cache", on_disk(tmp_path))
    calls = []

    @request_cache()
    def answer(prompt: str) -> dict[str, str]:
        calls.append(prompt)
        return {"answer": prompt.upper()}

    @request_cache()
    async def answer_later(prompt: str) -> dict[str, str]:
        calls.append(prompt)
        return {"answer": prompt.upper()}

    assert [answer(prompt="a") for _ in range(3)] == [{"answer": "A"}] * 3
    assert [asyncio.run(answer_later(prompt="b")) for _ in range(3)] == [{"answer": "B"}] * 3
    assert calls == ["a", "b"]


WORK = """
import sys
from pathlib import Path
from use_dspy import on_disk
cache = on_disk(Path(sys.argv[1]))
for number in range(50):
    cache.put({"prompt": f"{sys.argv[2]} {number}"}, {"n": number})
print(sum(cache.get({"prompt": f"{name} {number}"}) == {"n": number} for name in "ab" for number in range(50)))
"""


def test_processes_write_together_and_a_later_one_reads(tmp_path: Path) -> None:
    at_once(WORK, [(tmp_path, "a"), (tmp_path, "b")])
    assert elsewhere(WORK, tmp_path, "c") == "100"
