"""DjangoCache: what it adds to a FanoutCache, and what Django asks of a backend."""

from __future__ import annotations

import asyncio
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diskcache as original
import pytest
from django.core.cache.backends.base import CacheKeyWarning
from lock_talk import in_thread, wait_until
from support import Crew

from coshelf import diskcache
from coshelf.diskcache.djangocache import DjangoCache
from coshelf.testing.contract.task import Task


@pytest.fixture
def directory(path: str) -> str:
    return str(Path(path).parent / "cache")


@pytest.fixture
def cache(directory: str) -> Iterator[DjangoCache]:
    cache = DjangoCache(directory, {"KEY_PREFIX": "site", "VERSION": 3})
    yield cache
    cache.close()


def limited(directory: str, **options: Any) -> DjangoCache:
    return DjangoCache(directory, {"OPTIONS": options})


def test_names_are_those_of_diskcache() -> None:
    assert set(diskcache.__all__) - {"remove_old_files", "take_over"} == {*original.__all__, "DjangoCache"}
    assert all(getattr(diskcache, name) is not None for name in diskcache.__all__)
    assert diskcache.DjangoCache is DjangoCache
    with pytest.raises(AttributeError, match="no attribute 'Jangocache'"):
        diskcache.Jangocache  # type: ignore[attr-defined]


def test_import_of_the_package_does_not_import_django(crew: Crew) -> None:
    crew.run(
        """
        from coshelf import diskcache
        assert "django" not in sys.modules
        assert hasattr(diskcache, "DjangoCache") and "django" in sys.modules
        """,
        "",
    )


def test_package_works_without_django(crew: Crew) -> None:
    crew.run(
        """
        import importlib.util
        found = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *rest: None if name == "django" else found(name, *rest)
        sys.modules["django"] = None  # importing it is an ImportError
        from coshelf import diskcache
        assert "DjangoCache" not in diskcache.__all__
        assert not hasattr(diskcache, "DjangoCache")
        """,
        "",
    )


@pytest.mark.parametrize("backend", ["coshelf.diskcache.DjangoCache", "coshelf.diskcache.djangocache.DjangoCache"])
def test_settings_name_the_backend(crew: Crew, directory: str, backend: str) -> None:
    crew.run(
        """
        from django.conf import settings

        options = {"tag_index": True, "MAX_ENTRIES": 30}
        own = {"SHARDS": 4, "DATABASE_TIMEOUT": 1, "OPTIONS": options}
        settings.configure(CACHES={"default": {"BACKEND": sys.argv[2], "LOCATION": path, "TIMEOUT": 60, **own}})

        from django.core.cache import cache, caches

        cache.set("a", 1)
        assert cache.get("a") == 1 and "a" in cache
        backend = caches["default"]
        assert backend.directory == path
        assert backend._cache.timeout == 1 and backend._cache.tag_index
        expires = cache.get("a", expire_time=True)[1]
        assert 50 < expires - time.time() <= 60
        from django.core.signals import request_finished
        request_finished.send(None)
        assert cache.get("a") == 1
        """,
        directory,
        backend,
    )


# --- entries ---------------------------------------------------------------------------------------------------------


def test_keys_have_prefix_and_version(cache: DjangoCache) -> None:
    cache.set("a", 1)
    assert list(cache._cache) == ["site:3:a"]
    assert cache.get("a", version=2) is None
    cache.set("a", 2, version=2)
    assert (cache.get("a"), cache.get("a", version=2)) == (1, 2)
    assert cache.incr_version("a", version=2) == 3
    assert (cache.get("a"), cache.get("a", version=2)) == (2, None)


def test_calls_return_what_those_of_a_fanout_cache_do(cache: DjangoCache) -> None:
    assert cache.add("a", 1, timeout=60, tag="odd") is True
    assert cache.add("a", 2) is False
    assert cache.get("a", expire_time=True, tag=True)[::2] == (1, "odd")
    assert cache.touch("a", timeout=None) is True
    assert cache.touch("b") is False
    assert cache.get("a", expire_time=True) == (1, None)
    assert cache.pop("a", tag=True) == (1, "odd")
    assert cache.pop("a", default=5) == 5
    assert cache.delete("a") is False
    assert cache.set("file", io.BytesIO(b"content"), read=True) is True
    with cache.read("file") as file:
        assert file.read() == b"content"
    with cache.get("file", read=True) as file:
        assert file.read() == b"content"
    with pytest.raises(KeyError):
        cache.read("a")
    assert cache.delete("file") is True
    assert cache.get_or_set("c", lambda: 7) == 7
    assert cache.get_many(["a", "c"]) == {"c": 7}
    assert cache.clear() == 1


@pytest.mark.parametrize(("timeout", "stays"), [(0, False), (-1, False), (60, True), (None, True)])
def test_timeout_of_zero_has_expired(cache: DjangoCache, timeout: float | None, stays: bool) -> None:
    assert cache.set("a", 1, timeout)
    assert ("a" in cache, cache.get("a")) == ((True, 1) if stays else (False, None))


def test_numbers_are_counted_in_one_step(cache: DjangoCache) -> None:
    with pytest.raises(ValueError, match="Key 'site:3:n' not found"):
        cache.incr("n")
    assert cache.incr("n", default=0) == 1

    def count() -> None:
        for _ in range(20):
            cache.incr("n", 2)

    threads = [Task(count) for _ in range(3)]
    for thread in threads:
        thread.finish()
    assert cache.decr("n") == 120


