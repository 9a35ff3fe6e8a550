"""Encrypted values: only who has the secret reads them, where they were put."""

from __future__ import annotations

import json
import pickle
import traceback
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from values_support import KEY, OTHER, body_of, plant

import coshelf
from coshelf import records
from coshelf.keys import encode
from coshelf.values.encryption import Cipher, key_id

SECRET = b"a secret of mine"


def test_record_is_as_the_format_describes(opened: Any, engine: str) -> None:
    shelf = opened(codec="str", encrypt=KEY)
    shelf["k"] = "text"
    body, key = body_of(shelf, "k"), encode("k")
    context = b"coshelf encryption 1\0"
    name = blake2b(context, key=KEY, digest_size=4).digest()
    shelf_id = shelf._codec.layer(Cipher)._bound[len(context) :]
    if engine == "lmdb":
        assert shelf_id == shelf._handle.engine.store_id
    assert body[:11] == b"\x02" + b"\x20\x01\x00\x04" + b"\x40\x11\x00\x01" + name[:2]
    nonce, encrypted = body[13:25], body[26:]
    aes_key = blake2b(context + shelf_id, key=KEY, digest_size=32).digest()
    bound = context + shelf_id + len(key).to_bytes(8, "little") + key + b"\x02" + b"\x20\x01\x00\x04"
    assert body[25:26] == b"\0"
    assert AESGCM(aes_key).decrypt(nonce, encrypted, bound) == b"text"


