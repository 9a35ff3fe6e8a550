"""Opening and closing a cache, its names, and whom it trusts."""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import coshelf.diskcache
from coshelf.diskcache import DEFAULT_SETTINGS, ENOVAL, UNKNOWN, Cache, Disk, EmptyDirWarning, Timeout, core
from coshelf.errors import UntrustedValue, UnwritableValue

LARGE = b"v" * 40_000


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Directories that caches make for themselves are removed with the test's."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("COSHELF_TEST_PLACE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return iter((None,))


# --- directories -----------------------------------------------------------------------------------------------------


def test_without_a_directory_it_makes_a_temporary_one() -> None:
    with Cache() as cache, Cache() as other:
        assert os.path.isdir(cache.directory)
        assert os.path.basename(cache.directory).startswith("diskcache-")
        assert cache.directory != other.directory
        for name, value in DEFAULT_SETTINGS.items():
            assert getattr(cache, name) == value
        assert (cache.count, cache.size, cache.hits, cache.misses) == (0, 0, 0, 0)
    assert os.path.isdir(cache.directory)


@pytest.mark.parametrize("kind", ["str", "Path", "bytes", "~", "$VARIABLE"])
def test_a_directory_may_be_spelled_in_several_ways(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "home" / "a" / "b"
    spelled: Any = {
        "str": str(place),
        "Path": place,
        "bytes": os.fsencode(place),
        "~": "~/a/b",
        "$VARIABLE": "$COSHELF_TEST_PLACE/home/a/b",
    }[kind]
    with Cache(spelled) as cache:
        cache["a"] = 1
        assert cache.directory == str(place)
    with Cache(place) as cache:
        assert cache["a"] == 1


def test_a_directory_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Cache directory .*file/a.* does not exist and could not be created") as caught:
        Cache(tmp_path / "file" / "a")
    assert caught.value.errno


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_directory_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            Cache(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_an_unknown_policy_is_refused_before_anything_is_stored(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="nothing"):
        Cache(tmp_path, eviction_policy="nothing")
    with Cache(tmp_path) as cache:
        assert cache.eviction_policy == "least-recently-stored"


# --- closing ---------------------------------------------------------------------------------------------------------


def test_a_closed_cache_opens_itself_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache["a"] = LARGE
    cache.close()
    cache.close()
    assert (cache["a"], len(cache), cache.get("b")) == (LARGE, 1, None)
    cache.close()
    with cache as same:
        assert same is cache
        cache["b"] = 1
    with cache.transact():
        cache["c"] = 1
    assert list(cache) == ["a", "b", "c"]
    cache.close()


def test_a_copy_of_a_closed_cache_is_a_cache(tmp_path: Path) -> None:
    with Cache(tmp_path / "a") as cache:
        for number in range(5):
            cache[number] = str(number) * 10**number
            cache[str(number)] = b"x" * 10**number
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with Cache(tmp_path / "b") as cache:
        assert [cache[number] for number in range(5)] == [str(number) * 10**number for number in range(5)]
        assert [cache[str(number)] for number in range(5)] == [b"x" * 10**number for number in range(5)]
        assert cache.check() == []


def test_a_cache_whose_directory_is_gone_can_be_closed(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "a")
    cache["a"] = 1
    shutil.rmtree(tmp_path / "a")
    cache.close()


def test_two_caches_of_one_directory_share_what_they_store(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache, Cache(tmp_path) as other:
        cache["a"] = 1
        assert other["a"] == 1
        other["a"] = LARGE
        assert (cache["a"], cache == other, len({cache, other})) == (LARGE, False, 2)
        assert bool(cache)
        cache.clear()
        assert not other


# --- names -----------------------------------------------------------------------------------------------------------


def test_the_names_are_those_of_diskcache() -> None:
    assert coshelf.diskcache.__version__ == "5.6.3"
    assert coshelf.diskcache.__build__ == 0x050603
    for name in ("__title__", "__author__", "__license__", "__copyright__"):
        assert isinstance(getattr(coshelf.diskcache, name), str)
    assert (core.DBNAME, core.MODE_NONE, core.MODE_RAW, core.MODE_BINARY, core.MODE_TEXT, core.MODE_PICKLE) == (
        "cache.db", 0, 1, 2, 3, 4,
    )  # fmt: skip
    assert set(core.METADATA) == {"count", "size", "hits", "misses"}
    assert set(core.EVICTION_POLICY) == {
        "none", "least-recently-stored", "least-recently-used", "least-frequently-used",
    }  # fmt: skip
    assert issubclass(Timeout, Exception)
    assert issubclass(EmptyDirWarning, UserWarning)
    assert Timeout(5).args == (5,)


def test_constants_show_their_names_and_survive_pickling() -> None:
    assert (repr(ENOVAL), repr(UNKNOWN)) == ("ENOVAL", "UNKNOWN")
    assert ENOVAL == ("ENOVAL",) != UNKNOWN
    for protocol in range(6):
        copy = pickle.loads(pickle.dumps(ENOVAL, protocol))
        assert copy == ENOVAL
        assert repr(copy) == "ENOVAL"


# --- trust -----------------------------------------------------------------------------------------------------------


class Run:
    """Unpickling it calls a function."""

    def __reduce__(self) -> Any:
        return (note, (1,))


CALLS: list[int] = []


def note(number: int) -> int:
    CALLS.append(number)
    return number


@pytest.mark.parametrize("how", ["copied", "writable by others"])
@pytest.mark.parametrize("protocol", [0, 5])
def test_planted_pickles_do_not_run_in_a_directory_of_others(tmp_path: Path, how: str, protocol: int) -> None:
    place = tmp_path / "a"
    with Cache(place, disk_pickle_protocol=protocol) as cache:
        cache["plain"] = {"a": (1, [2.5])}
        cache[(1, "key")] = "plain key"
        cache["planted"] = Run()
        cache["large"] = [Run(), b"x" * 500_000]
        cache.push(Run(), "queue")
        cache[Run()] = "planted key"
        CALLS.clear()
        assert (cache["planted"], cache["large"][0], cache.peek("queue")[1]) == (1, 1, 1)
        assert len(CALLS) == 3
    if how == "copied":
        place = tmp_path / "b"
        shutil.copytree(tmp_path / "a", place)
    else:
        place.chmod(0o777)
    CALLS.clear()
    with Cache(place) as cache:
        assert (cache["plain"], cache[(1, "key")]) == ({"a": (1, [2.5])}, "plain key")
        reads: list[Callable[[], object]] = [
            lambda: cache["planted"],
            lambda: cache.get("large"),
            lambda: cache.peek("queue"),
            lambda: list(cache),
            lambda: list(cache.iterkeys()),
            cache.peekitem,
        ]
        for read in reads:
            with pytest.raises(UntrustedValue, match=r"coshelf trust .*cache\.shelf$"):  # which names no option
                read()
        with pytest.raises(UnwritableValue, match="Run"):
            cache["new"] = Run()
        assert "new" not in cache
        cache["new"] = {"plain": 1}
        assert cache["new"] == {"plain": 1}
    assert CALLS == []


def test_a_disk_without_a_cache_loads_plain_data_only(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path), 10, 5)
    CALLS.clear()
    assert disk.fetch(*disk.store((1, {"a": None}), False)[1:], False) == (1, {"a": None})
    with pytest.raises(UntrustedValue):
        disk.fetch(core.MODE_PICKLE, None, pickle.dumps(Run()), False)
    with pytest.raises(UntrustedValue):
        disk.get(pickle.dumps(Run()), False)
    assert CALLS == []


@pytest.mark.parametrize("kind", ["relative", "absolute"])
def test_a_planted_name_of_a_file_reads_and_removes_nothing_outside(tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside.val"
    outside.write_bytes(LARGE)
    name = "../outside.val" if kind == "relative" else str(outside)

    class Planting(Disk):
        def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> Any:
            return len(LARGE), core.MODE_BINARY, name, None

    with Cache(tmp_path / "a", disk=Planting) as cache:
        cache["a"], cache["b"] = 1, 1
        cache.set("c", 1, expire=-1)
    with Cache(tmp_path / "a") as cache:
        assert cache.get("a", "missing") == "missing"
        assert cache.pop("a", "missing") == "missing"
        assert cache.delete("b")
        cache["d"] = 1
        cache.expire()
    assert outside.read_bytes() == LARGE
