"""Expiry beside everything else: transactions, writeback, codecs, drop-in modules, copies, and a shelf's default."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf import dbm as shelf_dbm
from coshelf import shelve
from coshelf.testing.moving_clock import MovingClock
from coshelf.transfer import copy_entries

Shelf = coshelf.Shelf[Any, Any]


# --- transactions ----------------------------------------------------------------------------------------------------


def test_transaction_has_all_that_the_shelf_has(shelf: Shelf, clock: MovingClock) -> None:
    shelf.update({"old": 1, "touched": 2}, expire=60)
    clock.pass_by(30)
    with shelf.transaction() as transaction:
        transaction.set("set", 1, expire=60)
        transaction.update({"x": 1, "y": 2}, expire=timedelta(seconds=60))
        transaction.update([("z", 3)], expire=60)
        assert transaction.touch("touched", expire=60)
        assert transaction.add("added", 1, expire=60)
        assert not transaction.add("old", 1, expire=60)
        transaction.set("gone", 1, expire=0)
        assert "gone" not in transaction
        assert transaction.expires("set") == clock.now() / 1_000_000 + 60
        assert list(transaction) == ["added", "old", "set", "touched", "x", "y", "z"]
        assert len(transaction) == 7
    clock.pass_by(30)
    assert list(shelf) == ["added", "set", "touched", "x", "y", "z"]
    clock.pass_by(30)
    assert list(shelf) == []


def test_transaction_does_not_see_what_has_expired(shelf: Shelf, clock: MovingClock) -> None:
    shelf.update({"a": 1, "b": 2}, expire=60)
    shelf["c"] = 3
    clock.pass_by(60)
    with shelf.transaction() as transaction:
        assert dict(transaction) == {"c": 3}
        assert len(transaction) == 1
        assert transaction.pop("a", None) is None
        assert transaction.popitem() == ("c", 3)
        with pytest.raises(KeyError):
            transaction.popitem()
        transaction["a"] = "permanent"
    assert dict(shelf) == {"a": "permanent"}


def test_undone_part_takes_its_times_with_it(shelf: Shelf, clock: MovingClock) -> None:
    shelf["a"] = 1
    with shelf.transaction() as transaction:
        with pytest.raises(ZeroDivisionError), shelf.transaction() as part:
            part.set("a", 2, expire=60)
            raise ZeroDivisionError
        assert transaction.expires("a") is None
    clock.pass_by(60)
    assert dict(shelf) == {"a": 1}
    assert shelf.expire() == 0


def test_methods_of_the_shelf_take_part(shelf: Shelf, clock: MovingClock) -> None:
    with pytest.raises(ZeroDivisionError), shelf.transaction():
        shelf.set("a", 1, expire=60)
        shelf.update({"b": 1}, expire=60)
        assert shelf.touch("a", expire=90)
        assert shelf.add("c", 1, expire=60)
        assert shelf.expires("a") == clock.now() / 1_000_000 + 90
        with pytest.raises(coshelf.TransactionInProgress):
            shelf.expire()
        raise ZeroDivisionError
    assert len(shelf) == 0


def test_optimistic_change_of_an_expired_entry_conflicts_with_none(shelf: Shelf, clock: MovingClock) -> None:
    shelf.set("a", 1, expire=60)
    clock.pass_by(60)
    assert shelf.setdefault("a", 2) == 2
    assert shelf.transact(lambda transaction: transaction.pop("a")) == 2


# --- writeback -------------------------------------------------------------------------------------------------------


def test_writeback_keeps_the_time_of_what_it_writes_back(target: Any, clock: MovingClock) -> None:
    with coshelf.open(target, writeback=True) as shelf:
        shelf.set("a", [1], expire=60)
        shelf.update({"b": [1]}, expire=60)
        shelf["a"].append(2)
        clock.pass_by(30)
        shelf.sync()
        assert shelf.expires("a") == clock.now() / 1_000_000 + 30
        assert shelf["a"] == [1, 2]
        shelf["a"].append(3)
        assert shelf.touch("a", expire=40)
        assert shelf["a"] == [1, 2, 3]
        clock.pass_by(30)
        shelf["a"].append(4)
        shelf.sync()
        assert dict(shelf) == {"a": [1, 2, 3, 4]}
        kept = shelf["a"]
        clock.pass_by(10)
        kept.append(5)
        assert shelf.get("a") is None
        shelf.sync()
        assert dict(shelf) == {}
        assert shelf.add("a", [], expire=60)
        shelf.set("a", [], expire=0)
        assert "a" not in shelf


# --- how values are written ------------------------------------------------------------------------------------------

SECRET = b"a secret of 24 characters"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"protocol": 1},
        {"codec": "json"},
        {"codec": "msgspec"},
        {"compress": "zstd"},
        {"encrypt": SECRET},
        {"sign": SECRET},
        {"sign": SECRET, "encrypt": SECRET, "compress": "zstd", "codec": "json"},
    ],
    ids=lambda options: " ".join(options) or "pickle",
)
def test_every_codec_and_layer_takes_a_time(options: dict[str, Any], tmp_path: Path, clock: MovingClock) -> None:
    value = ["text" * 100, 1, None]
    with coshelf.open(tmp_path / "a.shelf", **options) as shelf:
        for key in ("a", "b"):
            shelf.set(key, value, expire=60)
        assert shelf.touch("a", expire=120)
        plain = shelf.record("a")
        assert plain.expires == clock.now() / 1_000_000 + 120
        assert plain.decode() == value
        assert plain.preview().problem in (None, "it is encrypted")
        clock.pass_by(60)
    with coshelf.open(tmp_path / "a.shelf", **options) as shelf:
        assert shelf.modify("a", lambda found: [*found, 1]) == [*value, 1]
        assert dict(shelf.items()) == {"a": [*value, 1]}
        clock.pass_by(60)
        assert dict(shelf.items()) == {}
        assert shelf.check().ok


def test_large_buffers_stay_in_place_and_go_with_their_entry(tmp_path: Path, clock: MovingClock) -> None:
    data = bytes(range(256)) * 8_192
    folder = tmp_path / "a.shelf.coshelf-blobs"
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.set("a", bytearray(data), expire=60)
        assert bytes(shelf["a"]) == data
        assert shelf.touch("a", expire=120)
        shelf.sync()
        assert shelf.touch("a", expire=180)
        assert type(shelf["a"]) is memoryview
        assert bytes(shelf["a"]) == data
        assert len([path for path in folder.iterdir() if path.is_file()]) == 1
        shelf.sync()
        assert shelf.check().ok
        clock.pass_by(180)
        assert shelf.expire() == 1
        shelf.sync()
        shelf["b"] = 1
        shelf.sync()
        assert not folder.exists() or [path for path in folder.iterdir() if path.is_file()] == []


# --- the default of a shelf ------------------------------------------------------------------------------------------


def test_shelf_remembers_its_default(target: Any, clock: MovingClock) -> None:
    if target == "memory:":
        pytest.skip("nothing is remembered")
    with coshelf.open(target) as shelf:
        shelf["before"] = 0
    with coshelf.open(target, expire=60) as shelf:
        assert shelf.expires("before") is None
    with coshelf.open(target) as shelf:
        shelf["a"] = 1
        shelf.update(b=2)
        shelf.setdefault("c", 3)
        shelf.sub("part")["d"] = 4
        with shelf.transaction() as transaction:
            transaction["e"] = 5
            transaction.update({"f": 6})
        shelf.modify("g", lambda value: value, default=7)
        with shelf.edit("h", default=[]) as value:
            value.append(1)
        shelf.set("permanent", 1, expire=None)
        shelf.set("longer", 1, expire=timedelta(hours=1))
        assert all(shelf.expires(key) == clock.now() / 1_000_000 + 60 for key in ["a", "b", "c", "e", "f", "g", "h"])
        clock.pass_by(60)
        assert list(shelf) == ["before", "longer", "permanent"]
    with coshelf.open(target, expire=False) as shelf:
        shelf["a"] = 1
        assert shelf.expires("a") is None
    with coshelf.open(target) as shelf:
        shelf["a"] = 1
        assert shelf.expires("a") is None


def test_default_goes_with_other_settings_and_writeback(tmp_path: Path, clock: MovingClock) -> None:
    options: dict[str, Any] = {"codec": "json", "compress": "zstd", "encrypt": SECRET}
    with coshelf.open(tmp_path / "a.shelf", expire=60, **options) as shelf:
        shelf["a"] = 1
    with coshelf.open(tmp_path / "a.shelf", encrypt=SECRET, writeback=True) as shelf:
        shelf["b"] = [1]
        assert shelf.expires("a") == shelf.expires("b") == clock.now() / 1_000_000 + 60
    with coshelf.open(tmp_path / "a.shelf", encrypt=SECRET, expire=90) as shelf:
        shelf["c"] = 1
        assert shelf.expires("c") == clock.now() / 1_000_000 + 90


@pytest.mark.parametrize("expire", [0, -1, "60", float("nan"), True, timedelta(0)])
def test_default_must_be_a_duration(expire: Any, tmp_path: Path) -> None:
    with pytest.raises(coshelf.InvalidExpiry, match="hint: "):
        coshelf.open(tmp_path / "a.shelf", expire=expire)
    assert not (tmp_path / "a.shelf").exists()


# --- other doors -----------------------------------------------------------------------------------------------------


def test_drop_in_modules_go_by_the_times(tmp_path: Path, clock: MovingClock) -> None:
    path = str(tmp_path / "a.shelf")
    with coshelf.open(path, expire=600) as shelf:
        shelf.set("a", 1, expire=60)
        shelf.set(b"k", b"v", expire=60)
    with shelve.open(path) as old:
        assert old["a"] == 1
        old["b"] = 2
        clock.pass_by(60)
        assert "a" not in old
        assert list(old) == ["b"]
        assert len(old) == 1
    with shelf_dbm.open(path, "w") as database:
        assert b"k" not in database
        assert list(database.keys()) == []
        database[b"l"] = b"v"
    with coshelf.open(path) as shelf:
        assert shelf.expires("b") == clock.now() / 1_000_000 + 540
        assert shelf.expires(b"l") == clock.now() / 1_000_000 + 600


def test_copies_and_backups_keep_the_times(shelf: Shelf, clock: MovingClock, tmp_path: Path) -> None:
    shelf.update({"a": 1, "b": bytearray(1 << 21)}, expire=60)
    shelf.set("gone", 1, expire=1)
    shelf["c"] = 3
    shelf.sync()
    clock.pass_by(1)
    assert shelf.backup(tmp_path / "backup.shelf") == 4
    for kind in ("copy.shelf", "sqlite:copy.db", "memory:"):
        name = kind if kind == "memory:" else kind.replace("copy", f"{tmp_path}/copy")
        with coshelf.open(name) as copy:
            assert copy_entries(shelf, copy, trust=True).verified == 3
            assert list(copy) == ["a", "b", "c"]
            assert copy.expires("b") == shelf.expires("b")
    with coshelf.open(tmp_path / "backup.shelf") as copy:
        assert list(copy) == ["a", "b", "c"]
        clock.pass_by(59)
        assert list(copy) == ["c"]
        assert copy.compact().after > 0
        assert copy.expire() == 2 + 1
        assert copy.check().ok


def test_copy_replaces_what_has_expired_in_the_target(clock: MovingClock) -> None:
    with coshelf.open("memory:") as source, coshelf.open("memory:") as target:
        source["a"] = "new"
        target.set("a", "old", expire=60)
        assert copy_entries(source, target).done == 0
        clock.pass_by(60)
        assert copy_entries(source, target).done == 1
        assert dict(target) == {"a": "new"}


def test_copy_to_an_engine_without_times_names_the_entries(clock: MovingClock, tmp_path: Path) -> None:
    with coshelf.open("memory:") as source, coshelf.open(f"files:{tmp_path / 'd'}") as target:
        source.set("a", 1, expire=60)
        source["b"] = 2
        report = copy_entries(source, target)
        assert [(left.key, "cannot expire" in left.reason) for left in report.failed] == [("'a'", True)]
        assert dict(target) == {"b": 2}


def test_figures_count_what_has_not_expired(shelf: Shelf, clock: MovingClock) -> None:
    shelf.update({"a": 1, "b": 2}, expire=60)
    shelf["c"] = 3
    clock.pass_by(60)
    assert shelf.info().entries == 1
    assert shelf.stats(cheap=True).entries == 1
    stats = shelf.stats()
    assert (stats.entries, [key for key, _ in stats.largest]) == (1, ["'c'"])
    assert shelf == {"c": 3}
    assert shelf | {} == {"c": 3}