def test_value_of_another_key_or_shelf_is_refused(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a", encrypt=KEY) as shelf, coshelf.open(tmp_path / "b", encrypt=KEY) as other:
        shelf["is admin"], other["k"] = True, "theirs"
        plant(shelf, "is guest", body_of(shelf, "is admin"))
        plant(shelf, "k", body_of(other, "k"))
        for key in ("is guest", "k"):
            with pytest.raises(coshelf.UntrustedValue, match=f"'{key}'.*cannot be decrypted"):
                shelf[key]
        assert shelf["is admin"] is True


def test_every_changed_bit_is_noticed(opened: Any) -> None:
    shelf = opened(codec="json", compress="zstd", encrypt=KEY)
    shelf["k"] = ["again and again"] * 20
    body = body_of(shelf, "k")
    for bit in range(len(body) * 8):
        changed = bytearray(body)
        changed[bit // 8] ^= 1 << bit % 8
        plant(shelf, "k", bytes(changed))
        with pytest.raises((coshelf.UntrustedValue, coshelf.UnreadableValue, coshelf.FormatTooNew), match="'k'"):
            shelf["k"]


def test_wrong_key_and_none_are_told_at_opening(opened: Any, engine: str) -> None:
    if engine == "memory":
        return
    opened(encrypt=KEY)["k"] = 1
    own, other = key_id(KEY).hex(), key_id(OTHER).hex()
    for flag in ("r", "w", "c"):
        with pytest.raises(coshelf.WrongKey, match=f"encrypted with the key {own}, .* opened with the key {other}"):
            opened(flag=flag, encrypt=OTHER)
        with pytest.raises(coshelf.WrongKey, match=f"encrypted with the key {own}.*give encrypt="):
            opened(flag=flag)
        with pytest.raises(coshelf.WrongKey, match=own):
            opened(flag=flag, encrypt=OTHER)
    assert opened(encrypt=KEY)["k"] == 1


def test_secret_with_the_same_id_is_told_from_the_right_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from coshelf.values import encryption

    monkeypatch.setattr(encryption, "key_id", lambda _: b"same")
    with coshelf.open(path, encrypt=KEY) as shelf:
        shelf["k"] = 1
    with pytest.raises(coshelf.WrongKey):
        coshelf.open(path, encrypt=OTHER)


def settings_of(shelf: Any) -> dict[str, Any]:
    row = shelf._handle.engine.get(b"\x01values").record
    return json.loads(row[2 : -records.TRAILER])


def test_settings_are_sealed_as_the_format_describes(opened: Any) -> None:
    told = settings_of(opened(codec="json", compress="zstd", encrypt=KEY))
    seal = told.pop("seal")
    what = b"coshelf encryption settings 1\0" + json.dumps(told).encode()
    assert seal == blake2b(what, key=KEY, digest_size=16).hexdigest()


CHANGES: list[dict[str, Any]] = [
    {"compress": "zstd", "level": 3},
    {"codec": "bytes"},
    {"dictionary": 7, "dictionaries": [7]},
    {"seal": ""},
    {"seal": "00" * 16},
    {"level": 3, "compress": "zstd", "seal": None},
]


@pytest.mark.parametrize("engine", ["lmdb", "sqlite", "mapping"])  # those that can be opened again
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_settings_that_a_stranger_changed_are_refused(opened: Any, change: dict[str, Any]) -> None:
    shelf = opened(encrypt=KEY)
    shelf["k"] = "mine"
    told = {name: value for name, value in (settings_of(shelf) | change).items() if value is not None}
    shelf._handle.engine.put(b"\x01values", b"\x02\x00" + json.dumps(told).encode())
    with pytest.raises(coshelf.UntrustedValue, match="does not have the secret"):
        opened(encrypt=KEY)
    with pytest.raises(coshelf.UntrustedValue, match="does not have the secret"):
        opened(encrypt=[OTHER, KEY])
    again = opened(encrypt=KEY, codec="pickle", compress=False, recode=True)
    assert again["k"] == "mine"
    assert "compress" not in settings_of(again)
    assert opened(encrypt=KEY)["k"] == "mine"


def test_dictionary_is_not_noted_in_settings_that_a_stranger_changed(path: Path) -> None:
    with coshelf.open(path, encrypt=KEY, compress="zstd") as shelf:
        shelf.update({n: {"name": f"user {n}", "email": f"user{n}@example.com"} for n in range(200)})
        told = settings_of(shelf) | {"codec": "bytes"}
        shelf._handle.engine.put(b"\x01values", b"\x02\x00" + json.dumps(told).encode())
        with pytest.raises(coshelf.UntrustedValue, match="does not have the secret"):
            shelf.train_dictionary(size=512)
        assert settings_of(shelf) == told


def test_trained_dictionary_and_rotation_keep_the_settings_sealed(path: Path) -> None:
    with coshelf.open(path, encrypt=KEY, compress="zstd") as shelf:
        shelf.update({n: {"name": f"user {n}", "email": f"user{n}@example.com"} for n in range(200)})
        shelf.train_dictionary(size=512)
    for secrets in (KEY, [OTHER, KEY], OTHER, [KEY, OTHER], KEY):
        with coshelf.open(path, encrypt=secrets) as shelf:
            assert settings_of(shelf)["dictionary"]


def test_keys_can_be_rotated(opened: Any, engine: str) -> None:
    if engine == "memory":
        return
    opened(encrypt=KEY)["old"] = 1
    shelf = opened(encrypt=[OTHER, KEY])
    assert shelf["old"] == 1
    shelf["new"] = 2
    with pytest.raises(coshelf.WrongKey):
        opened(encrypt=KEY)
    shelf = opened(encrypt=OTHER)
    assert shelf["new"] == 2
    own, other = key_id(KEY).hex(), key_id(OTHER).hex()
    with pytest.raises(
        coshelf.WrongKey, match=f"'old' is encrypted with the key {own}, .* with the key {other}"
    ) as caught:
        shelf["old"]
    assert caught.value.key == "old"
    with pytest.raises(coshelf.WrongKey):
        list(shelf.values())
    assert opened(flag="r", encrypt=[KEY, OTHER])["old"] == 1


def test_copy_is_as_good_as_the_shelf(path: Path, tmp_path: Path) -> None:
    with coshelf.open(path, encrypt=KEY) as shelf:
        shelf["k"] = [1]
    (tmp_path / "copy").write_bytes(path.read_bytes())
    with coshelf.open(tmp_path / "copy", encrypt=KEY) as shelf:
        assert shelf["k"] == [1]


def test_what_is_secret_is_nowhere_to_be_seen(path: Path) -> None:
    with coshelf.open(path, encrypt=SECRET, writeback=True) as shelf:
        shelf["a key"] = "a value that is secret"
        shelf.sync()
        assert "a secret" not in repr(shelf) + repr(shelf._handle.reopen) + repr(vars(shelf._codec))
        with pytest.raises(TypeError, match="encrypt="):
            pickle.dumps(shelf)
        found = shelf.preview("a key")
        assert (found.type, found.text, found.problem) == ("?", "?", "it is encrypted")
        assert "a secret" not in str(shelf.info()) + shelf._repr_html_()
        with pytest.raises(coshelf.UnwritableValue) as caught:
            shelf["k"] = lambda: 0
        assert "a secret" not in "".join(traceback.format_exception(caught.value))
        plant(shelf, "other", body_of(shelf, "a key"))
        with pytest.raises(coshelf.UntrustedValue) as refused:
            shelf["other"]
        assert "a secret" not in "".join(traceback.format_exception(refused.value))
    data = path.read_bytes()
    assert b"a secret" not in data
    assert b"that is secret" not in data
    assert b"a key" in data  # keys are not hidden, and docs/trust.md says so
    for wrong in (b"another secret!!", ()):
        with pytest.raises(coshelf.WrongKey) as mismatch:
            coshelf.open(path, encrypt=wrong)
        assert "secret" not in str(mismatch.value).replace(str(path), "")


def test_same_value_is_never_encrypted_the_same_way(opened: Any) -> None:
    shelf = opened(codec="bytes", encrypt=KEY)
    shelf["k"] = b"x"
    before = body_of(shelf, "k")
    shelf["k"] = b"x"
    assert body_of(shelf, "k") != before


def test_entries_from_before_stay_readable_in_an_encrypted_shelf(path: Path) -> None:
    with coshelf.open(path) as shelf:
        shelf["before"] = [1]
    with coshelf.open(path, encrypt=KEY, recode=True) as shelf:
        shelf["after"] = [2]
        assert dict(shelf) == {"before": [1], "after": [2]}
        assert body_of(shelf, "before")[0] == records.PICKLE
