"""An entry is shown for what it is, and nothing of it is unpickled for that."""

from __future__ import annotations

import argparse
import collections
import datetime as dt
import pickle
import struct
import zlib
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import coshelf
from coshelf import records
from coshelf.contract import Entry
from coshelf.keys import encode
from coshelf.mapping.record import Record
from coshelf.viewer.keys.rows import rows_of_keys
from coshelf.viewer.values import outlines
from coshelf.viewer.values.entries import Face, face_of, face_of_value, facts_of, parts_of, steps_of, stored_at, text_of
from coshelf.viewer.values.hexdump import lines
from coshelf.viewer.values.outlines import Outline, outline_of
from coshelf.viewer.values.pictures import kind_of_picture, png
from coshelf.viewer.values.tables import table_of


@pytest.fixture
def shelf():
    with coshelf.open("memory:") as opened:
        yield opened


def face(shelf: Any, value: Any) -> Face:
    shelf["k"] = value
    return face_of(shelf.record("k"), shelf.engine_for("tests"))


class Bomb:
    """Its pickle calls a function when it is loaded."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("a pickle was loaded",)


def test_object_is_described_and_not_loaded(shelf) -> None:
    shelf["k"] = Bomb()
    record = shelf.record("k")
    assert (found := face_of(record, shelf.engine_for("tests"))).is_object
    assert "Fail is not plain data" in (found.reason or "")
    preview = record.preview()
    assert any("Fail" in value for name, value in facts_of(record, preview) if name == "asks for")
    assert text_of(record, shelf.engine_for("tests")) is None
    assert steps_of(record.payload()).lines[-1][1] == "STOP"
    (row,) = rows_of_keys(shelf.engine_for("tests"), [encode("k")])
    assert row.problem is None


def test_trusted_shelf_loads_nothing_either(tmp_path) -> None:
    with coshelf.open(tmp_path / "a.shelf", trust=True) as shelf:
        shelf["k"] = Bomb()
        assert face_of(shelf.record("k"), shelf.engine_for("tests")).is_object


@pytest.mark.parametrize(
    "payload",
    [
        b"\x80\x05\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
        b"\x80\x05r\xff\xff\xff\x7f.",  # a memo of gigabytes
        b"\x80\x05]" + b"]" * 50_000 + b"a" * 50_000 + b".",
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
        b"\x80\x05" + b"(" * 10,
        b"\x80\x05cposix\nsystem\n.",
        b"\x80",
        b"\x80\x05.",
        b"\x80\x05]q\x00h\x00a.",  # a list that holds itself
    ],
)
def test_hostile_pickle_is_an_answer_and_never_an_error(shelf, payload: bytes) -> None:
    shelf.engine_for("tests").put(encode("k"), payload)
    record = shelf.record("k")
    found = face_of(record, shelf.engine_for("tests"))
    assert found.reason is not None or found.outline is not None
    assert facts_of(record, record.preview())
    steps_of(payload)


def test_value_that_is_too_large_is_not_loaded(shelf) -> None:
    found = face(shelf, b"x" * (17 << 20))
    assert "values of up to 16 MiB are shown" in (found.reason or "")
    assert not found.is_object


def test_value_that_would_be_too_large_when_it_is_decompressed_is_not_decompressed() -> None:
    with coshelf.open("memory:", compress="zstd") as shelf:
        found = face(shelf, b"x" * (17 << 20))
        assert shelf.record("k").size < 100_000
        assert "values of up to" in (found.reason or "")


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "constant", "None"),
        (True, "constant", "True"),
        (5, "number", "5"),
        (float("inf"), "number", "inf"),
        ("leek", "text", "leek"),
        (b"\x00leek", "bytes", "b'\\x00leek'"),
        ([1, 2], "container", "[ 2 ]"),
        ({"a": 1}, "container", "{ 1 }"),
        ((1,), "container", "( 1 )"),
        (set(), "container", "{ 0 }"),
        (collections.Counter("aab"), "container", "{ 2 }"),
        (dt.date(2026, 11, 30), "other", "datetime.date(2026, 11, 30)"),
        (Decimal("1.5"), "other", "Decimal('1.5')"),
        pytest.param(10**5_000, "number", "<int that cannot be shown: ValueError>", id="int of many digits"),
    ],
)
def test_plain_data_is_an_outline(shelf, value: Any, kind: str, text: str) -> None:
    found = face(shelf, value)
    assert found.outline is not None
    assert (found.outline.kind, found.outline.text) == (kind, text)


@pytest.mark.parametrize("codec", ["pickle", "json", "msgspec"])
def test_every_codec_is_shown(codec) -> None:
    with coshelf.open("memory:", codec=codec) as shelf:
        found = face(shelf, {"a": [1, None]})
        assert found.outline is not None
        assert [(name, part.text) for name, part in found.outline.parts] == [("'a'", "[ 2 ]")]


def test_large_outline_says_what_it_leaves_out() -> None:
    found = outline_of(list(range(10_000)))
    assert len(found.parts) + found.left == 10_000
    assert found.left > 0

    def size(outline: Outline) -> int:
        return 1 + sum(size(part) for _, part in outline.parts)

    assert size(outline_of([[list(range(100))] * 100] * 100)) <= outlines._MOST + 1


def test_value_that_holds_itself_has_an_end() -> None:
    value: list[Any] = [1]
    value.append(value)
    assert outline_of(value).parts[1][1].kind == "other"


def test_deep_value_has_an_end() -> None:
    value: Any = []
    for _ in range(500):
        value = [value]
    depth, outline = 0, outline_of(value)
    while outline.parts:
        depth, outline = depth + 1, outline.parts[0][1]
    assert depth < 50


def test_list_of_records_is_a_table(shelf) -> None:
    found = face(shelf, [{"id": n, "name": f"n{n}"} for n in range(150)] + [{"other": 1}])
    assert found.table is not None
    assert found.table.columns == ["id", "name"]
    assert found.table.numeric == [True, False]
    assert (found.table.count, len(found.table.rows)) == (151, 100)
    assert found.table.rows[1] == ["1", "'n1'"]
    assert found.outline is not None


def test_frames_are_tables_once_they_are_loaded() -> None:
    pandas, arrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", None]}, index=["r", "s"])
    found = table_of(frame)
    assert found is not None
    assert found.columns[0] == "" and found.columns[1] == "a (int64)"
    assert found.rows[0] == ["r", "1", "x"]
    assert (found.count, found.width) == (2, 2)
    found = table_of(arrow.table({"a": [1, 2, 3]}))
    assert found is not None
    assert (found.columns, found.count, found.rows) == (["a (int64)"], 3, [["1"], ["2"], ["3"]])
    assert face_of_value(frame).outline is None


def test_array_has_shape_picture_and_histogram(shelf) -> None:
    found = face(shelf, np.arange(12.0).reshape(3, 4)).array
    assert found is not None
    assert (found.shape, found.dtype, found.size, found.has_picture) == ("3 by 4", "float64", 96, True)
    assert dict(found.figures) == {"smallest": "0", "largest": "11", "mean": "5.5"}
    assert len(found.bars) == 32
    assert sum(bar.height > 0 for bar in found.bars) == 12


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(0),
        np.full((2, 2), np.nan),
        np.array([np.inf, 1e308, -1e308]),
        np.array(["a"]),
        np.array(5),
        np.zeros((3, 3), "c8"),
        np.zeros((2, 3, 5), "i2"),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array(["2026-11-30"], "M8[D]"),
        np.asfortranarray(np.ones((400, 300), "u1")),
    ],
)
def test_every_array_has_a_description(shelf, value: Any) -> None:
    found = face(shelf, value).array
    assert found is not None
    assert found.dtype == str(value.dtype)


def test_large_array_is_shown_from_its_place_beside_the_record(tmp_path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        found = face(shelf, np.ones((1_000, 1_000)))
        assert found.array is not None
        assert found.array.is_sampled
        record = shelf.record("k")
        assert dict(facts_of(record, record.preview()))["large buffers"].startswith("7.6 MiB")
        parts = parts_of(record, shelf.engine_for("tests"))
        assert [part.name for part in parts] == ["payload", "record", "buffer-0"]
        assert len(parts[2].data) == 8_000_000


def test_bytes_are_shown_without_their_pickle(shelf) -> None:
    shelf["k"] = b"leek" * 3
    parts = parts_of(shelf.record("k"), shelf.engine_for("tests"))
    assert [part.name for part in parts] == ["value", "payload", "record"]
    assert parts[0].data == b"leek" * 3
    assert parts[1].data == shelf.record("k").payload()


def test_pictures_are_recognised_by_their_bytes(shelf) -> None:
    picture = png([b"\0\xff"], 2, 1)
    assert zlib.decompress(picture[41:-16]) == b"\0\0\xff"
    for data, kind in (
        (picture, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
    ):
        assert face(shelf, data).picture == kind
    for data in (b"<svg xmlns='http://www.w3.org/2000/svg'>", b"<html>", b"", b"RIFF\0\0\0\0WAVE", b"%PDF-"):
        assert kind_of_picture(data) is None


def test_facts_tell_time_tags_and_layers(tmp_path) -> None:
    secret = b"0123456789abcdef"
    with coshelf.open(tmp_path / "a.shelf", encrypt=secret, compress="zstd") as shelf:
        shelf.set("k", "x" * 1_000, expire=7_200, tags=("b", "a"))
        record = shelf.record("k")
        facts = dict(facts_of(record, record.preview()))
        assert facts["tags"] == "a, b"
        assert facts["expires"].endswith(("(in 2 hours)", "(in 120 minutes)"))
        assert facts["layers"] == "compressed, encrypted"
        assert facts["checksum"] == "matches"
        assert facts["secret"].startswith("verified")
        assert face_of(record, shelf.engine_for("tests")).text == "x" * 1_000


def test_signature_that_does_not_fit_is_told(tmp_path) -> None:
    with coshelf.open(tmp_path / "a.shelf", sign=b"0123456789abcdef") as shelf:
        shelf["k"] = 1
    with coshelf.open(tmp_path / "a.shelf", sign=b"another secret, but long enough") as shelf:
        record = shelf.record("k")
        assert "verified" not in dict(facts_of(record, record.preview()))["secret"]
        assert face_of(record, shelf.engine_for("tests")).reason


def test_damaged_record_is_told_in_its_row_and_on_its_page(shelf) -> None:
    shelf.update(a="x" * 100, b=2)
    engine = shelf.engine_for("tests")
    rows = dict(engine.scan(encode("a"), encode("c")))
    data = bytearray(rows[encode("a")].record)
    data[50] ^= 1
    record: Record[Any, Any] = Record("a", encode("a"), Entry(bytes(data)), shelf._codec)
    assert dict(facts_of(record, record.preview()))["checksum"].startswith("DOES NOT MATCH")
    assert face_of(record, engine).reason
    assert [part.name for part in parts_of(record, engine)] == ["record"]


def test_missing_entry_is_none_and_a_damaged_key_has_a_page(shelf) -> None:
    assert stored_at(shelf, encode("nothing")) is None
    damaged = encode("a") + b"\xff\xfe"
    shelf.engine_for("tests").put(damaged, b"x")
    found = stored_at(shelf, damaged)
    assert found is not None
    assert found.record is None
    assert "not UTF-8" in (found.problem or "")
    assert found.name


def test_hex_copies_only_its_window() -> None:
    class Watched(bytes):
        def __getitem__(self, which: Any) -> Any:
            assert which.stop - which.start <= 16
            return super().__getitem__(which)

    found = list(lines(Watched(range(256)), 240, 64))
    assert [tuple(line) for line in found] == [(240, "f0 f1 f2 f3 f4 f5 f6 f7  f8 f9 fa fb fc fd fe ff", "·" * 16)]
    assert list(lines(b"", 0)) == []


def test_instructions_are_shown_in_pages() -> None:
    payload = pickle.dumps(list(range(1_000)))
    first = steps_of(payload)
    assert len(first.lines) == 500
    assert first.onward is not None
    rest = steps_of(payload, first.onward)
    assert rest.lines[0][0] == first.onward
    broken = steps_of(payload[:-1], first.onward)
    assert broken.problem or broken.onward
    assert steps_of(payload, 1 << 50).problem


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("two\nlines", "text"),
        ("", "text"),
        ("a\r\nb", None),
        ("\ud800", None),
        ("\0", None),
        ({"a": [1, 2.5, None, True]}, "json"),
        ({"a": "\r"}, "json"),
        (5, "json"),
        ((1,), None),
        (b"x", None),
        ({1: 2}, None),
        (float("nan"), None),
        (argparse.Namespace(), None),
    ],
)
def test_only_what_a_text_stands_for_exactly_can_be_edited(shelf, value: Any, form: str | None) -> None:
    shelf["k"] = value
    found = text_of(shelf.record("k"), shelf.engine_for("tests"))
    assert (None if found is None else found.form) == form


def test_record_of_no_known_form_has_a_page(shelf) -> None:
    for body in (b"\x7f", b"", bytes((records.HEADERED,)), bytes((records.HEADERED, 0x20, 1, 0, 5, 0)) + b"x"):
        shelf.engine_for("tests").put(encode("k"), body)
        record = shelf.record("k")
        assert facts_of(record, record.preview())
        assert face_of(record, shelf.engine_for("tests")).reason
