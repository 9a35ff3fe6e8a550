"""Importing from what other programs left: everything arrives, nothing is run, nothing is lost."""

from __future__ import annotations

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diskcache
import pickleshare
import pytest
import sqlitedict

import coshelf
from coshelf.errors import ShelfPermissionError, UntrustedValue
from coshelf.pickleshare import PickleShareDB
from coshelf.transfer import import_entries
from coshelf.transfer.source import SourceError

from .conftest import CONTENT, Trap, make_dumb

SCRIPTS = Path(__file__).parent / "scripts" / "importing"

Make = Callable[[dict[str, Any]], Path]


def files(place: Path) -> dict[str, bytes]:
    """All files, but those that SQLite makes and removes beside a database that is read."""
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def test_every_entry_arrives_and_the_source_stays(kind: str, make: Make, tmp_path: Path) -> None:
    source = make(CONTENT)
    before = files(tmp_path)
    report = import_entries(source, tmp_path / "new.shelf")
    assert report.kind == kind.partition(",")[0]
    assert (report.done, report.unchanged, report.skipped, report.failed) == (len(CONTENT), 0, [], [])
    with coshelf.open(tmp_path / "new.shelf", "r") as shelf:
        assert dict(shelf) == CONTENT
    after = files(tmp_path)
    assert {name: data for name, data in after.items() if name in before} == before


def test_nothing_is_unpickled(make: Make, tmp_path: Path) -> None:
    alarm = tmp_path / "unpickled"
    source = make({"trap": Trap(alarm), "a": 1})
    assert not alarm.exists()
    for dry_run in (True, False):
        report = import_entries(source, tmp_path / "new.shelf", dry_run=dry_run)
        assert report.done == 2
        assert not alarm.exists()
    with coshelf.open(tmp_path / "new.shelf", "r") as shelf:
        assert shelf["a"] == 1
        with pytest.raises(UntrustedValue):
            shelf["trap"]
    assert not alarm.exists()
    with coshelf.open(tmp_path / "new.shelf", "r", trust=True) as shelf:
        shelf["trap"]
    assert alarm.exists()


def test_plain_data_leaves_a_new_shelf_trusted(make: Make, tmp_path: Path) -> None:
    import_entries(make({"a": 1}), tmp_path / "new.shelf")
    with coshelf.open(tmp_path / "new.shelf") as shelf:
        shelf["mine"] = shelf["mine, too"] = Trap(tmp_path / "alarm")
        assert shelf.info().trusted


def test_a_trusted_shelf_with_entries_takes_no_values_that_could_run_code(make: Make, tmp_path: Path) -> None:
    alarm, target = tmp_path / "unpickled", tmp_path / "mine.shelf"
    with coshelf.open(target) as shelf:
        shelf["own"] = Path("a")
    source = make({"trap": Trap(alarm), "a": 1})
    with pytest.raises(ShelfPermissionError, match="more than plain data"):
        import_entries(source, target)
    with coshelf.open(target) as shelf:
        assert (shelf["own"], "trap" in shelf) == (Path("a"), False)
    assert import_entries(source, target, trust=True).done >= 1
    with coshelf.open(target) as shelf:
        assert not alarm.exists()
        shelf["trap"]
    assert alarm.exists()


def test_an_import_that_takes_the_trust_can_be_continued(make: Make, tmp_path: Path) -> None:
    source, target = make({"trap": Trap(tmp_path / "unpickled"), "a": 1}), tmp_path / "new.shelf"
    import_entries(source, target)
    again = import_entries(source, target)
    assert (again.done, again.unchanged) == (0, 2)


def test_a_trusted_shelf_as_source_brings_its_trust(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "old.shelf") as shelf:
        shelf["own"] = Path("a")
    import_entries(tmp_path / "old.shelf", tmp_path / "new.shelf")
    with coshelf.open(tmp_path / "new.shelf") as shelf:
        assert shelf["own"] == Path("a")


