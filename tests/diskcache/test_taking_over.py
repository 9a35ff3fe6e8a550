"""A directory that diskcache made is taken over when it is first opened, with all that is in it."""

from __future__ import annotations

import io
import math
import os
import sqlite3
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diskcache as original
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import coshelf
from coshelf import diskcache
from coshelf.errors import ShelfNotFound, UntrustedValue


@pytest.fixture
def tmp_path(path: str) -> Path:
    """A directory in memory, if possible: what is tested does not depend on the disk."""
    return Path(path).parent


LONG = "long\r\ntext\rwith\nall ends of lines" * 2_000
NEVER = 10.0**7


def fill(cache: Any) -> None:
    """Entries of all kinds of keys and values."""
    name = "name"
    keys = ["text", b"bytes", 7, -(2**63), 2.5, None, True, (1, "a"), (name, name), 2**70, ("f", (name, name), None)]
    for number, key in enumerate(keys):
        cache.set(
            key, {"number": number}, expire=[None, NEVER][number % 2], tag=[None, "odd", 3, 2.5, b"raw"][number % 5]
        )
    for key, value in {
        "short": "text", "long": LONG, "bytes": bytes(range(256)), "many bytes": os.urandom(40_000), "int": 2**40,
        "large int": 2**100, "float": -0.5, "list": [1, [2, None]], "large list": list(range(20_000)), "none": None,
    }.items():  # fmt: skip
        cache[key] = value
    cache.set("stream", io.BytesIO(b"streamed" * 10), read=True, tag="stream")
    cache.set("expired", 1, expire=-1)
    cache["text"] = "overwritten"  # keeps its place
    del cache["int"]


def entries(cache: Any) -> list[tuple[Any, Any]]:
    """All that a program can see of each entry, in order."""
    return [(key, cache.get(key, "gone", expire_time=True, tag=True)) for key in cache]


def with_ends(found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """What diskcache read, with the ends of lines that it had stored."""
    return [(key, (LONG, *rest[1:]) if key == "long" else rest) for key, rest in found]


class Shouting(original.Disk):  # type: ignore[misc]
    """A Disk that names its files, and stores text in its own way."""

    def filename(self, key: Any = None, value: Any = None) -> tuple[str, str]:
        name = f"shouting-{os.urandom(4).hex()}.txt"
        return name, os.path.join(self._directory, name)

    def store(self, value: Any, read: bool, key: Any = original.UNKNOWN) -> Any:
        return super().store(value.upper() if isinstance(value, str) else value, read, key)


class NewShouting(diskcache.Disk):
    """The same for the new module."""

    def store(self, value: Any, read: bool, key: Any = diskcache.UNKNOWN) -> Any:
        return super().store(value.upper() if isinstance(value, str) else value, read, key)


SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "tag index": {"tag_index": 1},
    "no policy": {"eviction_policy": "none"},
    "used": {"eviction_policy": "least-recently-used", "size_limit": 10**9},
    "used often": {"eviction_policy": "least-frequently-used", "size_limit": 10**9, "statistics": 1},
    "all in files": {"disk_min_file_size": 0},
    "never culled": {"cull_limit": 0, "size_limit": 1000},
    "another journal": {"sqlite_journal_mode": "delete"},
    "own settings": {"of_this_program": "kept"},
    **{f"protocol {number}": {"disk_pickle_protocol": number} for number in (0, 2, 4)},
}


@pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS)
def test_every_entry_of_a_cache_is_taken_over(options: dict[str, Any], tmp_path: Path) -> None:
    with original.Cache(tmp_path, **options) as old:
        fill(old)
        wanted, figures = with_ends(entries(old)), old.stats(enable=bool(options.get("statistics")))
    with diskcache.Cache(tmp_path) as new:
        assert new.stats(enable=bool(options.get("statistics"))) == figures
        assert entries(new) == wanted
        assert list(reversed(new)) == [key for key, _ in reversed(wanted)]
        assert new.check() == []
        for name, value in options.items():
            assert getattr(new, name) == value