def test_calls_for_tasks_do_what_the_others_do(cache: DjangoCache) -> None:
    async def use() -> None:
        assert await cache.aset("a", 1) is True
        assert await cache.aadd("a", 2) is False
        assert await cache.aget("a") == 1
        assert await cache.aget("b", 5) == 5
        assert await cache.ahas_key("a")
        assert await cache.atouch("a", 60)
        assert await cache.aset_many({"b": 2, "c": 3}) == []
        assert await cache.aget_many(["a", "b", "c"]) == {"a": 1, "b": 2, "c": 3}
        assert await cache.aget_or_set("d", 4) == 4
        await cache.adelete_many(["b", "c"])
        assert await cache.adelete("d")
        with pytest.raises(ValueError, match="not found"):
            await cache.aincr("n")
        await cache.aset("n", 0, timeout=60)
        await asyncio.gather(*(cache.aincr("n", 3) for _ in range(20)), *(cache.adecr("n") for _ in range(20)))
        assert await cache.aget("n") == 40
        assert cache.get("n", expire_time=True)[1] is not None  # as it was set
        await cache.aclear()
        await cache.aclose()

    asyncio.run(use())
    assert cache.get("a") is None


# --- keys ------------------------------------------------------------------------------------------------------------


def test_key_that_memcached_would_refuse_is_a_warning(cache: DjangoCache) -> None:
    calls: list[Any] = [
        lambda key: cache.add(key, 1),
        cache.get,
        lambda key: cache.set(key, 1),
        cache.touch,
        cache.incr,
        cache.decr,
        cache.has_key,
        cache.pop,
        cache.delete,
        lambda key: cache.get_many([key]),
    ]
    for key in ("with space", "x" * 250):
        cache._cache.set(f"site:3:{key}", 0)
        for call in calls:
            with pytest.warns(CacheKeyWarning, match="memcached"):
                call(key)


def test_keys_that_are_no_str_are_not_checked(cache: DjangoCache) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.set(("a b", None, 1), 1)
        assert cache.get(("a b", None, 1)) == 1


# --- the limit -------------------------------------------------------------------------------------------------------


def test_max_entries_keep_the_newest(directory: str) -> None:
    cache = limited(directory, MAX_ENTRIES=6)
    for number in range(7):
        cache.set(str(number), number)
    assert [number for number in range(7) if str(number) in cache] == [2, 3, 4, 5, 6]  # a third goes at once
    cache.set("2", 2)
    cache.add("2", 2)
    cache.add("7", 7)
    assert len(cache._cache) == 6
    cache.close()


def test_expired_entries_go_first(directory: str) -> None:
    cache = limited(directory, MAX_ENTRIES=4)
    for number in range(4):
        cache.set(str(number), number, timeout=0 if number == 3 else 60)
    cache.set("4", 4)
    assert [number for number in range(5) if str(number) in cache] == [0, 1, 2, 4]
    cache.close()


def test_cull_frequency_of_zero_removes_all(directory: str) -> None:
    cache = limited(directory, MAX_ENTRIES=4, CULL_FREQUENCY=0)
    for number in range(5):
        cache.set(str(number), number)
    assert len(cache._cache) == 1
    cache.close()


def test_nothing_goes_without_max_entries(cache: DjangoCache) -> None:
    for number in range(301):  # Django's own backends keep 300
        cache.set(str(number), number)
    assert len(cache._cache) == 301


# --- the rest --------------------------------------------------------------------------------------------------------


def test_functions_are_memoized(cache: DjangoCache) -> None:
    calls = []

    @cache.memoize(timeout=60, tag="squares", ignore={"note"})
    def square(number: int, note: str = "") -> int | None:
        calls.append(number)
        return number * number if number else None

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [square(3), square(3, note="again"), square(0), square(0)] == [9, 9, None, None]
    assert calls == [3, 0]
    key = square.__cache_key__(3)  # type: ignore[attr-defined]
    assert cache.get(key, tag=True) == (9, "squares")
    cache.delete(key)
    square(3)
    assert calls == [3, 0, 3]
    assert cache.evict("squares") == 2
    with pytest.raises(TypeError, match="name cannot be callable"):
        cache.memoize(square)  # type: ignore[arg-type]


def test_memoized_results_with_timeout_zero_are_not_stored(cache: DjangoCache) -> None:
    calls = []

    @cache.memoize(name="work", timeout=0, version=5)
    def work() -> None:
        calls.append(1)

    work()
    work()
    assert len(calls) == 2
    cache.set(("work", None), 7, version=5)
    assert work() == 7


def test_upkeep_is_that_of_the_cache(cache: DjangoCache) -> None:
    cache.set("old", 1, timeout=0.01)
    wait_until(lambda: "old" not in cache)
    assert cache.expire() == 1
    assert cache.stats(enable=True) == (0, 0)
    cache.get("a")
    assert cache.stats(enable=False, reset=True) == (0, 1)
    cache.create_tag_index()
    assert cache._cache.tag_index == 1
    cache.drop_tag_index()
    assert cache._cache.tag_index == 0
    assert cache.cull() == 0


def test_caches_deques_and_indexes_lie_below(cache: DjangoCache, directory: str) -> None:
    cache.cache("inner")["a"] = 1
    cache.deque("jobs", maxlen=2).extend([1, 2, 3])
    cache.index("names")["b"] = 2
    assert in_thread(lambda: cache.cache("inner")["a"]) == 1
    assert list(cache.deque("jobs", maxlen=2)) == [2, 3]
    assert cache.index("names")["b"] == 2
    assert {path.name for path in Path(directory).iterdir()} >= {"cache", "deque", "index"}
    assert cache.clear() == 0
