"""What diskcache and sqlitedict keep in forms of their own, and sources that others write to meanwhile."""

from __future__ import annotations

import json
import pickle
import signal
import sqlite3
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import diskcache
import pytest
import sqlitedict

import coshelf
from coshelf.transfer import import_entries
from coshelf.transfer.source import SourceError
from transfer.conftest import Trap

SCRIPTS = Path(__file__).parent / "scripts" / "foreign_forms"


def imported(source: Path, **options: Any) -> tuple[dict[Any, Any], Any]:
    target = source.parent / "new.shelf"
    report = import_entries(source, target, **options)
    with coshelf.open(target) as shelf:
        return dict(shelf), report


# --- diskcache -------------------------------------------------------------------------------------------------------


def test_times_are_kept_unless_they_are_dropped(tmp_path: Path) -> None:
    with diskcache.Cache(str(tmp_path / "old")) as cache:
        cache.set("token", "x", expire=1000)
        cache.set("kept", "x")
        cache.set("gone", "x", expire=0.001)
        _, expires = cache.get("token", expire_time=True)
    time.sleep(0.01)
    for drop, time_left in ((False, expires), (True, None)):
        target = str(tmp_path / f"{drop}.shelf")
        for round_ in range(2):  # the second time, nothing is new
            report = import_entries(tmp_path / "old", target, drop_expiry=drop)
            assert [(left.key, left.reason) for left in report.skipped] == [("'gone'", "it expired")]
            assert (report.done, report.unchanged) == ((2, 0) if round_ == 0 else (0, 2))
        with coshelf.open(target) as shelf:
            assert dict(shelf) == {"kept": "x", "token": "x"}
            assert (shelf.expires("kept"), shelf.expires("token")) == (None, pytest.approx(time_left, abs=1e-6))
    report = import_entries(tmp_path / "old", f"files:{tmp_path / 'd'}")
    assert [(left.key, "--drop-expiry" in left.reason) for left in report.skipped] == [
        ("'token'", True),
        ("'gone'", False),
    ]
    assert report.done == 1


def test_tag_of_every_kind_becomes_a_text(tmp_path: Path) -> None:
    tags = {"text": "x", "number": 7, "float": 1.5, "bytes": b"y", "other": b"\xff\x00", "none": None, "empty": ""}
    with diskcache.Cache(str(tmp_path / "old")) as cache:
        for key, tag in tags.items():
            cache.set(key, key, tag=tag, expire=1000 if key == "text" else None)
        cache.set("never", 1, tag="x", expire=float("inf"))
        cache.set("long", 1, tag="z" * 256)
    report = import_entries(tmp_path / "old", tmp_path / "new.shelf")
    assert [(left.key, left.reason[:19]) for left in report.failed] == [("'long'", "a tag has 1 to 255 ")]
    with coshelf.open(tmp_path / "new.shelf") as shelf:
        found = {key: shelf.record(key).tags for key in shelf}
        assert found == {
            "text": ("x",),
            "number": ("7",),
            "float": ("1.5",),
            "bytes": ("y",),
            "other": ("ff00",),
            "none": (),
            "empty": (),
            "never": ("x",),
        }
        assert list(shelf.tagged("x")) == ["never", "text"]
        assert (shelf.expires("never"), shelf.expires("text") is None) == (None, False)
    assert import_entries(tmp_path / "old", tmp_path / "new.shelf").unchanged == 8
    report = import_entries(tmp_path / "old", f"files:{tmp_path / 'd'}", drop_expiry=True)
    assert {left.reason for left in report.skipped} == {
        "it has tags, and the target cannot keep tags (--drop-tags imports it)"
    }
    assert import_entries(tmp_path / "old", f"files:{tmp_path / 'd'}", drop_expiry=True, drop_tags=True).done == 6