@pytest.mark.parametrize(("shards", "opened_with"), [(3, 8), (8, 8), pytest.param(8, 3, marks=pytest.mark.long)])
def test_every_entry_of_a_fanout_cache_is_taken_over(shards: int, opened_with: int, tmp_path: Path) -> None:
    with original.FanoutCache(tmp_path, shards=shards, size_limit=10**9) as old:
        fill(old)
        wanted = with_ends(entries(old))
        old.cache("further")["a"] = 1
        old.deque("line").extend([1, 2])
        old.index("deep/er")["b"] = (2,)
    with diskcache.FanoutCache(tmp_path, shards=opened_with) as new:
        assert entries(new) == wanted
        assert new.size_limit * opened_with == pytest.approx(10**9)
        assert new.cache("further")["a"] == 1
        assert list(new.deque("line")) == [1, 2]
        assert dict(new.index("deep/er")) == {"b": (2,)}
        assert new.check() == []


def test_newest_value_of_a_key_that_is_in_several_shards_is_kept(tmp_path: Path) -> None:
    with original.FanoutCache(tmp_path, shards=8) as old:
        for number in range(100):
            old[number] = bytes(40_000) if number % 10 == 0 else "first"
    with original.FanoutCache(tmp_path, shards=3) as old:
        for number in range(0, 100, 2):
            old[number] = "second"
    with diskcache.FanoutCache(tmp_path, shards=3) as new:
        assert len(new) == 100
        assert all(new[number] == "second" for number in range(0, 100, 2))
        assert all(new[number] == "first" for number in range(1, 100, 2))
        assert new.check() == []


def test_deques_and_queues_go_on_in_their_order(tmp_path: Path) -> None:
    old = original.Deque([1, "two", (3, 3)], str(tmp_path / "deque"))
    old.appendleft(bytes(50_000))
    with original.Cache(tmp_path / "queues") as queues:
        for number in range(3):
            queues.push(number)
            queues.push(number, prefix="a", side="front", expire=NEVER, tag="t")
    old.cache.close()
    new = diskcache.Deque(directory=str(tmp_path / "deque"))
    assert list(new) == [bytes(50_000), 1, "two", (3, 3)]
    assert (new.popleft(), new.pop()) == (bytes(50_000), (3, 3))
    new.append("last")
    assert list(new) == [1, "two", "last"]
    new.cache.close()
    with diskcache.Cache(tmp_path / "queues") as found:
        assert [found.pull()[1] for _ in range(3)] == [0, 1, 2]
        assert [found.pull("a", tag=True)[1] for _ in range(3)] == ["t"] * 3


def test_an_index_keeps_its_order(tmp_path: Path) -> None:
    old = original.Index(str(tmp_path), [("b", 1), ("a", [2]), ((1, 2), None)])
    old["b"] = 3
    old.cache.close()
    new = diskcache.Index(str(tmp_path))
    assert list(new.items()) == [("b", 3), ("a", [2]), ((1, 2), None)]
    new.cache.close()


def test_what_jsondisk_and_other_disks_wrote_is_read_by_them(tmp_path: Path) -> None:
    with original.Cache(tmp_path / "json", disk=original.JSONDisk, disk_compress_level=6, disk_min_file_size=10) as old:
        old[("a", 1)], old["user"] = ["x" * 100, None], {"name": "ann"}
    with diskcache.Cache(tmp_path / "json", disk=diskcache.JSONDisk) as new:
        assert (new[("a", 1)], new["user"], list(new)) == (["x" * 100, None], {"name": "ann"}, [["a", 1], "user"])
    with original.Cache(tmp_path / "own", disk=Shouting, disk_min_file_size=10) as old:
        old["a"], old["b"], old[("c", "c")] = "a long text", b"many bytes", "short"
    with diskcache.Cache(tmp_path / "own", disk=NewShouting) as new:
        assert (new["a"], new["b"], new[("c", "c")]) == ("A LONG TEXT", b"many bytes", "SHORT")
        with new.read("b") as file:
            assert file.name.endswith(".txt")


def test_order_in_which_rows_go_is_taken_over(tmp_path: Path) -> None:
    for policy, last in (("least-recently-used", ["b", "a"]), ("least-frequently-used", ["b", "a"])):
        with original.Cache(tmp_path / policy, eviction_policy=policy, size_limit=10**6, cull_limit=0) as old:
            for key in "abcd":
                old[key] = bytes(10_000)
            for key in "bba":
                old.get(key)
        with diskcache.Cache(tmp_path / policy, size_limit=25_000) as new:
            new.cull()
            assert sorted(new) == sorted(last)


