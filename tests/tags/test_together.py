"""Tags beside everything else: transactions, writeback, codecs, memoize, copies, files, import and export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf import shelve
from coshelf.contract import Batch
from coshelf.keys import FIRST, LAST
from coshelf.testing.moving_clock import MovingClock
from coshelf.transfer import copy_entries, export_entries, import_entries
from coshelf.values.envelope import with_rows
from coshelf.values.expiry import MARK
from coshelf.values.tags import INDEX, encoded_tag, row_key, row_parts

Shelf = coshelf.Shelf[Any, Any]
SECRET = b"a secret of 24 characters"


def rows(shelf: Shelf) -> list[tuple[str, bytes]]:
    """The index of tags: each tag and the encoded key of an entry."""
    found = [row_parts(row) for row, _ in shelf._handle.engine.scan(*INDEX, keys_only=True)]
    return [(tag[1:].decode(), key) for tag, key in found]


# --- transactions and snapshots --------------------------------------------------------------------------------------


def test_transaction_has_all_that_the_shelf_has(shelf: Shelf) -> None:
    shelf.update({"old": 1, "deleted": 2, "popped": [3]}, tags=("x",))
    with shelf.transaction() as transaction:
        transaction.set("set", 1, tags=("x", "y"))
        transaction.update({"u": 1}, tags=("y",))
        transaction.update([("v", 1)], expire=60, tags="y")
        assert transaction.add("added", 1, tags=("x",))
        del transaction["deleted"]
        assert transaction.pop("popped") == [3]
        transaction.sub("part").set("p", 1, tags=("x",))
        assert list(transaction.tagged("x")) == ["added", "old", "part/p", "set"]
        assert list(shelf.tagged("x")) == list(transaction.tagged("x"))
        assert list(reversed(transaction.tagged("y"))) == ["v", "u", "set"]
        assert transaction.sub("part").delete_tagged("x") == 1
        assert transaction.delete_tagged("y") == 3
        assert list(transaction) == ["added", "old"]
        with pytest.raises(coshelf.InvalidTag):
            transaction.set("a", 1, tags=(1,))
    assert list(shelf) == ["added", "old"]
    assert rows(shelf) == [("x", b"\x30added"), ("x", b"\x30old")]


def test_undone_transaction_deletes_nothing(shelf: Shelf) -> None:
    shelf.update({"a": 1, "b": 2}, tags=("x",))
    with shelf.transaction():
        with pytest.raises(ZeroDivisionError), shelf.transaction() as part:
            part.set("c", 2, tags=("x",))
            assert shelf.delete_tagged("x") == 3
            raise ZeroDivisionError
        assert list(shelf.tagged("x")) == ["a", "b"]
        shelf.set("d", 1, tags=("x",))
    assert list(shelf.tagged("x")) == ["a", "b", "d"]


def test_entry_that_is_being_changed_is_not_deleted(shelf: Shelf) -> None:
    shelf.set("a", [], tags=("x",))
    with shelf.edit("a") as value:
        value.append(1)
        with pytest.raises(coshelf.TransactionInProgress, match="is being changed by edit"):
            shelf.delete_tagged("x")
    assert (shelf["a"], list(shelf.tagged("x"))) == ([1], ["a"])


def test_snapshot_has_the_tags_of_its_instant(shelf: Shelf, clock: MovingClock) -> None:
    shelf.update({"a": 1, "b": 2}, expire=60, tags=("x",))
    clock.pass_by(30)
    with shelf.snapshot() as snapshot:
        shelf["a"] = 2
        shelf.set("c", 1, tags=("x",))
        assert shelf.delete_tagged("x") == 2
        clock.pass_by(60)
        assert list(snapshot.tagged("x")) == ["a", "b"]
        assert len(snapshot.sub("none").tagged("x")) == 0
        assert snapshot.record("b").tags == ("x",)
    with pytest.raises(coshelf.ShelfClosed):
        list(snapshot.tagged("x"))


# --- writeback, codecs, memoize ---------------------------------------------------------------------------------------


def test_writeback_keeps_the_tags_of_what_it_writes_back(target: Any) -> None:
    with coshelf.open(target, writeback=True) as shelf:
        shelf.set("a", [1], tags=("x",))
        shelf.update({"b": [1]}, expire=60, tags=("x",))
        shelf["a"].append(2)
        shelf["b"].append(2)
        shelf.sync()
        assert (dict(shelf), list(shelf.tagged("x"))) == ({"a": [1, 2], "b": [1, 2]}, ["a", "b"])
        assert shelf.expires("b") is not None
        shelf["a"].append(3)
        assert shelf.add("c", [], tags=("x",))
        assert shelf.delete_tagged("x") == 3
        shelf.sync()
        assert dict(shelf) == {}


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
@pytest.mark.parametrize("expire", [None, 60])
def test_every_codec_and_layer_takes_tags(expire: int | None, options: dict[str, Any], tmp_path: Path) -> None:
    value = ["text" * 100, 1, None]
    with coshelf.open(tmp_path / "a.shelf", **options) as shelf:
        shelf["plain"] = value
        shelf.set("a", value, expire=expire, tags=("x", "y"))
        assert shelf.touch("a", expire=expire)
        record = shelf.record("a")
        assert (record.tags, record.form, record.decode()) == (("x", "y"), shelf.record("plain").form, value)
        if "encrypt" not in options:
            assert record.payload() == shelf.record("plain").payload()
        assert record.preview().problem in (None, "it is encrypted")
        assert (shelf["a"], dict(shelf.items())["a"], shelf.get_many(["a"])) == (value, value, {"a": value})
    with coshelf.open(tmp_path / "a.shelf", **options) as shelf:
        assert (shelf["a"], list(shelf.tagged("y"))) == (value, ["a"])
        assert shelf.check().ok


def test_large_buffers_stay_beside_a_tagged_entry(tmp_path: Path) -> None:
    data = bytearray(b"x" * (2 << 20))
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.set("a", data, tags=("x",))
        shelf.set("b", data, expire=60, tags=("x",))
        shelf.sync()
        assert shelf.record("a").buffers_size == len(data)
        assert shelf["a"] == shelf["b"] == data
        assert shelf.touch("a", expire=60)
        assert shelf.check().ok
        assert shelf.delete_tagged("x") == 2
        shelf.sync()
        assert shelf.check().ok


def test_memoized_results_have_tags(shelf: Shelf) -> None:
    calls = []

    @shelf.memoize(tags=("user:ann", "slow"))
    def double(number: int) -> int:
        calls.append(number)
        return 2 * number

    assert [double(1), double(2), double(1)] == [2, 4, 2]
    assert list(shelf.tagged("slow")) == [double.cache_key(1), double.cache_key(2)]
    assert shelf.delete_tagged("user:ann") == 2
    assert (double(1), calls) == (2, [1, 2, 1])
    double.cache_clear()
    assert (len(shelf), rows(shelf)) == (0, [])


def test_drop_in_modules_read_tagged_entries(tmp_path: Path) -> None:
    path = str(tmp_path / "a.shelf")
    with coshelf.open(path) as shelf:
        shelf.set("a", [1], tags=("x",))
        shelf.set("b", [1], tags=("x",))
    with shelve.open(path) as old:
        assert dict(old) == {"a": [1], "b": [1]}
        old["a"] = [2]
    with coshelf.open(path) as shelf:
        assert list(shelf.tagged("x")) == ["b"]


# --- files -----------------------------------------------------------------------------------------------------------


def left_behind(shelf: Shelf) -> None:
    """A row of the index whose entry has no tags any more, and one of a missing entry."""
    shelf.set("a", 1, tags=("x",))
    shelf["a"] = 2
    shelf._handle.engine.commit(Batch(puts={row_key(encoded_tag("x"), b"\x30gone"): MARK}))


def test_copies_and_backups_keep_the_tags(shelf: Shelf, tmp_path: Path) -> None:
    shelf.update({"b": 1, "c": bytearray(1 << 21)}, expire=60, tags=("x", "y"))
    left_behind(shelf)
    shelf.sync()
    expected = [("x", b"\x30b"), ("x", b"\x30c"), ("y", b"\x30b"), ("y", b"\x30c")]
    for kind in ("copy.shelf", "sqlite:copy.db", "memory:"):
        name = kind if kind == "memory:" else kind.replace("copy", f"{tmp_path}/copy")
        with coshelf.open(name) as copy:
            copy.set("b", 1, tags=("other",))
            report = copy_entries(shelf, copy, trust=True, overwrite=True)
            assert (report.verified, list(copy.tagged("x"))) == (3, ["b", "c"])
            assert copy.delete_tagged("other") == 0
            assert rows(copy) == expected
    shelf.backup(tmp_path / "backup.shelf")
    with coshelf.open(tmp_path / "backup.shelf") as copy:
        assert rows(copy) == expected
        assert copy.delete_tagged("y") == 2
        assert copy.check().ok


def test_copy_to_an_engine_without_tags_names_the_entries(tmp_path: Path) -> None:
    with coshelf.open("memory:") as source, coshelf.open(f"files:{tmp_path / 'd'}") as target:
        source.set("a", 1, tags=("x",))
        source["b"] = 2
        report = copy_entries(source, target)
        assert [(left.key, "cannot have tags" in left.reason) for left in report.failed] == [("'a'", True)]
        assert dict(target) == {"b": 2}


def test_compacted_and_salvaged_files_know_their_tags(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update({f"{number:0600}": number for number in range(40)}, tags=("x", "y"))
        left_behind(shelf)
        shelf.compact()
        assert len(rows(shelf)) == 80
        shelf.set("b", 1, expire=60, tags=("x",))
    assert coshelf.salvage(tmp_path / "a.shelf", tmp_path / "salvaged.shelf").entries == 42
    for name in ("a.shelf", "salvaged.shelf"):
        with coshelf.open(tmp_path / name) as shelf:
            assert (len(shelf.tagged("x")), len(shelf.tagged("y"))) == (41, 40)
            assert shelf.delete_tagged("x") == 41
            assert (dict(shelf), rows(shelf)) == ({"a": 2}, [])
            assert shelf.check().ok


def test_salvage_makes_the_rows_that_are_missing(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.set("a", 1, tags=("x", "y"))
        shelf._handle.engine.commit(Batch(clears=(INDEX,)))
        assert list(shelf.tagged("x")) == []
    coshelf.salvage(tmp_path / "a.shelf", tmp_path / "salvaged.shelf")
    with coshelf.open(tmp_path / "salvaged.shelf") as shelf:
        assert list(shelf.tagged("x")) == list(shelf.tagged("y")) == ["a"]


def test_flush_removes_the_rows_of_expired_entries(tmp_path: Path, clock: MovingClock) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update({number: number for number in range(500)}, expire=60, tags=("x", "y"))
        shelf.sync()
        clock.pass_by(60)
        shelf.set(7, 1, tags=("x", "y"))
        shelf.sync()
        shelf["b"] = 1
        shelf.sync()
        assert [tag for tag, _ in rows(shelf)] == ["x", "y"]
        assert (list(shelf.tagged("x")), shelf._handle.engine.count(FIRST, LAST)) == ([7], 2)
        assert shelf.check().ok


def test_rows_and_headers_of_a_crafted_shelf_do_no_harm(shelf: Shelf) -> None:
    start, x = INDEX[0], encoded_tag("x")
    crafted = [start, start + b"\xff", start + b"\x05ab", start + x, start + x + b"\x01values", start + x + b"\x30none"]
    crafted += [start + x + b"\x30\xff\xfe", start + x + b"\x77junk"]
    headers = [b"\x01x", b"\x00", b"\x05x", b"\x01\xff", b"\x01x\x09", b""]
    bodies = {
        b"\x30%d" % number: b"\x02\x18" + len(data).to_bytes(2, "little") + data + b"\0\x80\x05N."
        for number, data in enumerate(headers)
    }
    bodies[b"\x30long"] = b"\x02\x18\xff\x00\x01x\0\x80\x05N."
    bodies[b"\x30twice"] = b"\x02" + b"\x18\x02\x00\x01x" * 3_000 + b"\0\x80\x05N."
    shelf._handle.engine.commit(Batch(puts={**dict.fromkeys(crafted, MARK), **with_rows(bodies)}))
    shelf.set("a", 1, tags=("x",))
    assert list(shelf.tagged("x")) == ["0", "a", "twice"]
    assert [shelf.record(key).tags for key in "012345"] == [("x",), (), (), (), (), ()]
    assert [shelf[key] for key in "012345"] == [None] * 6
    for key in ("long", "twice"):
        with pytest.raises(coshelf.CoshelfError):
            shelf[key]
    assert shelf.delete_tagged("x") == 3
    assert list(shelf.tagged("x")) == []
    assert "1" in shelf


# --- import and export -----------------------------------------------------------------------------------------------


def test_json_lines_keep_times_and_tags(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.set("a", 1, expire=3600, tags=("x", "ä"))
        shelf.set(("b", 1), {1, 2}, tags=("x",))
        shelf.set("c", 3, expire=3600)
        shelf["d"] = 4
        times = [shelf.expires(key) for key in shelf]
    for trust in (False, True):
        lines = tmp_path / f"{trust}.jsonl"
        assert export_entries(tmp_path / "a.shelf", lines, trust_pickle=trust).done == 4
        new = tmp_path / f"{trust}.shelf"
        assert import_entries(lines, new).done == 4
        assert import_entries(lines, new).unchanged == 4
        with coshelf.open(new) as copy:
            assert copy.copy() == {"a": 1, ("b", 1): {1, 2}, "c": 3, "d": 4}
            assert [copy.expires(key) for key in copy] == times
            assert list(copy.tagged("x")) == ["a", ("b", 1)]
            assert copy.record("a").tags == ("x", "ä")
        assert import_entries(lines, tmp_path / f"{trust}-2.shelf", drop_expiry=True, drop_tags=True).done == 4
        with coshelf.open(tmp_path / f"{trust}-2.shelf") as copy:
            assert ([copy.expires(key) for key in copy], rows(copy)) == ([None] * 4, [])
    assert import_entries(tmp_path / "a.shelf", tmp_path / "again.shelf").done == 4
    with coshelf.open(tmp_path / "again.shelf") as copy:
        assert list(copy.tagged("ä")) == ["a"]


def test_another_tag_is_another_entry(tmp_path: Path) -> None:
    lines = tmp_path / "a.jsonl"
    lines.write_text(json.dumps({"key": "a", "value": 1, "tags": ["x"]}) + "\n")
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.set("a", 1, tags=("y",))
    assert len(import_entries(lines, tmp_path / "a.shelf").skipped) == 1
    assert import_entries(lines, tmp_path / "a.shelf", replace=True).done == 1
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        assert (list(shelf.tagged("x")), list(shelf.tagged("y"))) == (["a"], [])


@pytest.mark.parametrize(
    "more",
    [
        {"tags": "x"},
        {"tags": [1]},
        {"tags": [""]},
        {"tags": None},
        {"expires": "soon"},
        {"expires": True},
        {"expires": 1e300},
        {"expires": float("nan")},
        {"expires": -1},
        {"other": 1},
    ],
)
def test_line_with_a_wrong_time_or_tag_is_left(more: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"key": "a", "value": 1, **more}) + "\n")
    report = import_entries(tmp_path / "a.jsonl", tmp_path / "a.shelf")
    assert (report.done, len(report.failed) + len(report.skipped)) == (0, 1)


def test_default_time_of_the_target_applies_to_imported_entries(tmp_path: Path) -> None:
    lines = [{"key": "a", "value": 1}, {"key": "b", "value": 1, "tags": ["x"]}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    coshelf.open(tmp_path / "a.shelf", expire=60).close()
    import_entries(tmp_path / "a.jsonl", tmp_path / "a.shelf")
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        assert None not in (shelf.expires("a"), shelf.expires("b"))
        assert list(shelf.tagged("x")) == ["b"]
    assert import_entries(tmp_path / "a.jsonl", tmp_path / "a.shelf").unchanged == 2
