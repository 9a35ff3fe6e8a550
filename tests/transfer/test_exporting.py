"""Exporting: what comes back is what was there, and a target appears whole or not at all."""

from __future__ import annotations

import json
import shelve
import subprocess
import sys
from pathlib import Path
from typing import Any

import pickleshare
import pytest
from hypothesis import given
from hypothesis import strategies as st

import coshelf
from coshelf.errors import NotAShelf, ShelfNotFound
from coshelf.transfer import export_entries, import_entries

from .conftest import CONTENT, Trap

SCRIPTS = Path(__file__).parent / "scripts" / "exporting"

CORNERS: dict[Any, Any] = {
    "": "", "\ud800": "\ud800", 'a\n"b\u2028': 1, b"\xff\0": b"\0", 5: True, -(2**70): None, 1.5: [1.5, {}],
    None: {1: 2}, float("inf"): (1,), 10**2000: "long", ("t", 1, (b"", None)): {"x": float("-inf")}, (): 2**100,
}  # fmt: skip

scalars = st.none() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.booleans()
any_key = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)


def make(place: Path, content: dict[Any, Any]) -> Path:
    with coshelf.open(place / "a.shelf") as shelf:
        shelf.update(content)
    return place / "a.shelf"


def listing(place: Path) -> list[str]:
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*"))


@pytest.mark.parametrize("trust_pickle", [False, True])
def test_json_lines_give_back_every_key_and_value(trust_pickle: bool, tmp_path: Path) -> None:
    source = make(tmp_path, CORNERS)
    report = export_entries(source, tmp_path / "a.jsonl", trust_pickle=trust_pickle)
    assert (report.done, report.failed) == (len(CORNERS), [])
    for line in (tmp_path / "a.jsonl").read_text("ascii").splitlines():
        assert len(json.loads(line)) == 2
    assert import_entries(tmp_path / "a.jsonl", tmp_path / "b.shelf").failed == []
    with coshelf.open(tmp_path / "b.shelf") as shelf, coshelf.open(source) as old:
        assert [(key, type(key), value, type(value)) for key, value in shelf.items()] == [
            (key, type(key), value, type(value)) for key, value in old.items()
        ]


@given(st.lists(any_key, max_size=5))
def test_json_lines_give_back_any_key(keys: list[Any]) -> None:
    from coshelf.transfer.json_lines import _parsed, line_of
    from coshelf.transfer.source import SourceEntry

    for key in keys:
        found = _parsed(line_of(key, value=0), 1)
        assert isinstance(found, SourceEntry)
        with coshelf.open("memory:") as shelf:
            shelf[key] = 1
            shelf[found.key] = 2
            assert len(shelf) == 1


def test_values_are_unpickled_only_if_asked_for(tmp_path: Path) -> None:
    source = make(tmp_path, {"trap": Trap(tmp_path / "unpickled")})
    for number, options in enumerate([{}, {"dry_run": True, "trust_pickle": True}, {"kind": "pickleshare"}]):
        export_entries(source, tmp_path / f"out{number}", **options)  # type: ignore[arg-type]
        assert not (tmp_path / "unpickled").exists()
    export_entries(source, tmp_path / "trusted", trust_pickle=True)
    assert (tmp_path / "unpickled").exists()


def test_what_json_would_change_is_written_as_a_pickle(tmp_path: Path) -> None:
    source = make(
        tmp_path, {"same": {"a": [1, "x", None, True, 1.5]}, "tuple": (1,), "nan": float("nan"), "keys": {1: 2}}
    )
    export_entries(source, tmp_path / "a.jsonl", trust_pickle=True)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert {line["key"] for line in lines if "value" in line} == {"same"}


