"""Outlines' memoized functions, plain and coroutine, in its directory of pickles by cloudpickle."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from elsewhere import at_once, elsewhere
from outlines import caching


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUTLINES_CACHE_DIR", str(tmp_path))
    caching.get_cache.cache_clear()
    return tmp_path


def test_functions_and_coroutine_functions_run_once(directory: Path) -> None:
    calls: list[object] = []

    @caching.cache()
    def plain(number: int, *, factor: int = 2) -> object:
        calls.append(number)
        return lambda: number * factor  # cloudpickle takes it

    @caching.cache()
    async def later(text: str) -> str:
        calls.append(text)
        return text * 20_000

    assert [plain(3, factor=5)() for _ in range(3)] == [15] * 3
    assert [asyncio.run(later("a\r\n")) for _ in range(3)] == ["a\r\n" * 20_000] * 3
    assert calls == [3, "a\r\n"]
    assert caching.get_cache().directory == str(directory)
    caching.clear_cache()
    plain(3, factor=5)
    assert calls == [3, "a\r\n", 3]


def test_ignored_and_typed_arguments() -> None:
    calls = []

    @caching.cache(typed=True, ignore={1})
    def two(first: object, second: object) -> object:
        calls.append((first, second))
        return first

    two(1, 2)
    two(1, 3)
    two(1.0, 2)
    assert calls == [(1, 2), (1.0, 2)]


WORK = """
import sys
from outlines import caching
caching.get_cache()  # the first one clears the directory of another version
calls = []

@caching.cache()
def square(number):
    calls.append(number)
    return number * number

print(sum(square(number) for number in range(50)), len(calls))
"""


def test_processes_call_together_and_a_later_one_computes_nothing() -> None:
    caching.get_cache()
    said = at_once(WORK, [(), ()])
    assert {line.split()[0] for line in said} == {"40425"}
    assert elsewhere(WORK) == "40425 0"