def test_limit_that_nobody_has_set_is_not_taken_over(tmp_path: Path) -> None:
    with original.Cache(tmp_path / "default") as old, original.FanoutCache(tmp_path / "shards", shards=3) as shards:
        old["a"] = shards["a"] = 1
    with diskcache.Cache(tmp_path / "default") as new, diskcache.FanoutCache(tmp_path / "shards") as fanout:
        for each in (new, fanout):
            with coshelf.open(f"{each.directory}/cache.shelf", "r") as shelf:
                assert shelf["settings/size_limit"] == math.inf


def test_equal_tuples_are_one_key(tmp_path: Path) -> None:
    name, same = "name", str(b"name", "utf-8")
    with original.Cache(tmp_path) as old:
        old["first"] = 0
        old[(name, name)] = "older"
        old["between"] = 1
        old[(name, same)] = "newer"
        assert len(old) == 4
    with diskcache.Cache(tmp_path) as new:
        assert new[(name, same)] == "newer"
        assert list(new) == ["first", ("name", "name"), "between"]
        assert new.check() == []


def test_nan_is_found_again(tmp_path: Path) -> None:
    with original.Cache(tmp_path) as old:
        old["value"] = math.nan
        old[math.nan] = "key"
    with diskcache.Cache(tmp_path) as new:
        assert math.isnan(new["value"])
        assert new[math.nan] == "key"


# --- files -----------------------------------------------------------------------------------------------------------


