"""Functions whose results a cache stores."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from coshelf.diskcache import Cache
from coshelf.diskcache.core import args_to_key, full_name


@pytest.fixture
def cache(tmp_path: Any) -> Iterator[Cache]:
    with Cache(tmp_path) as cache:
        yield cache


def test_a_call_computes_once(cache: Cache) -> None:
    calls = []

    @cache.memoize()
    def double(number: Any, *, by: int = 2) -> Any:
        """Docstring."""
        calls.append(number)
        return None if number is None else number * by

    assert (double(4), double(4), double(None), double(None)) == (8, 8, None, None)
    assert (double(4, by=3), double(number=4)) == (12, 8)
    assert calls == [4, None, 4, 4]
    assert (double.__doc__, double.__name__) == ("Docstring.", "double")
    assert double.__wrapped__(4) == 8  # type: ignore[attr-defined]
    key = double.__cache_key__(4, by=3)  # type: ignore[attr-defined]
    assert key == (full_name(double), 4, None, "by", 3)
    assert cache[key] == 12


def test_a_recursive_function_uses_its_own_results(cache: Cache) -> None:
    @cache.memoize("fibonacci", tag="numbers")
    def fibonacci(number: int) -> int:
        return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)

    assert [fibonacci(number) for number in range(40)][-1] == 63245986
    assert len(cache) == 40
    assert cache.get(("fibonacci", 39, None), tag=True) == (63245986, "numbers")


def test_equal_arguments_hit_whatever_they_share(cache: Cache) -> None:
    calls = []

    @cache.memoize()
    def join(*parts: str) -> str:
        calls.append(parts)
        return "".join(parts)

    one, other = (str(2**70) for _ in range(2))
    assert join(one, one) == join(one, other) == join(other, one)
    assert len(calls) == 1


def test_typed_and_ignore_choose_what_is_different(cache: Cache) -> None:
    @cache.memoize(typed=True)
    def typed(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    @cache.memoize(ignore={1, "b"})
    def some(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    assert typed(1, a=2) == ((1,), {"a": 2})
    assert repr(typed(1.0, a=2.0)) == "((1.0,), {'a': 2.0})"
    assert some(1, 2, 3, a=4, b=5) == some(1, 6, 3, a=4, b=7) == ((1, 2, 3), {"a": 4, "b": 5})
    assert some(1, 2, 4) == ((1, 2, 4), {})


def test_expire_0_stores_nothing(cache: Cache) -> None:
    @cache.memoize(expire=0)
    def one() -> int:
        return 1

    assert one() == 1
    assert len(cache) == 0


def test_the_parentheses_must_not_be_forgotten(cache: Cache) -> None:
    with pytest.raises(TypeError, match="name cannot be callable"):
        cache.memoize(lambda: 1)  # type: ignore[arg-type]


def test_of_a_coroutine_function_the_result_is_stored(cache: Cache) -> None:
    calls = []

    @cache.memoize()
    async def double(number: int) -> int:
        calls.append(number)
        return number * 2

    async def twice() -> list[int]:
        return [await double(4), await double(4)]

    assert asyncio.run(twice()) == [8, 8]
    assert calls == [4]
    assert cache[double.__cache_key__(4)] == 8  # type: ignore[attr-defined]


def test_the_key_of_a_call() -> None:
    assert args_to_key(("n",), (1, 2), {}, False, ()) == ("n", 1, 2, None)
    assert args_to_key(("n",), (1, 2), {"b": 1, "a": 2}, False, ()) == ("n", 1, 2, None, "a", 2, "b", 1)
    assert args_to_key(("n",), (1, "x"), {"b": 1.0, "a": 2}, True, {0, "a"}) == ("n", "x", None, "b", 1.0, str, float)
    assert args_to_key((), (), {"a": 1}, False, {"a"}) == (None,)
    assert full_name(full_name) == f"{full_name.__module__}.full_name"
