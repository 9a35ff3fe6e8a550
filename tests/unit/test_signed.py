"""Signed values: what was changed, moved or replayed is refused before anything is unpickled."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf import records
from coshelf.contract import Batch
from coshelf.errors import DamagedRecord, UnreadableValue, Unsupported, UntrustedValue
from coshelf.keys import encode
from coshelf.opening import open_with_codec
from coshelf.values.front_doors import UNREAD_VALUES
from coshelf.values.layered import LayeredCodec
from coshelf.values.pickles import Pickles
from coshelf.values.signatures import Signature

KEY, OTHER = b"k" * 16, b"o" * 100


class Trap:
    def __init__(self, alarm: Path) -> None:
        self.alarm = str(alarm)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.alarm,)


class Mine:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mine)

    __hash__ = None  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.shelf"


def body_of(shelf: Any, key: Any) -> bytes:
    return bytes(shelf._handle.engine.get(encode(key)).record[: -records.TRAILER])


def plant(shelf: Any, key: Any, body: bytes) -> None:
    """As somebody would who can write the file, but does not know the secret: with a right checksum."""
    shelf._handle.engine.commit(Batch(puts={encode(key): body}))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("writeback", [False, True])
def test_signed_values_come_back_whatever_they_are(path: Path, protocol: int, writeback: bool) -> None:
    values = {"a": 1, ("t", 2): Mine(), b"b": "x" * 200_000, "list": [1, {"x": None}]}
    for turn in range(2):
        with coshelf.open(path, sign=KEY, protocol=protocol, writeback=writeback) as shelf:
            if turn == 0:
                shelf.update(values)
                shelf["single"] = 1
                with shelf.transaction() as t:
                    t["in transaction"] = Mine()
                shelf.sub("part")["k"] = 5
                with shelf.edit("list") as value:
                    value.append(2)
            assert {key: shelf[key] for key in values} == values | {"list": [1, {"x": None}, 2]}
            assert dict(shelf)["in transaction"] == Mine()
            assert shelf.sub("part")["k"] == 5
            assert shelf.get_many(["a", "single"]) == {"a": 1, "single": 1}


def test_record_is_as_the_format_describes(path: Path) -> None:
    from hashlib import blake2b

    with coshelf.open(path, sign=KEY) as shelf:
        shelf["k"] = [1]
        body = body_of(shelf, "k")
        store_id = shelf._handle.engine.store_id
    context, key, payload = b"coshelf signature 1\0", encode("k"), pickle.dumps([1], 5)
    key_id = blake2b(context, key=KEY, digest_size=4).digest()
    signed = context + store_id + len(key).to_bytes(8, "little") + key + payload
    tag = blake2b(signed, key=KEY, digest_size=16).digest()
    assert body == b"\x02" + b"\x50\x14\x00" + key_id + tag + b"\0" + payload


def test_every_changed_bit_is_noticed(path: Path, tmp_path: Path) -> None:
    with coshelf.open(path, sign=KEY) as shelf:
        shelf["k"] = [Trap(tmp_path / "unpickled")]
        body = body_of(shelf, "k")
        for bit in range(len(body) * 8):
            changed = bytearray(body)
            changed[bit // 8] ^= 1 << bit % 8
            plant(shelf, "k", bytes(changed))
            with pytest.raises(UntrustedValue):
                shelf["k"]
        plant(shelf, "k", body + b"more")
        with pytest.raises(UntrustedValue, match="does not fit"):
            shelf["k"]
    assert not (tmp_path / "unpickled").exists()


def test_planted_pickle_does_not_run_whatever_its_record_begins_with(tmp_path: Path) -> None:
    codec, key = LayeredCodec(Pickles(), [Signature((KEY,), bytes(16))]), encode("k")
    payload = pickle.dumps(Trap(tmp_path / "unpickled"))
    for first in range(256):
        for second in (0, records.CODEC, records.BLOB, records.SIGNATURE, records.PICKLE):
            body = bytes((first, second)) + payload
            with pytest.raises(UntrustedValue):
                codec.load("k", key, records.seal(body, records.checksum(key, body), 1))
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("length", range(1, 60))
def test_record_that_is_cut_is_refused(path: Path, length: int) -> None:
    with coshelf.open(path, sign=KEY) as shelf:
        shelf["k"] = list(range(20))
        plant(shelf, "k", body_of(shelf, "k")[:length])
        with pytest.raises((UntrustedValue, DamagedRecord)):
            shelf["k"]


def test_value_of_another_key_or_shelf_is_refused(path: Path, tmp_path: Path) -> None:
    with coshelf.open(path, sign=KEY) as shelf, coshelf.open(tmp_path / "b.shelf", sign=KEY) as other:
        shelf["is admin"], other["k"] = True, "theirs"
        plant(shelf, "is guest", body_of(shelf, "is admin"))
        plant(shelf, "k", body_of(other, "k"))
        for key in ("is guest", "k"):
            with pytest.raises(UntrustedValue, match="does not fit"):
                shelf[key]
        with pytest.raises(UntrustedValue):
            dict(shelf)
        assert shelf["is admin"] is True


def test_planted_pickle_does_not_run(path: Path, tmp_path: Path) -> None:
    with coshelf.open(path, sign=KEY) as shelf:
        plant(shelf, "k", pickle.dumps(Trap(tmp_path / "unpickled")))
        with pytest.raises(UntrustedValue, match="is not signed"):
            shelf["k"]
        plant(
            shelf,
            "k",
            LayeredCodec(Pickles(), [Signature((OTHER,), shelf._handle.engine.store_id)]).dump("k", encode("k"), 1),
        )
        with pytest.raises(UntrustedValue, match="another key"):
            shelf["k"]
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("read", ["items", "values", "copy", "snapshot", "transaction", "popitem"])
def test_planted_pickle_does_not_run_when_many_are_read(path: Path, tmp_path: Path, read: str) -> None:
    with coshelf.open(path, sign=KEY) as shelf:
        plant(shelf, "k", pickle.dumps(Trap(tmp_path / "unpickled")))
        ways = {
            "items": lambda: list(shelf.items()),
            "values": lambda: list(shelf.values()),
            "copy": shelf.copy,
            "snapshot": lambda: shelf.snapshot().copy(),
            "transaction": lambda: shelf.transact(lambda transaction: list(transaction.items())),
            "popitem": shelf.popitem,
        }
        with pytest.raises(UntrustedValue, match="is not signed"):
            ways[read]()
    assert not (tmp_path / "unpickled").exists()


def test_shelf_that_is_opened_unread_unpickles_nothing(path: Path, tmp_path: Path) -> None:
    with coshelf.open(path) as shelf:
        shelf["k"] = Trap(tmp_path / "unpickled")
    with open_with_codec(path, "r", UNREAD_VALUES) as shelf:
        for read in (lambda: shelf["k"], lambda: list(shelf.items()), lambda: list(shelf.values())):
            with pytest.raises(UnreadableValue, match="was not opened for that"):
                read()
    assert not (tmp_path / "unpickled").exists()


def test_keys_can_be_rotated(path: Path) -> None:
    with coshelf.open(path, sign=KEY) as shelf:
        shelf["old"] = Mine()
    with coshelf.open(path, sign=[OTHER, KEY]) as shelf:
        assert shelf["old"] == Mine()
        shelf["new"] = Mine()
    with coshelf.open(path, sign=[OTHER]) as shelf:
        assert shelf["new"] == Mine()
        with pytest.raises(UntrustedValue, match="another key"):
            shelf["old"]


def test_copy_is_as_good_as_the_shelf(path: Path, tmp_path: Path) -> None:
    with coshelf.open(path, sign=KEY) as shelf:
        shelf["k"] = Mine()
    (tmp_path / "copy.shelf").write_bytes(path.read_bytes())
    (tmp_path / "copy.shelf").chmod(0o666)
    with coshelf.open(tmp_path / "copy.shelf", sign=KEY) as shelf:
        assert shelf["k"] == Mine()


def test_without_the_key_the_way_is_told(path: Path) -> None:
    with coshelf.open(path, sign=KEY) as shelf:
        shelf["k"] = 1
    with coshelf.open(path) as shelf, pytest.raises(UntrustedValue, match="sign="):
        shelf["k"]


def test_secret_is_nowhere_to_be_seen(path: Path) -> None:
    with coshelf.open(path, sign=b"a secret of mine") as shelf:
        shelf["k"] = 1
        assert "a secret" not in repr(shelf)
        with pytest.raises(TypeError, match="sign="):
            pickle.dumps(shelf)
    assert b"a secret" not in path.read_bytes()


def test_bad_keys_and_engines_are_refused_before_anything_is_made(path: Path, tmp_path: Path) -> None:
    for wrong, error in (("text of some length", TypeError), (b"short", ValueError), ([KEY, 5], TypeError)):
        with pytest.raises(error):
            coshelf.open(path, sign=wrong)  # type: ignore[arg-type]
    assert not path.exists()
    with pytest.raises(Unsupported, match="mapping"):
        coshelf.open({}, sign=KEY)