def test_bad_lines_fail_by_number_and_the_others_arrive(tmp_path: Path) -> None:
    lines = [
        '{"key": "good", "value": [1]}', "", "no json", '{"key": "a"}', '["key", "value"]',
        '{"key": {"x": 1}, "value": 1}', '{"key": "p", "pickle": "not base64!"}',
        '{"key": "p", "pickle": "gASVBQ=="}', '{"key": "p", "pickle": 5}',
        '{"key": true, "value": NaN}', "[" * 100_000, '{"key": "last", "value": 2}',
    ]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    report = import_entries(tmp_path / "a.jsonl", tmp_path / "a.shelf")
    assert {left.key for left in report.failed} == {*(f"line {n}" for n in (3, 4, 5, 6, 7, 9, 11)), "'p'"}
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        assert list(shelf) == [1, "good", "last"]


def test_directory_of_pickleshare_is_read_by_pickleshare(tmp_path: Path) -> None:
    source = make(tmp_path, CONTENT | {("t",): 1, "../x": 2})
    report = export_entries(source, f"{tmp_path}/out/")
    assert {left.key for left in report.failed} == {"('t',)", "'../x'"}
    assert dict(pickleshare.PickleShareDB(tmp_path / "out")) == CONTENT
    assert [name for name in listing(tmp_path) if "exporting" in name] == []


def test_shelf_of_the_standard_library_is_read_by_shelve(tmp_path: Path) -> None:
    source = make(tmp_path, CONTENT | {5: 1})
    report = export_entries(source, tmp_path / "out", kind="shelve")
    assert [left.key for left in report.failed] == ["5"]
    with shelve.open(str(tmp_path / "out"), "r") as shelf:
        assert dict(shelf) == CONTENT


@pytest.mark.parametrize("kind", ["jsonl", "shelve", "pickleshare"])
def test_what_lies_at_the_target_stays(kind: str, tmp_path: Path) -> None:
    source = make(tmp_path, CONTENT)
    (tmp_path / "out").write_text("kept")
    with pytest.raises(NotAShelf, match="overwrite"):
        export_entries(source, tmp_path / "out", kind=kind)
    assert (tmp_path / "out").read_text() == "kept"
    (tmp_path / "directory").mkdir()
    with pytest.raises(NotAShelf, match="is a directory"):
        export_entries(source, tmp_path / "directory", kind=kind, overwrite=True)
    assert (tmp_path / "directory").is_dir()


def test_overwriting_replaces_the_file(tmp_path: Path) -> None:
    source = make(tmp_path, {"a": 1})
    (tmp_path / "out.jsonl").write_text("old")
    export_entries(source, tmp_path / "out.jsonl", overwrite=True, trust_pickle=True)
    assert (tmp_path / "out.jsonl").read_text() == '{"key": "a", "value": 1}\n'


_FAILING = SCRIPTS / "fails.py"


@pytest.mark.parametrize("kind", ["jsonl", "shelve", "pickleshare"])
def test_export_that_fails_leaves_nothing(kind: str, tmp_path: Path) -> None:
    source = make(tmp_path, CONTENT)
    before = listing(tmp_path)
    command = [sys.executable, _FAILING, str(source), str(tmp_path / "out"), kind]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "failed\n"
    assert listing(tmp_path) == before


def test_source_that_is_no_shelf_is_an_error_and_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no shelf")
    with pytest.raises(NotAShelf):
        export_entries(tmp_path / "text", tmp_path / "out")
    with pytest.raises(ShelfNotFound):
        export_entries(tmp_path / "none", tmp_path / "out")
    assert listing(tmp_path) == ["text"]


@pytest.mark.parametrize("kind", [list, tuple])
def test_value_whose_text_has_no_end_is_exported_as_a_pickle(tmp_path: Path, kind: type) -> None:
    value: Any = kind()
    for _ in range(64):
        value = kind((value, value))  # 150 bytes as a pickle, 2**64 lists as JSON
    path = make(tmp_path, {"small": value, "x": [[1], [1]]})
    assert export_entries(path, tmp_path / "a.jsonl", trust_pickle=True).done == 2
    small, plain = (json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines())
    assert len(small["pickle"]) < 2000
    assert plain["value"] == [[1], [1]]
    import_entries(tmp_path / "a.jsonl", tmp_path / "b.shelf")
    with coshelf.open(tmp_path / "b.shelf") as shelf:
        assert len(shelf["small"]) == len(shelf["small"][1][0]) == 2