def files_of(directory: Path) -> dict[str, bytes]:
    """diskcache's files and what is in them."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and "cache.shelf" not in str(path) and "from-diskcache" not in path.parts
    }


@pytest.mark.parametrize("link", ["linked", "copied"])
def test_old_files_stay_whole_until_they_are_removed(
    link: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise OSError(95, "Operation not supported")

    with original.Cache(tmp_path, disk_min_file_size=10) as old:
        fill(old)
        wanted = with_ends(entries(old))
    before = files_of(tmp_path)
    if link == "copied":
        monkeypatch.setattr("coshelf.dropin.diskcache.old_values.os.link", refuse)
    with diskcache.Cache(tmp_path) as new:
        assert entries(new) == wanted
        del new["many bytes"]
        new["stream"] = b"another stream"
        assert files_of(tmp_path).items() >= before.items()
        left = {key: new[key] for key in new if key in new}
    monkeypatch.undo()
    with original.Cache(tmp_path) as old:
        assert with_ends(entries(old)) == wanted
    assert diskcache.remove_old_files(tmp_path) == len(before)
    with diskcache.Cache(tmp_path) as new:
        assert {key: new[key] for key in new if key in new} == left
        assert new.check() == []
    assert not [name for name in before if (tmp_path / name).exists()]


def test_old_files_are_not_removed_from_a_directory_that_was_not_taken_over(tmp_path: Path) -> None:
    with original.Cache(tmp_path) as old:
        old["a"] = bytes(40_000)
    with pytest.raises(ShelfNotFound, match="was not taken over"):
        diskcache.remove_old_files(tmp_path)
    (tmp_path / "cache.shelf").write_bytes(b"not a shelf")
    with pytest.raises(coshelf.errors.CoshelfError):
        diskcache.remove_old_files(tmp_path)
    with original.Cache(tmp_path) as old:
        assert old["a"] == bytes(40_000)


def test_files_of_the_new_cache_are_not_removed_whatever_the_database_names(tmp_path: Path) -> None:
    with original.Cache(tmp_path) as old:
        old["a"], old["b"], old["c"] = bytes(40_000), 1, 2
    with diskcache.Cache(tmp_path) as new:
        change(tmp_path, "UPDATE Cache SET filename = 'cache.shelf' WHERE key = 'b'")
        change(tmp_path, "UPDATE Cache SET filename = 'from-diskcache/0/0.val' WHERE key = 'c'")
        assert diskcache.remove_old_files(tmp_path) == 2
        assert new["a"] == bytes(40_000)
        assert new.check() == []


def test_old_files_of_further_caches_are_removed_if_these_were_taken_over(tmp_path: Path) -> None:
    with original.FanoutCache(tmp_path, shards=2) as old:
        old["a"] = bytes(40_000)
        old.cache("opened")["a"] = bytes(40_000)
        old.cache("unopened")["a"] = bytes(40_000)
    with diskcache.FanoutCache(tmp_path) as new:
        assert new.cache("opened")["a"] == bytes(40_000)
        diskcache.remove_old_files(tmp_path)
        assert new["a"] == new.cache("unopened")["a"] == bytes(40_000)
    assert sorted(path.parent.name for path in tmp_path.rglob("cache.db")) == ["unopened"]


# --- damage ----------------------------------------------------------------------------------------------------------


def change(directory: Path, statement: str, *values: Any) -> None:
    connection = sqlite3.connect(directory / "cache.db")
    connection.execute(statement, values)
    connection.commit()
    connection.close()


DAMAGE = {
    "a missing file": "ab/cd/missing.val",
    "a directory": "..",
    "a file outside": "../outside",
    "an absolute name": "/etc/hostname",
    "a link": "link",
    "no name": 7,
}


@pytest.mark.parametrize("filename", DAMAGE.values(), ids=DAMAGE)
def test_a_row_without_its_file_is_left_out_and_told(filename: Any, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("secret")
    directory = tmp_path / "cache"
    with original.Cache(directory) as old:
        old["damaged"], old["whole"] = bytes(40_000), [1]
    (directory / "link").symlink_to(tmp_path / "outside")
    change(directory, "UPDATE Cache SET filename = ? WHERE key = 'damaged'", filename)
    report = diskcache.take_over(directory, dry_run=True)
    assert (report.done, [left.key for left in report.failed]) == (1, ["'damaged'"])
    with pytest.warns(UserWarning, match="without 1 of 2 entries, which diskcache cannot read either: 'damaged'"):
        new = diskcache.Cache(directory)
    assert list(new) == ["whole"]
    assert new["whole"] == [1]
    new.close()
    with warnings.catch_warnings(action="error"), diskcache.Cache(directory) as again:
        assert list(again) == ["whole"]


def test_values_in_a_wrong_form_stay_as_they_are(tmp_path: Path) -> None:
    with original.Cache(tmp_path) as old:
        old["text"], old["pickle"], old["time"], old["whole"] = "x" * 40_000, [1], 1, 2
        path = next(tmp_path.glob("*/*/*.val"))
    path.write_bytes(b"\xff\xfe")
    change(tmp_path, "UPDATE Cache SET value = x'80' WHERE key = 'pickle'")
    change(tmp_path, "UPDATE Cache SET expire_time = 'soon', store_time = NULL, mode = NULL WHERE key = 'time'")
    change(tmp_path, "INSERT INTO Cache (key, raw, mode, value) VALUES (NULL, 0, 1, 1)")
    with pytest.warns(UserWarning, match="without 1 of 5 entries"):
        new = diskcache.Cache(tmp_path)
    with new:
        assert list(new) == ["text", "pickle", "time", "whole"]
        assert new["whole"] == 2
        for key in ("text", "pickle"):
            with pytest.raises(Exception, match=r"decode|pickle|Ran out"):
                new.get(key)


def test_a_database_that_cannot_be_read_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "cache.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(OSError, match=r"cache\.db cannot be read"):
        diskcache.Cache(tmp_path)
    change_to_other = tmp_path / "other"
    change_to_other.mkdir()
    change(change_to_other, "CREATE TABLE Other (key, value)")
    with pytest.raises(OSError, match="is not a database of diskcache"):
        diskcache.Cache(change_to_other)
    assert os.listdir(tmp_path / "other") == ["cache.db"]
    assert sorted(os.listdir(tmp_path)) == ["cache.db", "other"]


def test_an_empty_cache_is_taken_over(tmp_path: Path) -> None:
    original.Cache(tmp_path, cull_limit=3).close()
    with diskcache.Cache(tmp_path) as new:
        assert (len(new), new.cull_limit) == (0, 3)
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "cache.db").touch()  # its process was killed at once
    with diskcache.Cache(tmp_path / "begun") as new:
        assert len(new) == 0


# --- trust -----------------------------------------------------------------------------------------------------------


class Trap:
    """An object whose pickle makes a directory when it is unpickled."""

    def __init__(self, alarm: Path) -> None:
        self.alarm = str(alarm)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (self.alarm,)


@pytest.mark.parametrize("size", [0, 100_000])
def test_planted_pickles_do_not_run(size: int, tmp_path: Path) -> None:
    alarm = tmp_path / "alarm"
    with original.Cache(tmp_path / "cache") as old:
        old["value"] = [Trap(alarm), "x" * size]
        old[("key", Trap(alarm), "x" * size)] = 1
        old["plain"] = (1, "x" * size)
    with diskcache.Cache(tmp_path / "cache") as new:
        assert new["plain"] == (1, "x" * size)
        with pytest.raises(UntrustedValue, match="coshelf trust"):
            new.get("value")
        with pytest.raises(UntrustedValue):
            list(new)
        assert len(new) == 3
    assert not alarm.exists()
    coshelf.trust.trust_shelf(str(tmp_path / "cache" / "cache.shelf"))
    with diskcache.Cache(tmp_path / "cache") as new:
        new.get("value")
    assert alarm.exists()


def test_a_given_secret_does_not_make_it_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_bytes(bytes(range(32)))
    monkeypatch.setenv("COSHELF_SECRET_FILE", str(tmp_path / "secret"))
    with original.Cache(tmp_path / "cache") as old:
        old["value"], old["plain"] = Trap(tmp_path / "alarm"), [1]
    with diskcache.Cache(tmp_path / "cache") as new:
        with pytest.raises(UntrustedValue):
            new.get("value")
        assert (new["plain"], new.check()) == ([1], [])
    assert not (tmp_path / "alarm").exists()


def test_keys_with_objects_are_found_once_the_directory_is_trusted(tmp_path: Path) -> None:
    with original.Cache(tmp_path) as old:
        old[("f", Path, Path, Counter("aab"), int, int)] = "typed"
    diskcache.take_over(tmp_path)
    coshelf.trust.trust_shelf(str(tmp_path / "cache.shelf"))
    with diskcache.Cache(tmp_path) as new:
        assert new[("f", Path, Path, Counter("aab"), int, int)] == "typed"
        assert new[("f", Path, type(Path()).__mro__[1], Counter("aab"), int, int)] == "typed"


# --- any content -----------------------------------------------------------------------------------------------------

text = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=40)  # diskcache changes \r to \n
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | text
keys = st.recursive(scalars | st.binary(max_size=5), lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
values = st.recursive(scalars | st.binary(max_size=40), lambda inner: st.lists(inner, max_size=3))
steps = st.lists(
    st.tuples(
        st.sampled_from(["set", "expire", "delete", "push", "incr"]), keys, values, st.none() | st.sampled_from("ab")
    ),
    max_size=25,
)


@pytest.mark.parametrize("examples", [5, pytest.param(300, marks=pytest.mark.long)])
def test_any_content_is_the_same_afterwards(examples: int, tmp_path: Path) -> None:
    settings(max_examples=examples)(with_any_content)(tmp_path=tmp_path)


@given(steps=steps, size=st.integers(0, 30), protocol=st.integers(0, 5), shards=st.sampled_from([0, 0, 0, 2]))
def with_any_content(tmp_path: Path, steps: list[Any], size: int, protocol: int, shards: int) -> None:
    directory = tempfile.mkdtemp(dir=tmp_path)
    options = {"disk_min_file_size": size, "disk_pickle_protocol": protocol, "sqlite_synchronous": 0}
    make = original.FanoutCache if shards else original.Cache
    with make(directory, **options, **({"shards": shards} if shards else {})) as old:
        for how, key, value, tag in steps:
            if how == "delete":
                old.delete(key)
            elif how == "push" and not shards:
                old.push(value, prefix=tag, tag=tag)
            elif how == "incr":
                old.set(key, 1, tag=tag)
                old.incr(key, 5)
            else:
                old.set(key, value, expire=NEVER if how == "expire" else None, tag=tag)
        wanted = entries(old)
    with diskcache.Cache(directory) as new:
        found = entries(new)
        assert new.check() == []
    # Tuples that diskcache told apart, though they are equal, are one key.
    times = Counter(repr(key) for key, _ in wanted)
    assert {repr(key) for key, _ in found} == set(times)
    assert len(found) == len(times)
    single = [(repr(key), value) for key, value in wanted if times[repr(key)] == 1]
    assert [(repr(key), value) for key, value in found if times[repr(key)] == 1] == single
