"""What the cache for cachelib promises."""

from __future__ import annotations

import pickle
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cachelib.serializers import BaseSerializer, JSONSerializer

import coshelf
from coshelf.contrib.cachelib import CannotPickle, CoshelfCache
from coshelf.errors import InvalidKey, NotAShelf, ReadOnlyShelf, ShelfClosed, Unsupported, UntrustedValue
from coshelf.testing.contract.child import Child, Talk
from coshelf.testing.moving_clock import MovingClock

SOME = {"none": None, "false": False, "number": 1, "list": [1, {}], "bytes": b"1", "text": "1"}
Opened = Callable[..., CoshelfCache]


@pytest.fixture
def opened(path: str) -> Iterator[Opened]:
    """Opens a cache, which is closed at the end."""
    caches = []

    def open_cache(target: Any = path, **options: Any) -> CoshelfCache:
        caches.append(CoshelfCache(target, **options))
        return caches[-1]

    yield open_cache
    for cache in caches:
        cache.close()


@pytest.fixture(params=[None, JSONSerializer()], ids=["values", "bytes"])
def serializer(request: pytest.FixtureRequest) -> BaseSerializer | None:
    found: BaseSerializer | None = request.param
    return found


@pytest.mark.parametrize("engine", ["memory", "lmdb", "sqlite"])
def test_every_engine_that_expires_has_all_calls(engine: str, path: str, opened: Opened) -> None:
    cache = opened("memory:" if engine == "memory" else f"{engine}:{path}")
    assert cache.set_many(SOME) == list(SOME)
    assert cache.get_many(*SOME, "missing") == [*SOME.values(), None]
    assert cache.get_dict(*SOME) == SOME
    assert cache.has("none")
    assert not cache.has("missing")
    assert cache.add("new", 1)
    assert not cache.add("new", 2)
    assert (cache.inc("new", 4), cache.dec("new")) == (5, 4)
    assert cache.delete("new")
    assert not cache.delete("new")
    assert cache.delete_many("none", "missing") == ["none", "missing"]
    assert not cache.has("none")
    assert cache.clear()
    assert cache.get("list") is None


def test_entries_expire(opened: Opened) -> None:
    with MovingClock() as clock:
        cache = opened(default_timeout=10)
        cache.set("default", 1)
        cache.set("short", 1, 5)
        cache.set("long", 1, 0)
        clock.pass_by(5)
        assert cache.get_many("default", "short", "long") == [1, None, 1]
        assert cache.add("short", 2)
        clock.pass_by(1_000_000)
        assert cache.get_many("default", "short", "long") == [None, None, 1]


def test_two_processes_lose_no_update_and_a_kill_loses_no_commit(path: str, opened: Opened) -> None:
    def work(talk: Talk) -> None:
        cache = CoshelfCache(path)
        talk.say("ready")
        talk.hear()
        added = 0
        for number in range(200):
            cache.inc("n")
            added += cache.add(str(number), [number])
        talk.say(added)
        talk.hear()

    with Child(work) as one, Child(work) as two:
        for child in (one, two):
            assert child.heard() == "ready"
        for child in (one, two):
            child.tell("go")
        assert int(one.heard()) + int(two.heard()) == 200
        one.kill()
        two.kill()
    assert opened().get("n") == 400
    assert opened().get("199") == [199]


def test_counting_keeps_the_time_and_the_form(serializer: BaseSerializer | None, opened: Opened) -> None:
    cache = opened()
    cache.serializer = serializer
    cache.set("n", 1, 0)
    assert (cache.inc("n"), cache.dec("n", 5)) == (2, -3)
    assert cache.get("n") == -3
    assert cache.part.shelf.expires("n") is None
    assert cache.inc("new", 0) == 0
    assert cache.part.shelf.expires("new") is not None


def test_text_cannot_be_counted_and_stays(opened: Opened) -> None:
    cache = opened()
    cache.set("a", "text")
    with pytest.raises(TypeError):
        cache.inc("a")
    assert cache.get("a") == "text"


def test_bytes_of_a_serializer_are_stored_as_they_are(opened: Opened) -> None:
    cache = opened()
    cache.serializer = JSONSerializer()
    cache.set("a", {"b": 1})
    assert cache.part.shelf["a"] == b'{"b": 1}'
    assert cache.get("a") == {"b": 1}


@pytest.mark.filterwarnings("ignore")
def test_what_a_serializer_refuses_is_not_stored(opened: Opened) -> None:
    cache = opened()
    cache.serializer = JSONSerializer()
    cache.set("a", 1)
    assert not cache.set("a", object())
    assert not cache.add("b", object())
    assert cache.set_many({"a": object(), "c": 3}) == ["c"]
    assert cache.get_many("a", "b", "c") == [1, None, 3]