def test_equal_keys_of_other_types_are_reported_and_the_first_stays(tmp_path: Path) -> None:
    with diskcache.Cache(str(tmp_path / "old")) as cache:
        cache[1], cache[True], cache[(2,)], cache[(2.0,)], cache[0] = "one", "yes", "a", "b", 0
    found, report = imported(tmp_path / "old", trust_pickle=True)
    assert found == {0: 0, 1: "one", (2,): "a"}
    assert [(left.key, left.reason) for left in report.failed] == [
        ("True", "it equals the key 1, which came first"),
        ("(2.0,)", "it equals the key (2,), which came first"),
    ]
    assert report.done == 3


@pytest.mark.parametrize("settings", [{}, {"disk_compress_level": 6}])
def test_json_disk_is_read_as_what_it_holds(settings: dict[str, Any], tmp_path: Path) -> None:
    content = {"user": {"name": "ann"}, 5: [1, None], ("a", 1): "x" * 100, "long": list(range(50_000))}
    with diskcache.Cache(str(tmp_path / "old"), disk=diskcache.JSONDisk, **settings) as cache:
        for key, value in content.items():
            cache[key] = value
        cache.set("token", 1, expire=1000)
    found, report = imported(tmp_path / "old")
    assert found == content | {"token": 1}
    assert report.is_complete()


def test_what_json_disk_has_not_written_fails_by_name(tmp_path: Path) -> None:
    with diskcache.Cache(str(tmp_path / "old"), disk=diskcache.JSONDisk) as cache:
        cache["good"], cache["bad"] = 1, 2
    with sqlite3.connect(tmp_path / "old/cache.db") as connection:
        name = zlib.compress(json.dumps("bad").encode(), 1)
        connection.execute("UPDATE Cache SET value = ? WHERE key = ?", (b"nonsense", name))
    connection.close()
    with diskcache.Cache(str(tmp_path / "old")) as cache:
        cache["plain"] = 3
    found, report = imported(tmp_path / "old")
    assert found == {"good": 1, "plain": 3}
    assert [left.key for left in report.failed] == ["'bad'"]
    found, report = imported(tmp_path / "old", disk="json")
    assert [left.key for left in report.failed] == ["'bad'", "'plain'"]


def test_disk_with_settings_of_its_own_is_not_guessed_at(tmp_path: Path) -> None:
    class OwnDisk(diskcache.Disk):  # type: ignore[misc]
        def __init__(self, directory: str, secret: str = "", **options: Any) -> None:
            super().__init__(directory, **options)

    with diskcache.Cache(str(tmp_path / "old"), disk=OwnDisk, disk_secret="x") as cache:
        cache["a"] = 1
    with pytest.raises(SourceError, match=r"disk_secret\n  hint: give --disk pickle"):
        imported(tmp_path / "old")
    assert not (tmp_path / "new.shelf").exists()
    assert imported(tmp_path / "old", disk="pickle")[0] == {"a": 1}


# --- sqlitedict ------------------------------------------------------------------------------------------------------


def test_keys_in_base64_are_read_without_running_them(tmp_path: Path) -> None:
    keys = [(1, 2), "text", 5, None, (b"x", (2.5,))]
    with sqlitedict.SqliteDict(
        tmp_path / "old.db",
        encode_key=sqlitedict.encode_key,
        decode_key=sqlitedict.decode_key,
        autocommit=True,
    ) as database:
        for key in keys:
            database[key] = "v"
        database[Trap(tmp_path / "alarm")] = "v"
    found, report = imported(tmp_path / "old.db", keys="pickle-base64")
    assert found == dict.fromkeys(keys, "v")
    assert len(report.failed) == 1 and "it names posix.mkdir" in report.failed[0].reason
    assert not (tmp_path / "alarm").exists()


def test_keys_that_look_encoded_are_not_taken_for_text_unasked(tmp_path: Path) -> None:
    encoded = sqlitedict.encode_key((1, 2))
    with sqlitedict.SqliteDict(tmp_path / "old.db", autocommit=True) as database:
        database[encoded] = database["plain"] = "v"
    found, report = imported(tmp_path / "old.db")
    assert found == {"plain": "v"}
    assert "--keys pickle-base64" in report.failed[0].reason
    assert imported(tmp_path / "old.db", keys="text")[0] == {"plain": "v", encoded: "v"}


