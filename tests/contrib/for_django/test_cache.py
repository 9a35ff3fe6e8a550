"""CoshelfCache: what it promises beyond Django's own tests of backends, which `make suites` runs."""

from __future__ import annotations

import asyncio
import pickle
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import CacheKeyWarning, caches
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.core.signals import request_finished
from django.test import override_settings
from support import Crew

import coshelf
from coshelf.contrib.django import shelves
from coshelf.contrib.django.cache import CoshelfCache, UnpicklableValue
from coshelf.contrib.django.management.commands.coshelf_worker import Command

BACKEND = "coshelf.contrib.django.cache.CoshelfCache"
ENGINES = ["lmdb", "memory", "sqlite"]


def made(path: str, **options: Any) -> CoshelfCache:
    return CoshelfCache(path, {"OPTIONS": options})


@pytest.fixture
def cache(path: str) -> CoshelfCache:
    return made(path)


@pytest.fixture(params=ENGINES)
def any_cache(request: pytest.FixtureRequest, path: str) -> CoshelfCache:
    return made({"lmdb": path, "memory": "memory:", "sqlite": f"sqlite:{path}"}[request.param])


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(main)


# --- entries ---------------------------------------------------------------------------------------------------------


def test_methods_work_on_every_engine(any_cache: CoshelfCache) -> None:
    cache = any_cache
    cache.set("a", {"x": [1]})
    assert cache.get("a") == {"x": [1]}
    assert cache.add("a", 2) is False
    assert cache.add("b", 2) is True
    assert cache.incr("b", 40) == 42
    assert cache.set_many({"c": 3, "d": None}) == []
    assert cache.get_many(["a", "c", "d", "e"]) == {"a": {"x": [1]}, "c": 3, "d": None}
    assert cache.touch("c", 5) is True
    assert cache.touch("e", 5) is False
    assert cache.get_or_set("e", lambda: 5) == 5
    assert cache.incr_version("b") == 2
    assert (cache.get("b"), cache.get("b", version=2)) == (None, 42)
    cache.delete_many(["a", "c", "z"])
    assert (cache.has_key("a"), "d" in cache, cache.delete("d"), cache.delete("d")) == (False, True, True, False)
    cache.clear()
    assert len(cache.shelf) == 0


def test_methods_of_tasks_work_on_every_engine(any_cache: CoshelfCache) -> None:
    cache = any_cache

    async def main() -> None:
        await cache.aset("a", {"x": [1]})
        assert await cache.aget("a") == {"x": [1]}
        assert await cache.aadd("a", 2) is False
        assert await cache.aadd("b", 2) is True
        assert await cache.aincr("b", 40) == 42
        assert await cache.adecr("b", 2) == 40
        assert await cache.aset_many({"c": 3, "d": None}) == []
        assert await cache.aget_many(["a", "c", "d", "e"]) == {"a": {"x": [1]}, "c": 3, "d": None}
        assert await cache.atouch("c", 5) is True
        assert await cache.aget_or_set("e", lambda: 5) == 5
        assert await cache.aincr_version("b") == 2
        assert await cache.adecr_version("b", version=2) == 1
        await cache.adelete_many(["a", "c", "z"])
        assert [await cache.ahas_key("a"), await cache.adelete("d"), await cache.adelete("d")] == [False, True, False]
        with pytest.raises(ValueError, match="'z' not found"):
            await cache.aincr("z")
        with pytest.raises(ValueError, match="'z' not found"):
            await cache.aincr_version("z")
        with pytest.raises(UnpicklableValue):
            await cache.aset("z", lambda: 1)
        await cache.aclear()
        await cache.aclose()

    run(main())
    assert len(cache.shelf) == 0


CALLS: dict[str, Callable[[CoshelfCache, str], Any]] = {
    "get": lambda cache, key: cache.get(key),
    "set": lambda cache, key: cache.set(key, 1),
    "add": lambda cache, key: cache.add(key, 1),
    "touch": lambda cache, key: cache.touch(key),
    "delete": lambda cache, key: cache.delete(key),
    "has_key": lambda cache, key: cache.has_key(key),
    "incr": lambda cache, key: cache.incr(key),
    "incr_version": lambda cache, key: cache.incr_version(key),
    "get_many": lambda cache, key: cache.get_many([key]),
    "set_many": lambda cache, key: cache.set_many({key: 1}),
    "delete_many": lambda cache, key: cache.delete_many([key]),
    "aget": lambda cache, key: run(cache.aget(key)),
    "aset": lambda cache, key: run(cache.aset(key, 1)),
    "aadd": lambda cache, key: run(cache.aadd(key, 1)),
    "atouch": lambda cache, key: run(cache.atouch(key)),
    "adelete": lambda cache, key: run(cache.adelete(key)),
    "ahas_key": lambda cache, key: run(cache.ahas_key(key)),
    "aincr": lambda cache, key: run(cache.aincr(key)),
    "aincr_version": lambda cache, key: run(cache.aincr_version(key)),
    "aget_many": lambda cache, key: run(cache.aget_many([key])),
    "aset_many": lambda cache, key: run(cache.aset_many({key: 1})),
    "adelete_many": lambda cache, key: run(cache.adelete_many([key])),
}


