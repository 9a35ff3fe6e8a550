"""A record is an entry as it is stored: raw bytes and what they say, decoded on demand."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from unit_support import ENTRIES

import coshelf
from coshelf import records
from coshelf.contract import Entry
from coshelf.values.pickled import PickleCodec
from coshelf.values.pickles import Pickles

SECRET = b"sixteen bytes or more"


def test_a_record_is_what_is_stored(shelf: Any) -> None:
    record = shelf.record("b")
    assert record.key == "b"
    assert record.raw[: -records.TRAILER] == record.payload() == pickle.dumps({"x": 1}, 5)
    assert record.size == len(record.raw) - records.TRAILER
    assert (record.buffers_size, record.form, record.codec) == (0, "pickle", "pickle")
    assert record.is_intact
    assert not (record.is_signed or record.is_encrypted or record.is_compressed)
    assert record.decode() == shelf["b"]
    assert record.preview() == shelf.preview("b")
    with pytest.raises(KeyError):
        shelf.record("missing")


def test_records_are_those_of_the_keys_in_order(shelf: Any) -> None:
    assert {record.key: record.decode() for record in shelf.records()} == ENTRIES
    for conditions in ({}, {"glob": "a*"}, {"prefix": "a/"}, {"start": "a", "stop": "b"}, {"reverse": True}):
        assert [record.key for record in shelf.records(**conditions)] == list(shelf.keys(**conditions))
    assert [record.key for record in shelf.sub("a").records()] == list(shelf.sub("a"))


def test_a_record_never_changes(shelf: Any) -> None:
    before = shelf.record("a")
    shelf["a"] = "new"
    after = shelf.record("a")
    assert (before.decode(), after.decode()) == ("A", "new")
    assert before.version != after.version
    for name in ("key", "raw", "version", "more"):
        with pytest.raises(AttributeError):
            setattr(before, name, b"")


def test_a_record_inside_a_transaction_has_no_version_yet(shelf: Any) -> None:
    with shelf.transaction() as t:
        t["a"] = "new"
        assert (t.record("a").decode(), t.record("a").version) == ("new", None)
        assert shelf.record("a").decode() == "new"
        assert t.record("b").version is not None


def test_a_record_of_a_snapshot_is_of_its_instant(shelf: Any) -> None:
    with shelf.snapshot() as snapshot:
        shelf["a"] = "new"
        assert snapshot.record("a").decode() == "A"


def test_layers_are_told_and_taken_off() -> None:
    pytest.importorskip("cryptography")
    value = {"text": 1_000 * "a"}
    with coshelf.open("memory:", codec="json", compress="zstd", encrypt=SECRET) as shelf:
        shelf["a"] = value
        record = shelf.record("a")
        assert record.form.endswith("zstd json")
        assert (record.codec, record.is_compressed, record.is_encrypted) == ("json", True, True)
        assert record.payload().startswith(b'{"text":"aaa')
        assert record.decode() == value


def test_a_signature_is_verified_before_the_payload_is_given(path: Path) -> None:
    with coshelf.open(path, sign=SECRET) as shelf:
        shelf["a"] = [1]
        record = shelf.record("a")
        assert record.is_signed
        assert pickle.loads(record.payload()) == [1]
    with coshelf.open(path, sign=b"another secret of sixteen bytes") as shelf:
        record = shelf.record("a")
        assert record.is_signed
        for use in (record.payload, record.decode):
            with pytest.raises(coshelf.UntrustedValue):
                use()


def test_large_buffers_lie_beside_the_record(path: Path) -> None:
    with coshelf.open(path) as shelf:
        shelf["large"] = bytearray(3 << 20)
        record = shelf.record("large")
        assert (record.form, record.codec) == ("blob pickle", "pickle")
        assert record.buffers_size == 3 << 20
        assert record.size > record.buffers_size > len(record.payload())
        assert record.decode() == record.decode(copy=True) == bytes(3 << 20)


def test_a_damaged_record_can_be_described_and_not_decoded() -> None:
    stored: dict[bytes, bytes] = {}
    with coshelf.open(stored) as shelf:
        shelf["a"] = "text"
    (encoded,) = [key for key in stored if key.startswith(b"\x30")]
    stored[encoded] = bytes([stored[encoded][0]]) + b"x" + stored[encoded][2:]
    with coshelf.open(stored) as shelf:
        record = shelf.record("a")
        assert (record.is_intact, record.form) == (False, "pickle")
        for use in (record.payload, record.decode):
            with pytest.raises(coshelf.DamagedRecord):
                use()


@pytest.mark.parametrize("raw", [b"", b"\x02", b"\x02\x28\x05", b"\x77" + bytes(20), bytes(12)])
def test_any_bytes_can_be_described(raw: bytes) -> None:
    record: coshelf.Record[str, Any] = coshelf.Record("a", b"0a", Entry(raw), PickleCodec(Pickles()))
    assert record.raw == raw
    assert record.codec is None
    assert (record.is_intact, record.size >= 0, record.buffers_size) == (False, True, 0)
    assert "Record of" in repr(record)
    assert record.preview().type == "?"
    for use in (record.payload, record.decode):
        with pytest.raises(coshelf.DamagedRecord):
            use()


def test_the_engine_is_for_tools_that_take_a_whole_shelf(shelf: Any) -> None:
    assert shelf.engine_for("my tool", writing=True).name in shelf.info().engine
    with pytest.raises(coshelf.Unsupported, match=r"my tool\(\) works on a whole shelf"):
        shelf.sub("a").engine_for("my tool")
    with shelf.transaction(), pytest.raises(coshelf.TransactionInProgress):
        shelf.engine_for("my tool", writing=True)
    shelf.close()
    with pytest.raises(coshelf.ShelfClosed):
        shelf.engine_for("my tool")