@pytest.mark.parametrize(
    ("how", "encode"),
    [
        ("json", json.dumps),
        ("pickle-zlib", lambda value: sqlite3.Binary(zlib.compress(pickle.dumps(value)))),
        ("pickle", sqlitedict.encode),
    ],
)
def test_values_are_read_in_the_form_that_is_named(how: str, encode: Any, tmp_path: Path) -> None:
    content = {"a": {"x": 1}, "b": [None, 2.5], "c": "text"}
    with sqlitedict.SqliteDict(tmp_path / "old.db", encode=encode, autocommit=True) as database:
        database.update(content)
    other = "pickle" if how == "json" else "json"
    found, report = imported(tmp_path / "old.db", values=other)
    assert found == {} and len(report.failed) == 3
    assert imported(tmp_path / "old.db", values=how)[0] == content


# --- the files of a source -------------------------------------------------------------------------------------------


def what_lies_at(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}


WRITER = SCRIPTS / "sqlitedict_writer.py"


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_nothing_is_left_beside_a_source_nor_changed(mode: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with sqlitedict.SqliteDict(place / "old.db", journal_mode=mode, autocommit=True) as database:
        database["a"] = 1
    before = what_lies_at(place)
    report = import_entries(place / "old.db", tmp_path / "new.shelf")
    assert report.done == 1
    assert what_lies_at(place) == before
    place.chmod(0o500)
    assert import_entries(place / "old.db", tmp_path / "new.shelf").unchanged == 1
    place.chmod(0o700)
    assert what_lies_at(place) == before


@pytest.mark.parametrize("with_index", [True, False])
def test_log_of_a_killed_writer_is_read_and_stays(with_index: bool, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with writer(place / "old.db", "WAL") as process:
        tell(process, "written")
        tell(process, "")
    if not with_index:
        (place / "old.db-shm").unlink()
    before = what_lies_at(place)
    assert before["old.db-wal"]
    report = import_entries(place / "old.db", tmp_path / "new.shelf")
    assert report.done == 21
    after = what_lies_at(place)
    assert after.keys() == before.keys()
    assert after["old.db"] == before["old.db"] and after["old.db-wal"] == before["old.db-wal"]


def test_journal_of_a_killed_writer_is_rolled_back_in_a_copy(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with sqlitedict.SqliteDict(place / "old.db", autocommit=True) as database:
        database.update((f"k{number}", "a" * 1000) for number in range(200))
    done = subprocess.run([sys.executable, SCRIPTS / "killed_sqlite_writer.py", str(place / "old.db")], check=False)
    assert done.returncode == -signal.SIGKILL
    before = what_lies_at(place)
    assert before["old.db-journal"]
    report = import_entries(place / "old.db", tmp_path / "new.shelf")
    assert report.done == 200 and not report.failed
    assert what_lies_at(place) == before


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_writers_go_on_while_a_source_is_imported(mode: str, tmp_path: Path) -> None:
    with sqlitedict.SqliteDict(tmp_path / "old.db", journal_mode=mode, autocommit=True) as database:
        database.update((f"k{number}", "v" * 100) for number in range(2_000))
    with writer(tmp_path / "old.db", mode) as process:
        has_written = []

        def in_the_middle(done: int, total: int | None) -> None:
            if not has_written:
                tell(process, "written")  # it waits for none of what is read
                has_written.append(done)

        report = import_entries(tmp_path / "old.db", tmp_path / "new.shelf", progress=in_the_middle)
        assert has_written and has_written[0] < 2_000
        assert report.done == 2_021 and not report.failed and not report.skipped


class writer:  # noqa: N801 (used as a function)
    """A process that writes to a sqlitedict, and kills itself."""

    def __init__(self, path: Path, mode: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, WRITER, str(path), mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> subprocess.Popen[str]:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self._process

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()


def tell(process: subprocess.Popen[str], answer: str) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == (f"{answer}\n" if answer else "")