def test_every_method_warns_of_a_key_that_memcached_would_refuse() -> None:
    cache = made("memory:")
    for name, call in CALLS.items():
        refused = pytest.raises(ValueError) if "incr" in name else nullcontext()
        with pytest.warns(CacheKeyWarning), refused:
            call(cache, "k" * 300)


@pytest.mark.filterwarnings("ignore::django.core.cache.CacheKeyWarning")
def test_a_key_may_be_long_and_have_any_character(cache: CoshelfCache) -> None:
    key = "a b\x00\n\u20ac/" * 200
    cache.set(key, 1)
    assert (cache.get(key), cache.get(key + "x")) == (1, None)


def test_a_value_is_a_copy(cache: CoshelfCache) -> None:
    value = [1]
    cache.set("a", value)
    value.append(2)
    cache.get("a").append(3)
    assert cache.get("a") == [1]


def test_classes_of_a_program_come_back_from_a_shelf_of_its_own(cache: CoshelfCache) -> None:
    from django.utils.safestring import SafeString, mark_safe

    cache.set("html", mark_safe("<b>"))
    cache.set("at", date(2026, 1, 1))
    assert type(cache.get("html")) is SafeString
    assert cache.get("at") == date(2026, 1, 1)


def test_a_value_that_cannot_be_pickled_stores_nothing(cache: CoshelfCache) -> None:
    cache.set("a", 1)
    calls: list[Callable[[], Any]] = [
        lambda: cache.set("a", threading.Lock()),
        lambda: cache.add("b", threading.Lock()),
        lambda: cache.set_many({"c": 1, "a": threading.Lock()}),
    ]
    for call in calls:
        with pytest.raises(pickle.PickleError) as caught:
            call()
        assert isinstance(caught.value, coshelf.UnwritableValue)
    assert cache.get_many("abc") == {"a": 1}


def test_a_version_keeps_the_time_of_its_entry(cache: CoshelfCache) -> None:
    cache.set_many({"a": 1, "b": 1}, timeout=1000)
    cache.set("b", 1, timeout=None)
    before = cache.shelf.expires(":1:a")
    assert before is not None
    cache.incr_version("a")
    cache.incr_version("b")
    after = cache.shelf.expires(":2:a")
    assert after is not None
    assert abs(after - before) < 1
    assert cache.shelf.expires(":2:b") is None


def test_a_missing_key_has_no_version_and_is_not_counted(cache: CoshelfCache) -> None:
    for call in (cache.incr, cache.decr, cache.incr_version, cache.decr_version):
        with pytest.raises(ValueError, match="'a' not found"):
            call("a")
    cache.set("text", "a")
    with pytest.raises(TypeError):
        cache.incr("text")
    assert cache.get_many(["a", "text"]) == {"text": "a"}


def test_a_bulk_call_is_one_commit(cache: CoshelfCache) -> None:
    cache.set("z", 1)
    seen = []
    with cache.shelf.watch(timeout=0) as watch:
        cache.set_many({"a": 1, "b": 2, "c": 3})
        cache.delete_many(["a", "b", "c"])
        cache.incr_version("z")
        seen = [(change.key, change.is_last) for change in watch]
    commits = [key for key, is_last in seen if is_last]
    assert len(seen) == 8
    assert len(commits) == 3


# --- one handle for all ----------------------------------------------------------------------------------------------


def test_backends_of_all_requests_share_a_handle(path: str) -> None:
    with override_settings(CACHES={"default": {"BACKEND": BACKEND, "LOCATION": path}}):
        found = []

        def request() -> None:
            cache = caches["default"]
            cache.set("a", 1)
            found.append((cache, cache.shelf._handle))
            request_finished.send(sender=None)
            assert cache.get("a") == 1

        async def asynchronous_request() -> None:
            cache = caches["default"]
            assert await cache.aget("a") == 1
            found.append((cache, cache.shelf._handle))

        request()
        threads = [threading.Thread(target=request) for _ in range(3)]
        for thread in threads:
            thread.start()
            thread.join()
        for _ in range(3):
            run(asynchronous_request())
        assert len({id(cache) for cache, _ in found}) > 3
        assert len({id(handle) for _, handle in found}) == 1