def test_what_cannot_be_pickled_is_an_error_of_pickle_and_stores_nothing(opened: Opened) -> None:
    cache = opened()
    cache.set("a", 1)
    for store in (cache.set, cache.add):
        with pytest.raises(pickle.PickleError, match="'b'"):
            store("b", lambda: 1)
    with pytest.raises(CannotPickle):
        cache.set_many({"a": 2, "b": lambda: 1})
    assert cache.get_many("a", "b") == [1, None]


def test_value_whose_class_is_gone_counts_as_missing(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache = opened()
    monkeypatch.setitem(globals(), "Basket", type("Basket", (), {"__module__": __name__}))
    cache.set_many({"a": globals()["Basket"](), "b": 1})
    monkeypatch.delitem(globals(), "Basket")
    assert cache.get("a") is None
    assert "Basket" in caplog.text
    assert cache.get_many("a", "b") == [None, 1]
    assert cache.has("a")


def test_shelf_that_is_not_trusted_loads_plain_data_only(path: str, opened: Opened) -> None:
    cache = opened(trust=True)
    cache.set_many({"plain": [1], "object": Namespace()})
    cache.close()
    cache = opened(trust=False)
    assert cache.get("plain") == [1]
    with pytest.raises(UntrustedValue):
        cache.get("object")


def test_caches_of_two_parts_do_not_see_each_other(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["mine"] = 1
        one, two = CoshelfCache(shelf), CoshelfCache(shelf, part="other")
        one.set("a", 1)
        two.set("a", 2)
        assert sorted(shelf) == ["cachelib/a", "mine", "other/a"]
        one.clear()
        assert (one.get("a"), two.get("a"), shelf["mine"]) == (None, 2, 1)
        one.close()
        assert shelf["mine"] == 1


def test_many_entries_are_one_commit(path: str) -> None:
    with coshelf.open(path) as shelf, shelf.watch(timeout=0) as watch:
        cache = CoshelfCache(shelf)
        cache.set_many({"a": 1, "b": 2})
        cache.delete_many("a", "b", "c")
        assert [change.is_last for change in watch] == [False, True, False, True]


def test_pickled_cache_opens_the_same_shelf(opened: Opened) -> None:
    cache = opened(default_timeout=0)
    cache.set("a", 1)
    again = pickle.loads(pickle.dumps(cache))
    assert (again.get("a"), again.default_timeout) == (1, 0)
    again.close()


def test_forked_child_uses_the_cache_of_its_parent(opened: Opened) -> None:
    cache = opened()
    cache.set("n", 1)

    def work(talk: Talk) -> None:
        talk.say(cache.inc("n"))

    with Child(work) as child:
        assert child.heard() == "2"
    assert cache.inc("n") == 3


def test_keys_are_texts(opened: Opened) -> None:
    cache: Any = opened()
    for call in (cache.get, cache.has, cache.delete, cache.inc, lambda key: cache.set(key, 1)):
        with pytest.raises(InvalidKey, match="int"):
            call(1)


def test_limits_of_the_shelf_are_options(opened: Opened) -> None:
    cache = opened(max_entries=10, evict="lru")
    cache.set_many({str(number): number for number in range(100)})
    cache.part.whole.sync()
    assert len(cache.part.shelf) == 10


def test_engine_without_expiry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="expiry"):
        CoshelfCache(f"files:{tmp_path}/d").set("a", 1)
    with coshelf.open(f"files:{tmp_path}/d") as shelf, pytest.raises(Unsupported, match="expiry"):
        CoshelfCache(shelf)


def test_file_that_is_no_shelf_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a letter")
    with pytest.raises(NotAShelf):
        CoshelfCache(tmp_path / "a.txt").get("a")
    assert (tmp_path / "a.txt").read_text() == "a letter"


def test_read_only_shelf_gives_values_and_refuses_to_store(path: str, opened: Opened) -> None:
    cache = opened()
    cache.set("a", 1)
    cache.close()
    cache = opened(flag="r")
    for call in (cache.clear, lambda: cache.set("a", 2), lambda: cache.inc("a"), lambda: cache.delete("a")):
        with pytest.raises(ReadOnlyShelf):
            call()
    assert cache.get("a") == 1


def test_closed_cache_says_so(opened: Opened) -> None:
    cache = opened()
    cache.set("a", 1)
    cache.close()
    with pytest.raises(ShelfClosed):
        cache.get("a")
