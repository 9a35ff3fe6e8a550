"""What the backend for dogpile.cache promises beyond the tests of dogpile.cache."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from dogpile.cache import CacheRegion, make_region
from dogpile.cache.api import NO_VALUE
from dogpile.cache.util import length_conditional_mangler, sha1_mangle_key

import coshelf
from coshelf.contrib.dogpile import CoshelfBackend
from coshelf.errors import NotAShelf, ReadOnlyShelf, ShelfClosed, Unsupported

RegionOf = Callable[..., CacheRegion]
PROJECT = Path(__file__).parents[3] / "pyproject.toml"


@pytest.fixture(params=["memory", "lmdb", "sqlite", "files"])
def target(request: pytest.FixtureRequest, path: str) -> Iterator[coshelf.Shelf[Any, Any]]:
    with coshelf.open("memory:" if request.param == "memory" else f"{request.param}:{path}") as shelf:
        yield shelf


def test_entry_point_names_the_backend() -> None:
    points = tomllib.loads(PROJECT.read_text())["project"]["entry-points"]["dogpile.cache"]
    assert EntryPoint("coshelf", points["coshelf"], "dogpile.cache").load() is CoshelfBackend


def test_every_engine_has_values_and_the_lock(target: coshelf.Shelf[Any, Any], region_of: RegionOf) -> None:
    region = region_of(target)
    assert region.get_or_create("a", lambda: [1]) == [1]
    assert region.get_or_create("a", lambda: [2]) == [1]
    assert region.get_or_create_multi(["a", "b"], lambda *keys: [f"new {key}" for key in keys]) == [[1], "new b"]
    region.delete_multi(["a", "none"])
    assert region.get_multi(["a", "b"]) == [NO_VALUE, "new b"]
    mutex = region.backend.get_mutex("a")
    assert mutex is not None
    assert mutex.acquire()
    assert region.key_is_locked("a")
    mutex.release()


def test_none_is_a_value(path: str, region_of: RegionOf) -> None:
    region = region_of(path)
    region.set("a", None)
    assert region.get("a") is None
    assert region.get("b") is NO_VALUE


def test_region_shares_the_shelf_of_the_program(path: str, region_of: RegionOf) -> None:
    with coshelf.open(path) as shelf:
        shelf["mine"] = 1
        region_of(shelf).set("a", 1)
        region_of(shelf, part="cache/two").set("a", 2)
        assert list(shelf) == ["cache/two/a", "dogpile/a", "mine"]
        assert isinstance(shelf["dogpile/a"], bytes)
        assert region_of(shelf).get("a") == 1


def test_many_values_are_one_commit(path: str, region_of: RegionOf) -> None:
    with coshelf.open(path) as shelf, shelf.watch(timeout=0) as watch:
        region = region_of(shelf)
        region.set_multi({"a": 1, "b": 2, "c": 3})
        region.delete_multi(["a", "c"])
        assert [change.is_last for change in watch] == [False, False, True, False, True]


def test_config_file_configures_it(path: str) -> None:
    region = make_region().configure_from_config(
        {
            "cache.backend": "coshelf",
            "cache.expiration_time": "60",
            "cache.arguments.target": path,
            "cache.arguments.expire": "600",
            "cache.arguments.max_entries": "1000",
        },
        "cache.",
    )
    region.set("a", 1)
    region.actual_backend.close()
    with coshelf.open(path) as shelf:
        assert shelf.expires("dogpile/a") is not None
        assert shelf.info().max_entries == 1000
    assert region.expiration_time == 60


def test_key_mangler_of_the_region_shortens_keys(path: str, region_of: RegionOf) -> None:
    with coshelf.open(path) as shelf:
        mangler = length_conditional_mangler(250, sha1_mangle_key)
        region_of(shelf, make_region(key_mangler=mangler)).set(300 * "a", 1)
        region_of(shelf).set(30_000 * "b", 1)
        assert [len(key) for key in shelf] == [len("dogpile/") + 40, len("dogpile/") + 30_000]


def test_expiring_entries_need_an_engine_that_has_them(tmp_path: Path, region_of: RegionOf) -> None:
    with pytest.raises(Unsupported, match="expiry"):
        region_of(f"files:{tmp_path}/d", expire=60).set("a", 1)


def test_a_shelf_of_the_program_without_expiry_is_refused(tmp_path: Path, region_of: RegionOf) -> None:
    with coshelf.open(f"files:{tmp_path}/d") as shelf, pytest.raises(Unsupported, match="expiry"):
        region_of(shelf, expire=60)


def test_region_without_a_target_is_refused() -> None:
    with pytest.raises(TypeError, match="target"):
        make_region().configure("coshelf", arguments={"path": "a.shelf"})


def test_unknown_argument_is_refused_and_makes_nothing(tmp_path: Path, region_of: RegionOf) -> None:
    region = region_of(str(tmp_path / "a.shelf"), expires=3)
    with pytest.raises(TypeError, match="expires"):
        region.set("a", 1)
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_no_shelf_is_refused_and_stays(tmp_path: Path, region_of: RegionOf) -> None:
    (tmp_path / "a.txt").write_text("a letter")
    with pytest.raises(NotAShelf):
        region_of(tmp_path / "a.txt").set("a", 1)
    assert (tmp_path / "a.txt").read_text() == "a letter"


def test_read_only_shelf_gives_values_and_refuses_to_store(path: str, region_of: RegionOf) -> None:
    with coshelf.open(path) as shelf:
        region_of(shelf).set("a", 1)
    with coshelf.open(path, "r") as shelf:
        region = region_of(shelf)
        assert region.get_or_create("a", lambda: 2) == 1
        with pytest.raises(ReadOnlyShelf):
            region.set("a", 2)
        with pytest.raises(ReadOnlyShelf):
            region.get_or_create("b", lambda: 2)
        assert region.get("a") == 1


def test_closed_backend_says_so_and_loses_nothing(path: str, region_of: RegionOf) -> None:
    region = region_of(path)
    region.set("a", 1)
    region.actual_backend.close()
    with pytest.raises(ShelfClosed):
        region.get("a")
    assert region_of(path).get("a") == 1