def test_other_settings_close_the_shelf_and_the_next_use_opens_it(path: str) -> None:
    with override_settings(CACHES={"default": {"BACKEND": BACKEND, "LOCATION": path}}):
        cache = caches["default"]
        cache.set("a", 1)
        shelf = cache.shelf
    assert shelf.closed
    assert cache.get("a") == 1
    assert run(cache.aget("a")) == 1


def test_loops_of_several_threads_share_a_handle(cache: CoshelfCache) -> None:
    async def add(name: str) -> None:
        for number in range(20):
            await cache.aset(f"{name}{number}", number)

    threads = [threading.Thread(target=lambda name=name: run(add(name))) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache.shelf) == 60


def test_aliases_with_other_options_have_handles_of_their_own(path: str) -> None:
    first, same, part = made(path), made(path), made(path, part="other")
    first.set("a", 1)
    assert (same.get("a"), part.get("a")) == (1, None)
    assert first._held is same._held is not part._held
    with coshelf.open(path) as shelf:
        assert list(shelf) == ["django/cache/:1:a"]
    part.set("b", 1)
    part.clear()
    assert first.get("a") == 1


def test_a_shelf_of_the_program_can_be_the_location() -> None:
    with coshelf.open("memory:") as shelf:
        cache = CoshelfCache(shelf, {"TIMEOUT": None})
        cache.set("a", 1)
        cache.close()
        shelves.close_all()
        assert dict(shelf) == {"django/cache/:1:a": 1}


def test_memory_is_shared_by_the_threads_of_a_process() -> None:
    made("memory:").set("a", 1)
    assert made("memory:").get("a") == 1


def test_options_are_those_of_coshelf(path: str) -> None:
    cache = made(path, max_entries=1000, durability="commit", compress="zstd")
    cache.set("a", 1000 * "a")
    assert cache.shelf.record(":1:a").is_compressed


# --- what cannot be --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("location", ["", None, 5])
def test_a_missing_location_is_said_at_once(location: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="LOCATION of CACHES must be the path or URL of a shelf"):
        made(location)


def test_an_option_that_does_not_exist_is_said_at_once(path: str) -> None:
    for name in ("max_size", "writeback"):
        with pytest.raises(ImproperlyConfigured, match=f"{name}.* does not exist"):
            made(path, **{name: 1})


def test_an_engine_without_expiry_is_refused(tmp_path: Path) -> None:
    cache = made(f"files:{tmp_path / 'folder'}")
    with pytest.raises(coshelf.Unsupported, match="expiry"):
        cache.get("a")


def test_an_open_shelf_without_expiry_is_refused_at_once(tmp_path: Path) -> None:
    with (
        coshelf.open(f"files:{tmp_path / 'folder'}") as shelf,
        pytest.raises(coshelf.Unsupported, match="expiry=False"),
    ):
        CoshelfCache(shelf, {})


def test_tasks_of_an_older_django_are_refused_by_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "django.tasks", None)  # as in Django 5.2
    with pytest.raises(CommandError, match=r"Tasks are new in Django 6\.0"):
        call_command(Command())


def test_a_file_that_is_no_shelf_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    cache = made(str(tmp_path / "a.txt"))
    for call in (lambda: cache.set("a", 1), lambda: run(cache.aset("a", 1))):
        with pytest.raises(coshelf.NotAShelf):
            call()
    assert (tmp_path / "a.txt").read_text() == "mine"


def test_a_cache_that_is_only_read_says_so(path: str) -> None:
    made(path).set("a", 1)
    cache = made(path, flag="r")
    assert cache.get("a") == 1
    with pytest.raises(coshelf.ReadOnlyShelf):
        cache.set("a", 2)
    assert made(path).get("a") == 1


def test_the_synchronous_methods_need_no_anyio(crew: Crew, path: str) -> None:
    crew.run(
        """
        sys.modules["anyio"] = None
        import asyncio
        from coshelf.contrib.django.cache import CoshelfCache
        cache = CoshelfCache(path, {})
        cache.set("a", 1)
        assert cache.get("a") == 1
        try:
            asyncio.run(cache.aget("a"))
        except MissingExtra as error:
            assert "coshelf[aio]" in str(error)
        else:
            raise AssertionError
        """,
        path,
    )


