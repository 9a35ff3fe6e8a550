"""The format of blobs stays: docs/format.md, "Blobs"."""

from __future__ import annotations

import importlib.util
import shutil
import zlib
from pathlib import Path
from types import ModuleType

import pytest
from insides import until

import coshelf
from coshelf import records
from coshelf.keys import encode
from coshelf.values.blobs import reference_in

GOLDEN = Path(__file__).parent.parent / "golden"


def maker() -> ModuleType:
    specification = importlib.util.spec_from_file_location("make_blobs1", GOLDEN / "make_blobs1.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    path = tmp_path / "golden.shelf"
    shutil.copy(GOLDEN / "blobs1.lmdb", path)
    shutil.copytree(GOLDEN / "blobs1.lmdb.coshelf-blobs", f"{path}.coshelf-blobs")
    return path


def test_golden_blobs_are_read_as_they_were_written(golden: Path) -> None:
    values = maker().values()
    assert coshelf.check(golden).ok
    with coshelf.open(golden, "r", trust=False) as shelf:
        assert shelf.copy() == values
        assert {key: shelf.get(key, copy=True) for key in shelf} == values
        assert shelf["two", 2]["first"].readonly


def test_golden_blobs_go_on_being_used(golden: Path) -> None:
    with coshelf.open(golden, "w") as shelf:
        shelf["one"] = 1
        del shelf["shaped" * 100]
        shelf.sync()
        assert shelf.check().ok
        until(lambda: shelf.stats().file.blobs == 1)
    assert coshelf.check(golden).ok


def test_a_blob_is_as_the_format_describes(golden: Path) -> None:
    pattern = maker().PATTERN
    with coshelf.open(golden, "r") as shelf:
        record = shelf._handle.engine.get(encode("one")).record
        store_id = bytes.fromhex(shelf.info().store_id)
    headers, start = records.read_headers(record)
    identity, checksum, size = headers[0x28][:16], headers[0x28][16:20], headers[0x28][20:]
    assert record[:4] == b"\x02\x28\x1c\x00"
    assert size == (1 << 20).to_bytes(8, "little")
    assert checksum == zlib.crc32(pattern).to_bytes(4, "little")
    assert record[start : -records.TRAILER] == b"\x80\x05\x97."
    blob = Path(f"{golden}.coshelf-blobs", identity.hex()).read_bytes()
    head = b"coshelf\3" + store_id + identity + len(blob).to_bytes(8, "little") + checksum
    assert blob == head.ljust(4096, b"\0") + pattern
    reference = reference_in(record)
    assert reference is not None
    assert (reference.id, reference.sizes, reference.length) == (identity, (1 << 20,), len(blob))