def test_dry_run_makes_nothing_and_reports_the_same(make: Make, tmp_path: Path) -> None:
    source = make(CONTENT)
    before = files(tmp_path)
    planned = import_entries(source, tmp_path / "new.shelf", dry_run=True)
    assert files(tmp_path) == before
    assert planned == import_entries(source, tmp_path / "new.shelf")
    assert import_entries(source, tmp_path / "new.shelf", dry_run=True).unchanged == len(CONTENT)


def test_again_passes_over_what_is_there_and_keeps_what_differs(make: Make, tmp_path: Path) -> None:
    source = make(CONTENT)
    import_entries(source, tmp_path / "new.shelf")
    with coshelf.open(tmp_path / "new.shelf") as shelf:
        shelf["a"] = "newer"
        del shelf["empty"]
    report = import_entries(source, tmp_path / "new.shelf")
    assert (report.done, report.unchanged) == (1, len(CONTENT) - 2)
    assert [(left.key, left.reason) for left in report.skipped] == [("'a'", "the target has another value (--replace)")]
    with coshelf.open(tmp_path / "new.shelf") as shelf:
        assert shelf["a"] == "newer"
    assert import_entries(source, tmp_path / "new.shelf", replace=True).done == 1
    with coshelf.open(tmp_path / "new.shelf") as shelf:
        assert dict(shelf) == CONTENT


_SLOW = SCRIPTS / "slow.py"


