"""The format of every codec and layer stays: docs/format.md."""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf import records
from coshelf.values.codec import Layer
from coshelf.values.compression import Compression, Decompressor
from coshelf.values.encryption import Cipher, check_value, key_id
from coshelf.values.headers import IDS
from coshelf.values.layered import LayeredCodec
from coshelf.values.pickles import Pickles
from coshelf.values.signatures import Signature

GOLDEN = Path(__file__).parent.parent / "golden"
FOUND = json.loads((GOLDEN / "values1.json").read_text("ascii"))
SECRET, SHELF_ID, KEY = (bytes.fromhex(FOUND[name]) for name in ("secret", "shelf id", "key"))


def codec_of(line: dict[str, Any]) -> LayeredCodec:
    layers: list[Layer] = [Compression(Decompressor(lambda _, encrypted: bytes.fromhex(FOUND["dictionary"])))]
    layers += [Cipher((SECRET,), SHELF_ID)] if line["encrypt"] else []
    layers += [Signature((SECRET,), SHELF_ID)] if line["sign"] else []
    return LayeredCodec(Pickles(4), layers, IDS.get(line["codec"]))


@pytest.mark.parametrize(
    "line",
    FOUND["records"],
    ids=lambda line: "-".join(str(line[name]) for name in ("codec", "compress", "encrypt", "sign")),
)
def test_golden_records_are_read_and_where_nothing_is_random_written(line: dict[str, Any]) -> None:
    body, value, codec = bytes.fromhex(line["body"]), ast.literal_eval(line["value"]), codec_of(line)
    record = records.seal(body, records.checksum(KEY, body), 7)
    assert codec.load("k", KEY, record) == value
    if not line["compress"] and not line["encrypt"]:
        assert codec.dump("k", KEY, value) == body


def test_golden_ids_are_derived_as_ever() -> None:
    assert len(FOUND["records"]) == 60
    assert key_id(SECRET).hex() == FOUND["key id"]
    assert check_value(SECRET, SHELF_ID).hex() == FOUND["check"]


def test_golden_shelf_remembers(tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    shutil.copy(GOLDEN / "values1.lmdb", path)
    with pytest.raises(coshelf.WrongKey):
        coshelf.open(path)
    for flag in ("r", "w"):
        with coshelf.open(path, flag, encrypt=SECRET) as shelf:  # type: ignore[call-overload]
            assert shelf.info().codec == "json"
            assert "dictionary" in str(shelf.info().compression)
            assert (shelf["pickle"], shelf["json"]) == ({"tags": ("x", 1)}, {"tags": ["x", 1]})
            assert [shelf[n]["name"] for n in range(100)] == [f"user {n}" for n in range(100)]
