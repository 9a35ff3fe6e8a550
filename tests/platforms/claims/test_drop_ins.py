"""The drop-in modules work over what a path means on a platform, or say why they do not."""

from __future__ import annotations

import dbm.dumb
import pickle
from pathlib import Path
from typing import Any

import diskcache as original_diskcache

import coshelf.dbm
import coshelf.diskcache
import coshelf.pickleshare
import coshelf.shelve
import coshelf.sqlitedict
from coshelf.errors import Unsupported


def test_shelve_keeps_a_dict(tmp_path: Path) -> None:
    name = str(tmp_path / "drawer")
    with coshelf.shelve.open(name) as drawer:
        drawer["a"] = [1]
    with coshelf.shelve.open(name, writeback=True) as drawer:
        drawer["a"].append(2)
    with coshelf.shelve.open(name, "r") as drawer:
        assert dict(drawer) == {"a": [1, 2]}
    with coshelf.shelve.open(name, "n") as drawer:
        assert dict(drawer) == {}
    assert coshelf.dbm.whichdb(name) == "coshelf.dbm"


def test_dbm_keeps_bytes(tmp_path: Path) -> None:
    name = str(tmp_path / "database")
    with coshelf.dbm.open(name, "c") as database:
        database["a"] = b"1"
    with coshelf.dbm.open(name) as database:
        assert (database.keys(), database[b"a"]) == ([b"a"], b"1")


def test_old_drawer_is_converted(tmp_path: Path) -> None:
    name = str(tmp_path / "drawer")
    with dbm.dumb.open(name, "c") as old:
        old["a"] = pickle.dumps([1])
    assert coshelf.shelve.migrate(name) == 1
    with coshelf.shelve.open(name) as drawer:
        assert dict(drawer) == {"a": [1]}
    assert coshelf.shelve.migrate(name) == 1
    assert {each.name for each in tmp_path.iterdir() if ".before-coshelf" in each.name} == {
        f"drawer.{suffix}.before-coshelf" for suffix in ("bak", "dat", "dir")
    }
    assert not [each.name for each in tmp_path.iterdir() if "migrating" in each.name]


def test_sqlitedict_makes_empties_and_removes_its_table(tmp_path: Path) -> None:
    name = tmp_path / "table.sqlite"
    with coshelf.sqlitedict.SqliteDict(str(name), autocommit=True) as table:
        table["a"] = 1
    with coshelf.sqlitedict.SqliteDict(str(name), flag="n") as table:
        assert dict(table) == {}
        table["b"] = 2
        table.commit()
        assert dict(table) == {"b": 2}
    coshelf.sqlitedict.SqliteDict(str(name)).terminate()
    assert not name.exists()
    with coshelf.sqlitedict.SqliteDict(autocommit=True) as table:
        table["a"] = 1


def test_diskcache_keeps_small_and_large_values(tmp_path: Path) -> None:
    large = bytes(1 << 20)
    with coshelf.diskcache.Cache(str(tmp_path / "cache")) as cache:
        cache["a"], cache["large"] = 1, large
        with coshelf.diskcache.Lock(cache, "lock"):
            assert cache.incr("a") == 2
        assert cache["large"] == large
        assert list(cache.check()) == []
        del cache["large"]
    assert not list((tmp_path / "cache").rglob("*.val"))
    with coshelf.diskcache.Cache(str(tmp_path / "cache")) as cache:
        assert {key: cache[key] for key in cache} == {"a": 2}
    deque = coshelf.diskcache.Deque([1], directory=str(tmp_path / "deque"))
    deque.appendleft(0)
    assert list(deque) == [0, 1]


def test_directory_of_diskcache_is_taken_over(tmp_path: Path) -> None:
    directory, large = str(tmp_path / "cache"), bytes(1 << 20)
    cache_of_diskcache: Any = original_diskcache.Cache  # type: ignore[attr-defined]
    with cache_of_diskcache(directory) as old:
        old["a"], old["large"] = 1, large
    with coshelf.diskcache.Cache(directory) as cache:
        assert (cache["a"], cache["large"]) == (1, large)
    assert coshelf.diskcache.remove_old_files(directory) == 2
    with coshelf.diskcache.Cache(directory) as cache:
        assert (cache["a"], cache["large"]) == (1, large)


def test_pickleshare_works_or_says_what_it_needs(tmp_path: Path) -> None:
    try:
        db = coshelf.pickleshare.PickleShareDB(tmp_path / "db")
    except Unsupported as error:
        refused = str(error)
    else:
        db["a/b"] = [1]
        assert coshelf.pickleshare.PickleShareDB(tmp_path / "db")["a/b"] == [1]
        return
    assert "POSIX" in refused
    assert not list(tmp_path.iterdir())