def test_import_that_was_killed_goes_on(tmp_path: Path) -> None:
    content = {f"key{number}": number for number in range(3_500)}
    source, target = make_dumb(tmp_path, content), tmp_path / "new.shelf"
    command = [sys.executable, _SLOW, str(source), str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "1000\n"
        process.stdin.write("on\n")
        process.stdin.flush()
        assert process.stdout.readline() == "2000\n"
        process.send_signal(signal.SIGKILL)
    report = import_entries(source, target)
    assert (report.done, report.unchanged) == (1_500, 2_000)
    with coshelf.open(target, "r") as shelf:
        assert dict(shelf) == content


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\0" + b"\xff" * 100, b"\0" * 5000])
def test_source_of_no_kind_is_one_clear_error_and_makes_no_target(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(content)
    with pytest.raises(SourceError, match="old"):
        import_entries(tmp_path / "old", tmp_path / "new.shelf")
    with pytest.raises(SourceError, match="none"):
        import_entries(tmp_path / "none", tmp_path / "new.shelf")
    assert files(tmp_path) == {"old": content}


def test_wrong_arguments_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    source = make_dumb(tmp_path, {"a": 1})
    for wrong in ({"kind": "oracle"}, {"values": "text"}):
        with pytest.raises(ValueError, match=r"must be|unknown kind"):
            import_entries(source, tmp_path / "new.shelf", **wrong)  # type: ignore[arg-type]
    with pytest.raises(LookupError):
        import_entries(source, tmp_path / "new.shelf", keyencoding="klingon")
    assert not (tmp_path / "new.shelf").exists()


# --- dbm -------------------------------------------------------------------------------------------------------------


def test_bytes_that_are_no_pickles_fail_unless_bytes_are_asked_for(tmp_path: Path) -> None:
    source = make_dumb(tmp_path, {"pickle": 1})
    import dbm.dumb

    with dbm.dumb.open(str(source)) as database:
        database[b"text"] = b"no pickle."
        database[b"\xff"] = pickle.dumps(1)
    report = import_entries(source, tmp_path / "new.shelf")
    assert report.done == 1
    assert {left.key for left in report.failed} == {"'text'", r"b'\xff'"}
    report = import_entries(source, tmp_path / "plain.shelf", values="bytes", keyencoding="latin-1")
    assert (report.done, report.failed) == (3, [])
    with coshelf.open(tmp_path / "plain.shelf") as shelf:
        assert dict(shelf) == {"pickle": pickle.dumps(1), "text": b"no pickle.", "ÿ": pickle.dumps(1)}


def test_dbm_module_that_this_python_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").write_bytes(b"\xcf\x9a\x57\x13" + b"\0" * 100)
    monkeypatch.setitem(sys.modules, "dbm.gnu", None)
    with pytest.raises(SourceError, match=r"dbm\.gnu, which this Python does not have"):
        import_entries(tmp_path / "old", tmp_path / "new.shelf")
    assert not (tmp_path / "new.shelf").exists()


# --- pickleshare -----------------------------------------------------------------------------------------------------


def test_hashed_categories_are_merged_as_hdict_merges_them(tmp_path: Path) -> None:
    old = pickleshare.PickleShareDB(tmp_path / "old")
    for number in range(40):
        old.hset("h", number, "older")
    old.hcompress("h")
    for number in range(0, 40, 2):
        old.hset("h", number, "newer")
    old.hset("h", "name", [1])
    old["ab/ff"] = "the name of a bucket, and no dict"
    report = import_entries(tmp_path / "old", tmp_path / "new.shelf")
    assert report.done == 1
    assert [left.key for left in report.skipped] == ["h/*"]
    report = import_entries(tmp_path / "old", tmp_path / "new.shelf", trust_pickle=True)
    assert (report.done, report.unchanged, report.skipped, report.failed) == (41, 1, [], [])
    with coshelf.open(tmp_path / "new.shelf") as shelf:
        assert dict(shelf.sub("h")) == old.hdict("h")
        assert shelf["ab/ff"] == "the name of a bucket, and no dict"


def test_keys_that_are_no_paths_arrive_beside_hashed_categories(tmp_path: Path) -> None:
    with coshelf.open(f"files:{tmp_path}/old") as old:
        entries: dict[Any, Any] = {("h/", 1): 1, 7: 2, b"b": 3, "https://x": 4, "a": 5, "a/b": 6, "k" * 300: 7}
        old.update(entries)
    PickleShareDB(tmp_path / "old").hset("h", "name", [1])
    report = import_entries(tmp_path / "old", tmp_path / "new.shelf", trust_pickle=True)
    assert (report.done, report.skipped, report.failed) == (8, [], [])
    with coshelf.open(tmp_path / "new.shelf") as shelf:
        assert dict(shelf) == entries | {"h/name": [1]}


def test_file_that_holds_no_pickle_fails_by_name(tmp_path: Path) -> None:
    old = pickleshare.PickleShareDB(tmp_path / "old")
    old["good"] = 1
    (tmp_path / "old/cut").write_bytes(pickle.dumps([1, "x"], 0)[:-1])  # of an old protocol, which has no beginning
    os.utime(tmp_path / "old/cut", (1, 1))
    report = import_entries(tmp_path / "old", tmp_path / "new.shelf")
    assert (report.done, [left.key for left in report.failed]) == (1, ["'cut'"])


def test_trap_in_a_hashed_category_does_not_go_off_untrusted(tmp_path: Path) -> None:
    old = pickleshare.PickleShareDB(tmp_path / "old")
    old.hset("h", 1, Trap(tmp_path / "unpickled"))
    import_entries(tmp_path / "old", tmp_path / "new.shelf")
    assert not (tmp_path / "unpickled").exists()


def test_broken_file_fails_by_name_and_the_others_arrive(tmp_path: Path) -> None:
    old = pickleshare.PickleShareDB(tmp_path / "old")
    old["good"] = 1
    (tmp_path / "old/cut").write_bytes(pickle.dumps(list(range(100)))[:-5])
    os.utime(tmp_path / "old/cut", (1, 1))
    (tmp_path / "old/link").symlink_to("/etc/hostname")
    report = import_entries(tmp_path / "old", tmp_path / "new.shelf")
    assert report.done == 1
    assert [left.key for left in report.failed] == ["'cut'"]


# --- SQLite ----------------------------------------------------------------------------------------------------------


def test_several_tables_of_sqlitedict_are_listed_and_chosen_by_name(tmp_path: Path) -> None:
    for table, value in (("one", 1), ('two "quoted"', 2)):
        with sqlitedict.SqliteDict(tmp_path / "old.sqlite", tablename=table, autocommit=True) as database:
            database["key"] = value
    with pytest.raises(SourceError, match=r"'one', 'two \"quoted\"'(.|\n)*--table"):
        import_entries(tmp_path / "old.sqlite", tmp_path / "new.shelf")
    import_entries(tmp_path / "old.sqlite", tmp_path / "new.shelf", table='two "quoted"')
    with coshelf.open(tmp_path / "new.shelf") as shelf:
        assert dict(shelf) == {"key": 2}
    with pytest.raises(SourceError, match="no table 'three'"):
        import_entries(tmp_path / "old.sqlite", tmp_path / "new.shelf", table="three")


def test_rows_that_are_none_of_sqlitedicts_fail(tmp_path: Path) -> None:
    with sqlitedict.SqliteDict(tmp_path / "old.sqlite", autocommit=True) as database:
        database["good"] = 1
    connection = sqlite3.connect(tmp_path / "old.sqlite")
    rows = [("text", "no blob"), ("cut", pickle.dumps([1])[:-1]), (b"blob", pickle.dumps(1)), ("null", None)]
    connection.executemany("INSERT INTO unnamed VALUES (?, ?)", rows)
    connection.commit()
    connection.close()
    report = import_entries(tmp_path / "old.sqlite", tmp_path / "new.shelf")
    assert report.done == 1
    assert {left.key for left in report.failed} == {"'text'", "'cut'", "b'blob'", "'null'"}


def test_diskcache_keys_values_and_expiry_of_every_kind(tmp_path: Path) -> None:
    long, data = "x" * 100_000, list(range(10_000))
    content = {"text": long, "short": "y", b"bytes": long.encode(), 5: 1.5, 2.5: data, "tuple": (1, 2)}
    with diskcache.Cache(str(tmp_path / "old")) as cache:
        for key, value in content.items():
            cache[key] = value
        cache["tuple", "key"] = "pickled key"
        cache.set("gone", 1, expire=0.001)
        cache.set("stays", 1, expire=1000)
    time.sleep(0.01)
    report = import_entries(tmp_path / "old", tmp_path / "new.shelf")
    assert sorted(left.reason for left in report.skipped) == [
        "it expired",
        "its key must be unpickled (--trust-pickle)",
    ]
    with coshelf.open(tmp_path / "new.shelf") as shelf:
        assert dict(shelf) == content | {"stays": 1}
        assert shelf.expires("stays") is not None
    import_entries(tmp_path / "old", tmp_path / "new.shelf", trust_pickle=True)
    with coshelf.open(tmp_path / "new.shelf") as shelf:
        assert shelf["tuple", "key"] == "pickled key"


@pytest.mark.parametrize(
    "name", ["../secret", "{}/secret", "link", "inner/secret", "fifo", "", "none", "a/../../secret"]
)
def test_diskcache_reads_no_file_outside_its_directory(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    with diskcache.Cache(str(tmp_path / "old")) as cache:
        cache["text"] = "x" * 100_000
        cache["good"] = 1
    (tmp_path / "old/link").symlink_to(tmp_path / "secret")
    (tmp_path / "old/inner").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "old/fifo")
    connection = sqlite3.connect(tmp_path / "old/cache.db")
    connection.execute("UPDATE Cache SET filename = ? WHERE key = 'text'", (name.format(tmp_path),))
    connection.commit()
    connection.close()
    report = import_entries(tmp_path / "old", tmp_path / "new.shelf")
    assert report.done == 1
    assert [left.key for left in report.failed] == ["'text'"]
    assert "cannot be read" in report.failed[0].reason
