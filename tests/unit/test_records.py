"""Records: docs/format.md, "Records"."""

from __future__ import annotations

import json
import pickle
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coshelf.keys import encode
from coshelf.records import PICKLE, TRAILER, checksum, is_intact, seal, version

GOLDEN = Path(__file__).parent.parent / "golden" / "records.json"

some_keys = st.binary(min_size=1, max_size=40)
bodies = st.binary(min_size=1, max_size=200)
sequences = st.integers(0, 2**64 - 1)


def sealed(key: bytes, body: bytes, sequence: int) -> bytes:
    return seal(body, checksum(key, body), sequence)


def test_golden_records_have_their_bytes() -> None:
    golden = json.loads(GOLDEN.read_text("ascii"))
    assert len(golden) >= 5
    for line in golden:
        key, body, record = (bytes.fromhex(line[name]) for name in ("key", "body", "record"))
        assert sealed(key, body, line["sequence"]) == record
        assert is_intact(key, record)
        assert version(record) == line["sequence"]


def test_golden_pickles_still_load() -> None:
    golden = json.loads(GOLDEN.read_text("ascii"))
    pickles = [bytes.fromhex(line["record"]) for line in golden if line["value"] is not None]
    values = [eval(line["value"]) for line in golden if line["value"] is not None]
    assert len(values) >= 3
    assert [pickle.loads(record[record[0] != PICKLE :]) for record in pickles] == values


@given(some_keys, bodies, sequences)
def test_record_is_body_then_sequence_then_crc(key: bytes, body: bytes, sequence: int) -> None:
    record = sealed(key, body, sequence)
    assert record[:-TRAILER] == body
    assert record[-TRAILER:-4] == sequence.to_bytes(8, "little")
    assert record[-4:] == zlib.crc32(body + sequence.to_bytes(8, "little"), zlib.crc32(key)).to_bytes(4, "little")


@given(some_keys, bodies, sequences)
def test_crc_of_an_intact_record_is_the_constant_of_the_format(key: bytes, body: bytes, sequence: int) -> None:
    record = sealed(key, body, sequence)
    assert zlib.crc32(record, zlib.crc32(key)) == 0x2144DF1C
    assert is_intact(key, record)
    assert version(record) == sequence


@given(st.binary(min_size=1, max_size=8), st.binary(min_size=1, max_size=40), sequences)
def test_every_single_bit_flip_is_found(key: bytes, body: bytes, sequence: int) -> None:
    record = int.from_bytes(sealed(key, body, sequence), "big")
    size = len(body) + TRAILER
    for bit in range(size * 8):
        assert not is_intact(key, (record ^ 1 << bit).to_bytes(size, "big")), bit


@given(some_keys, some_keys, bodies, sequences)
def test_record_moved_to_another_key_is_found(key: bytes, other: bytes, body: bytes, sequence: int) -> None:
    record = sealed(key, body, sequence)
    assert is_intact(other, record) == (zlib.crc32(key) == zlib.crc32(other))


def test_record_moved_to_a_similar_key_is_found() -> None:
    keys = [encode(key) for key in ("user:1", "user:2", "user:12", ("user", 1), 1, b"user:1", "")]
    for key in keys:
        record = sealed(key, b"\x80\x04N.", 7)
        assert [other for other in keys if is_intact(other, record)] == [key]


@given(some_keys, bodies, sequences, st.data())
def test_record_cut_short_is_found(key: bytes, body: bytes, sequence: int, data: st.DataObject) -> None:
    record = sealed(key, body, sequence)
    size = data.draw(st.integers(0, TRAILER))
    assert not is_intact(key, record[:size])
    assert not is_intact(key, record[len(record) - size :])


@pytest.mark.parametrize("size", [0, 1, 4, 11, 12, 13, 100])
def test_zeros_are_no_record(size: int) -> None:
    assert not is_intact(encode("key"), bytes(size))


@given(some_keys, bodies)
def test_versions_differ_between_commits_of_the_same_value(key: bytes, body: bytes) -> None:
    partial = checksum(key, body)
    assert version(seal(body, partial, 1)) != version(seal(body, partial, 2))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_load_without_cutting_the_trailer_off(protocol: int) -> None:
    value = {"a": [1, 2.5, b"c"], "d": None}
    record = sealed(b"\x30k", pickle.dumps(value, protocol), 2**64 - 1)
    assert record[0] == PICKLE
    assert pickle.loads(record) == value