# --- MAX_ENTRIES -----------------------------------------------------------------------------------------------------


def test_a_full_cache_drops_what_expires_next(path: str) -> None:
    cache = made(path, MAX_ENTRIES=9)
    cache.set("always", 1, timeout=None)
    for number in range(8):
        cache.set(f"k{number}", number, timeout=1000 - number)
    assert len(cache.shelf) == 9
    cache.set("new", 1, timeout=5000)
    assert sorted(cache.shelf) == sorted(f":1:{key}" for key in ["always", "new", "k0", "k1", "k2", "k3", "k4"])


def test_storing_a_key_again_drops_nothing(path: str) -> None:
    cache = made(path, MAX_ENTRIES=5)
    for _ in range(4):
        for number in range(5):
            cache.set(f"k{number}", number)
            cache.add(f"k{number}", number)
    assert len(cache.shelf) == 5


def test_many_new_keys_at_once_stay_within_the_limit(path: str) -> None:
    cache = made(path, MAX_ENTRIES=10)
    cache.set_many({f"a{number}": 1 for number in range(10)})
    run(cache.aset_many({f"b{number}": 1 for number in range(6)}))
    assert len(cache.shelf) == 10
    assert len(cache.get_many([f"b{number}" for number in range(6)])) == 6


def test_aliases_with_other_limits_do_not_count_for_each_other(path: str) -> None:
    large, small = made(path, MAX_ENTRIES=100), made(path, MAX_ENTRIES=5)
    for number in range(20):
        large.set(f"a{number % 3}", number)
        small.set(f"b{number}", number)
        assert len(small.shelf) <= 5


def test_without_max_entries_there_is_no_limit(path: str) -> None:
    cache = made(path)
    cache.set_many({f"a{number}": 1 for number in range(1000)})
    cache.set("b", 1)
    assert len(cache.shelf) == 1001


# --- processes -------------------------------------------------------------------------------------------------------

_COUNT = """
    from coshelf.contrib.django.cache import CoshelfCache
    cache = CoshelfCache(path, {"TIMEOUT": 1000})
    cache.get("count")
    say("ready")
    hear()
    won = 0
    for number in range(100):
        cache.incr("count")
        won += cache.add(f"k{number}", os.getpid())
    say(won)
"""


def test_processes_count_exactly_and_one_of_them_adds(crew: Crew, path: str) -> None:
    cache = made(path)
    cache.set("count", 0, timeout=1000)
    before = cache.shelf.expires(":1:count")
    workers = crew.start_many(2, _COUNT, path)
    assert sum(int(worker.finish()[0]) for worker in workers) == 100
    assert cache.get("count") == 200
    assert cache.shelf.expires(":1:count") == before


def test_a_killed_process_leaves_all_or_nothing_of_a_bulk_call(crew: Crew, path: str) -> None:
    worker = crew.start(
        """
        from coshelf.contrib.django.cache import CoshelfCache
        cache = CoshelfCache(path, {"TIMEOUT": None})
        for number in range(10**9):
            cache.set_many({key: number for key in "abcdefgh"})
            if number == 20:
                say("busy")
        """,
        path,
    )
    worker.expect("busy")
    worker.kill()
    cache = made(path)
    found = cache.get_many("abcdefgh")
    assert len(found) == 8
    assert len(set(found.values())) == 1
    assert cache.get("a") >= 20


def test_a_forked_child_uses_the_cache_of_its_parent(crew: Crew, path: str) -> None:
    crew.run(
        """
        import asyncio
        from coshelf.contrib.django.cache import CoshelfCache
        cache = CoshelfCache(path, {})
        cache.set("a", 1)
        assert asyncio.run(cache.aget("a")) == 1
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            assert asyncio.run(cache.aget("a")) == 1
            asyncio.run(cache.aset("b", 2))
            cache.incr("b")
            os._exit(0)
        assert reap(child) == 0
        assert cache.get("b") == 3
        assert asyncio.run(cache.aincr("b")) == 4
        """,
        path,
    )


def test_an_entry_expires_for_all(path: str) -> None:
    cache = made(path)
    cache.set("a", 1, timeout=0.01)
    cache.set("b", 1)
    end = time.monotonic() + 60
    while cache.has_key("a"):
        assert time.monotonic() < end
        time.sleep(0.005)
    assert (cache.get("a"), cache.add("a", 2), cache.get("b")) == (None, True, 1)
