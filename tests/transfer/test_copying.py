"""copy_entries: from a shelf on any engine to one on any other."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import coshelf
from coshelf import records
from coshelf.contract import Batch, OpenOptions
from coshelf.engines import open_engine
from coshelf.errors import Unsupported
from coshelf.keys import encode
from coshelf.transfer import copy_entries, copying, records_apart

ENTRIES = {"a": 1, "b/c": [2, {"x": None}], "text": "é" * 3000, "bytes": bytes(range(256))}
OTHER_KEYS: dict[Any, Any] = {15: "int", ("t", 1): "tuple", None: "none", b"x": "bytes", "": "empty"}
KINDS = ("lmdb", "files", "memory", "mapping")


@pytest.fixture
def place(tmp_path: Path) -> Any:
    """Opens a shelf of a kind by a name; those in memory are the same at each opening."""
    mappings: dict[str, dict[bytes, bytes]] = {}
    kept: dict[str, coshelf.Shelf[Any, Any]] = {}

    def opened(kind: str, name: str) -> coshelf.Shelf[Any, Any]:
        if kind == "mapping":
            return coshelf.open(mappings.setdefault(name, {}), trust=True)
        if kind == "memory":
            if name not in kept:
                kept[name] = coshelf.open("memory:")
            return kept[name]
        return coshelf.open(f"{tmp_path}/{name}.shelf" if kind == "lmdb" else f"files:{tmp_path}/{name}")

    return opened


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("of", KINDS)
def test_from_each_engine_to_each(place: Any, of: str, to: str) -> None:
    source, target = place(of, "source"), place(to, "target")
    source.update(ENTRIES)
    report = copy_entries(source, target, trust=True)
    assert (report.done, report.unchanged, report.verified, report.is_complete()) == (4, 0, 4, True)
    assert report.kind == f"{of} to {to}"
    assert dict(target) == ENTRIES
    again = copy_entries(source, target, trust=True)
    assert (again.done, again.unchanged, again.verified) == (0, 4, 4)
    source["a"] = 2
    report = copy_entries(source, target, trust=True)
    assert [left.key for left in report.skipped] == ["'a'"] and target["a"] == 1
    assert (report.unchanged, report.verified, report.failed) == (3, 3, [])
    report = copy_entries(source, target, trust=True, overwrite=True)
    assert (report.done, report.unchanged) == (1, 3)
    assert dict(target) == dict(source)


@pytest.mark.parametrize("target", ["memory:", "files:{}/d"])
def test_keys_of_all_types_go_along(tmp_path: Path, target: str) -> None:
    with coshelf.open(tmp_path / "a.shelf") as source:
        source.update(ENTRIES | OTHER_KEYS)
    with coshelf.open(target.format(tmp_path)) as opened:
        report = copy_entries(tmp_path / "a.shelf", opened)
        assert report.is_complete()
        assert dict(opened) == ENTRIES | OTHER_KEYS
    assert json.loads(json.dumps(report.as_dict()))["verified"] == len(ENTRIES | OTHER_KEYS)


def test_dry_run_makes_and_changes_nothing(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as source, coshelf.open(tmp_path / "b.shelf") as target:
        source.update(ENTRIES)
        target["a"] = "other"
        target["b/c"] = ENTRIES["b/c"]
    report = copy_entries(tmp_path / "a.shelf", tmp_path / "b.shelf", dry_run=True)
    assert (report.done, report.unchanged, len(report.skipped), report.verified) == (2, 1, 1, 0)
    report = copy_entries(tmp_path / "a.shelf", tmp_path / "c.shelf", dry_run=True)
    assert report.done == 4
    assert not (tmp_path / "c.shelf").exists()
    with coshelf.open(tmp_path / "b.shelf") as target:
        assert dict(target) == {"a": "other", "b/c": ENTRIES["b/c"]}


def test_many_entries_and_large_ones_go_in_batches_and_are_told(tmp_path: Path) -> None:
    entries = {number: "x" * (number % 50) for number in range(3_000)} | {("big", n): bytes(3 << 20) for n in range(5)}
    with coshelf.open(tmp_path / "a.shelf") as source:
        source.update(entries)
    told: list[tuple[int, int | None]] = []
    report = copy_entries(tmp_path / "a.shelf", tmp_path / "b.shelf", progress=lambda done, of: told.append((done, of)))
    assert (report.done, report.verified) == (3_005, 3_005)
    assert told[-1] == (6_010, 6_010) and len(told) > 10
    with coshelf.open(tmp_path / "b.shelf") as target:
        assert dict(target) == entries


class Stops(Exception):
    pass


def test_copy_that_was_stopped_goes_on(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as source:
        source.update((number, number) for number in range(3_000))

    def stop(done: int, of: int | None) -> None:
        if done > 1_000:
            raise Stops

    with pytest.raises(Stops):
        copy_entries(tmp_path / "a.shelf", tmp_path / "b.shelf", progress=stop)
    report = copy_entries(tmp_path / "a.shelf", tmp_path / "b.shelf")
    assert report.unchanged > 1_000 and report.done + report.unchanged == report.verified == 3_000


# --- large buffers ---------------------------------------------------------------------------------------------------


def arrays() -> dict[str, Any]:
    return {
        "array": np.arange(500_000, dtype="f8"),
        "two": [np.ones(300_000), np.zeros(300_000, dtype="f8"), "between"],
        "bytearray": bytearray(os.urandom(2 << 20)),
        "small": np.arange(3),
    }


def same(found: Any, expected: Any) -> bool:
    return pickle.dumps(found, 4) == pickle.dumps(expected, 4)


def blobs_of(path: Path) -> int:
    folder = Path(f"{path}.coshelf-blobs")
    return sum(each.is_file() for each in folder.iterdir()) if folder.exists() else 0


@pytest.mark.parametrize("through", ["memory", "files", "mapping", "lmdb"])
def test_large_buffers_go_into_values_and_back_into_blobs(tmp_path: Path, place: Any, through: str) -> None:
    expected = arrays()
    with coshelf.open(tmp_path / "a.shelf") as source:
        source.update(expected)
    assert blobs_of(tmp_path / "a.shelf") == 3
    middle = place(through, "middle")
    report = copy_entries(tmp_path / "a.shelf", middle)
    assert (report.done, report.verified, report.failed) == (4, 4, [])
    assert copy_entries(tmp_path / "a.shelf", middle).unchanged == 4
    for key, value in expected.items():
        assert same(middle.get(key, copy=True), value), key
    report = copy_entries(middle, tmp_path / "b.shelf", trust=True)
    assert (report.done, report.verified, report.failed) == (4, 4, [])
    assert copy_entries(middle, tmp_path / "b.shelf", trust=True).unchanged == 4
    assert copy_entries(tmp_path / "a.shelf", tmp_path / "b.shelf").unchanged == 4
    with coshelf.open(tmp_path / "b.shelf") as target:
        for key, value in expected.items():
            assert same(target.get(key, copy=True), value), key
        assert target.check().ok
    assert blobs_of(tmp_path / "b.shelf") == 3


def test_array_that_was_changed_is_another_value(tmp_path: Path) -> None:
    expected = arrays()
    with coshelf.open(tmp_path / "a.shelf") as source, coshelf.open("memory:") as target:
        source.update(expected)
        copy_entries(source, target)
        expected["array"][400_000] = -1
        source["array"] = expected["array"]
        assert [left.key for left in copy_entries(source, target).skipped] == ["'array'"]
        assert copy_entries(source, target, overwrite=True).done == 1
        assert same(target["array"], expected["array"])


def test_blob_that_is_gone_is_told(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as source:
        source.update(arrays())
    for each in Path(f"{tmp_path}/a.shelf.coshelf-blobs").iterdir():
        if each.is_file():
            each.unlink()
    report = copy_entries(tmp_path / "a.shelf", "memory:")
    assert (report.done, len(report.failed)) == (1, 3)


# --- what is bound to its shelf --------------------------------------------------------------------------------------


def test_signed_values_are_told_and_not_copied_to_where_nobody_can_read_them(tmp_path: Path) -> None:
    secret = b"s" * 16
    with coshelf.open(tmp_path / "a.shelf", sign=secret) as source:
        source.update(a=1, b=2)
    with coshelf.open(tmp_path / "a.shelf") as source:
        source["plain"] = 3
    report = copy_entries(tmp_path / "a.shelf", tmp_path / "b.shelf")
    assert (report.done, report.verified) == (1, 1)
    assert all("backup" in left.reason and "sign=" in left.reason for left in report.failed)
    with coshelf.open(tmp_path / "a.shelf") as source:
        source.backup(tmp_path / "c.shelf")
        source["d"] = 4
    with coshelf.open(tmp_path / "a.shelf", sign=secret) as source:
        source["new"] = 5
    report = copy_entries(tmp_path / "a.shelf", tmp_path / "c.shelf")  # which has the same id
    assert (report.done, report.unchanged, report.failed) == (2, 3, [])
    with coshelf.open(tmp_path / "c.shelf", sign=secret) as copy:
        assert copy["new"] == 5


def test_settings_go_along_and_trust_does_not(tmp_path: Path) -> None:
    body = records.write_headers([]) + b'{"format": 1}'
    for name in ("a", "b"):
        coshelf.open(tmp_path / f"{name}.shelf").close()
        engine = open_engine(tmp_path / f"{name}.shelf", OpenOptions())
        engine.commit(Batch(puts={b"\x01values": body + name.encode(), b"\x01trust": b"\x02\0" + bytes(32)}))
        engine.close()
    report = copy_entries(tmp_path / "a.shelf", tmp_path / "c.shelf")
    assert report.settings == ["values"]
    engine = open_engine(tmp_path / "c.shelf", OpenOptions())
    found = engine.get(b"\x01values")
    assert found is not None and found.record[: -records.TRAILER] == body + b"a"
    assert engine.get(b"\x01trust") is None
    engine.close()
    with pytest.raises(Unsupported, match="another setting 'values'"):
        copy_entries(tmp_path / "a.shelf", tmp_path / "b.shelf")
    report = copy_entries(tmp_path / "a.shelf", f"files:{tmp_path}/d")
    assert [left.key for left in report.failed] == ["the setting 'values'"]


def test_values_of_a_shelf_that_is_not_trusted_do_not_become_trusted(tmp_path: Path) -> None:
    planted: dict[bytes, bytes] = {}
    with coshelf.open(planted, trust=True) as mapping:
        mapping["object"] = np.testing.assert_equal
        source = mapping
        copy_entries(source, tmp_path / "new.shelf")
        with coshelf.open(tmp_path / "new.shelf") as target, pytest.raises(coshelf.UntrustedValue):
            target["object"]
        assert copy_entries(source, tmp_path / "new.shelf").unchanged == 1
        with coshelf.open(tmp_path / "mine.shelf") as mine:
            mine["a"] = 1
        with pytest.raises(coshelf.ShelfPermissionError, match="is trusted, and the source is not"):
            copy_entries(source, tmp_path / "mine.shelf")
        assert copy_entries(source, tmp_path / "mine.shelf", trust=True).done == 1
        with coshelf.open(tmp_path / "mine.shelf") as mine:
            assert mine["object"] is np.testing.assert_equal


# --- faults ----------------------------------------------------------------------------------------------------------


def test_damaged_entries_are_told_and_keep_no_others_out(tmp_path: Path) -> None:
    mapping: dict[bytes, bytes] = {}
    with coshelf.open(mapping, trust=True) as source:
        source.update(ENTRIES)
        mapping[encode("a")] = b"\x80" + mapping[encode("a")][1:-1] + b"?"
        mapping[encode("text")] = b"short"
        report = copy_entries(source, "memory:", trust=True)
    assert report.done == report.verified == 2
    assert sorted(left.key for left in report.failed) == ["'a'", "'text'"]


def test_damaged_file_keeps_no_others_out(tmp_path: Path) -> None:
    with coshelf.open(f"files:{tmp_path}/d") as source:
        source.update(ENTRIES)
    (tmp_path / "d" / "a").write_bytes(b"")
    os.utime(tmp_path / "d" / "a", (1, 1))
    report = copy_entries(f"files:{tmp_path}/d", tmp_path / "b.shelf")
    assert (report.done, [left.key for left in report.failed]) == (3, ["'a'"])


def test_what_others_store_in_the_target_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with coshelf.open("memory:") as source, coshelf.open("memory:") as target:
        source.update(a=1, b=2)
        commit, once = target._handle.engine.commit, iter([True])

        def late(batch: Batch) -> int | str:
            if next(once, False):
                commit(Batch(puts={encode("a"): pickle.dumps("theirs")}))
            return commit(batch)

        monkeypatch.setattr(target._handle.engine, "commit", late)
        report = copy_entries(source, target)
        assert (report.done, [left.key for left in report.skipped]) == (1, ["'a'"])
        assert dict(target) == {"a": "theirs", "b": 2}


def test_difference_at_the_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with coshelf.open("memory:") as source, coshelf.open("memory:") as target:
        source.update(a=1, b=2, c=3)
        engine = target._handle.engine

        def spoil() -> None:
            target["a"] = "other"
            del target["b"]

        monkeypatch.setattr(engine, "sync", spoil)
        report = copy_entries(source, target)
        assert (report.done, report.verified) == (3, 1)
        assert [left.key for left in report.failed] == ["'a'", "'b'"]
        assert copy_entries(source, target, verify=False, overwrite=True).failed == []


def test_same_shelf_is_no_target(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["a"] = 1
        with pytest.raises(ValueError, match="is the source and the target"):
            copy_entries(shelf, shelf)
        with pytest.raises(ValueError, match="is the source and the target"):
            copy_entries(shelf, tmp_path / "a.shelf")
        with pytest.raises(Unsupported):
            copy_entries(shelf.sub("x"), "memory:")
    with pytest.raises(coshelf.ShelfNotFound):
        copy_entries(tmp_path / "none.shelf", tmp_path / "b.shelf")
    assert not (tmp_path / "b.shelf").exists()


def test_nothing_can_be_unpickled_while_copying() -> None:
    assert not {"pickle", "loads"} & {*vars(copying), *vars(records_apart)}


@pytest.mark.parametrize("to", ["lmdb", "mapping", "memory"])
@pytest.mark.parametrize(
    "how", [{"codec": "json"}, {"codec": "msgspec", "compress": "zstd"}, {"encrypt": b"k" * 16}, {"compress": "zstd"}]
)
def test_values_of_every_codec_and_layer_go_along(tmp_path: Path, to: str, how: dict[str, Any]) -> None:
    entries = {"a": {"x": [1, 2.5, None]}, "b": "text " * 1000, 5: [True]}
    with coshelf.open(tmp_path / "a.shelf", **how) as source:
        source.update(entries)
    target: Any = {"lmdb": tmp_path / "b.shelf", "mapping": {}, "memory": "memory:"}[to]
    if to == "memory":
        target = coshelf.open("memory:")
    elif to == "mapping":
        target = coshelf.open(mapping := {})
    report = copy_entries(tmp_path / "a.shelf", target)
    assert (report.done, report.verified, report.failed) == (3, 3, [])
    assert "values" in report.settings
    if to == "memory":
        return  # it opened before it knew
    place: Any = tmp_path / "b.shelf" if to == "lmdb" else mapping
    with coshelf.open(place, **{name: value for name, value in how.items() if name == "encrypt"}) as copy:
        assert dict(copy) == entries
    if "encrypt" in how:
        with pytest.raises(coshelf.CoshelfError):
            coshelf.open(place)


@pytest.mark.parametrize("how", [{"compress": "zstd"}, {"encrypt": b"k" * 16}])
def test_arrays_in_layers_go_along_or_are_told(tmp_path: Path, how: dict[str, Any]) -> None:
    expected = arrays()
    with coshelf.open(tmp_path / "a.shelf", **how) as source:
        source.update(expected)
    report = copy_entries(tmp_path / "a.shelf", tmp_path / "b.shelf")
    assert (report.done, report.verified) == (4, 4)
    with coshelf.open(tmp_path / "b.shelf", **how) as copy:
        for key, value in expected.items():
            assert same(copy.get(key, copy=True), value), key
    with coshelf.open("memory:") as target:
        report = copy_entries(tmp_path / "a.shelf", target)
        assert report.done == report.verified
        assert report.done + len(report.failed) == 4
