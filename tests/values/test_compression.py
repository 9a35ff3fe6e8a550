"""Compression: where it pays, with dictionaries that are in the shelf and stay there."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from values_support import KEY, OTHER, body_of, run

import coshelf
from coshelf import records
from coshelf.values import compression
from coshelf.values.dictionaries import row_key


def users(count: int = 1_000, start: int = 0) -> dict[int, Any]:
    return {
        n: {
            "name": f"user {n}",
            "email": f"user{n * 7}@example.com",
            "roles": ["reader"],
            "active": True,
            "score": n / 7,
        }
        for n in range(start, start + count)
    }


def compressed(shelf: Any, key: Any) -> int | None:
    """The dictionary of a compressed record, None if it is not compressed."""
    body = body_of(shelf, key)
    found = records.read_headers(body + bytes(12)) if body[0] == records.HEADERED else None
    data = found[0].get(records.COMPRESSION) if found is not None else None
    return None if data is None else int.from_bytes(data[1:5], "little")


@pytest.fixture(autouse=True)
def dictionaries_come_into_use_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_LOOK_AGAIN", 0.0)


def test_record_is_as_the_format_describes(opened: Any) -> None:
    from coshelf.system.extras import zstd

    shelf = opened(codec="str", compress="zstd")
    shelf["k"] = text = "again and again " * 20
    body = body_of(shelf, "k")
    header = b"\x30\x0d\x00" + b"\x01" + bytes(4) + len(text).to_bytes(8, "little")
    assert body.startswith(b"\x02" + b"\x20\x01\x00\x04" + header + b"\0")
    assert zstd().decompress(body[22:]) == text.encode()


@pytest.mark.parametrize("value", [b"", b"x", b"short", bytes(range(256)), b"0123456789" * 2])
def test_what_would_not_become_smaller_is_stored_as_it_is(opened: Any, value: bytes) -> None:
    shelf = opened(codec="bytes", compress=coshelf.Zstd(19))
    shelf["k"] = value
    assert body_of(shelf, "k") == b"\x02\x20\x01\x00\x03\0" + value
    assert shelf["k"] == value
    shelf["pickle"] = b"long enough " * 20
    assert compressed(shelf, "pickle") == 0


def test_small_pickles_stay_bare_in_a_compressed_shelf(opened: Any) -> None:
    shelf = opened(compress="zstd")
    shelf["k"] = 5
    assert body_of(shelf, "k")[0] == records.PICKLE


def test_higher_levels_make_smaller_records(tmp_path: Path) -> None:
    value = json.dumps(users())
    sizes = []
    for level in (1, 19):
        with coshelf.open(tmp_path / str(level), codec="str", compress=coshelf.Zstd(level)) as shelf:
            shelf["k"] = value
            sizes.append(len(body_of(shelf, "k")))
    assert len(value) > sizes[0] * 2 > sizes[1] * 2.2


@pytest.mark.parametrize(
    ("codec", "encrypt"),
    [("pickle", ()), ("msgspec", ()), ("json", ()), ("json", KEY)],
    ids=["pickle", "msgspec", "json", "json, encrypted"],
)
def test_dictionary_makes_small_records_smaller(opened: Any, codec: Any, encrypt: Any) -> None:
    shelf = opened(codec=codec, compress="zstd", encrypt=encrypt)
    shelf.update(users())
    before = {key: len(body_of(shelf, key)) for key in users()}
    done = shelf.train_dictionary(size=4_096)
    assert (done.samples, done.size <= 4_096) == (1_000, True)
    assert dict(shelf) == users()
    shelf.update(users())
    after = sum(len(body_of(shelf, key)) for key in users())
    assert after < 0.8 * sum(before.values())
    if not encrypt and codec != "pickle":
        assert (after - done.after) == (sum(before.values()) - done.before)
    assert dict(shelf) == users()
    assert len(shelf) == 1_000
    assert f"dictionary {done.dictionary:08x}" in shelf.info().compression


def test_old_dictionaries_stay_readable(path: Path) -> None:
    with coshelf.open(path, codec="json", compress="zstd") as shelf:
        shelf.update(users())
        first = shelf.train_dictionary(size=2_048)
        shelf.update(users())
        second = shelf.train_dictionary(size=4_096, samples=500)
        shelf.update(users(10))
        assert second.samples == 500
        used = {compressed(shelf, key) for key in users()}
        assert used == {first.dictionary, second.dictionary}
        assert compressed(shelf, 5) == second.dictionary
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf) == users()
    with coshelf.open(path, recode=True, compress=False) as shelf:
        assert dict(shelf) == users()
        shelf.backup(path.with_name("copy"))
    with coshelf.open(path.with_name("copy")) as copy:
        assert dict(copy) == users()


TRAIN = """
import coshelf, sys
with coshelf.open(sys.argv[1], trust=False) as shelf:
    print(shelf.train_dictionary(size=4096).dictionary)
"""


def test_others_who_have_it_open_read_and_write_with_it(path: Path) -> None:
    with coshelf.open(path, codec="json", compress="zstd") as shelf, coshelf.open(path) as plain_reader:
        shelf.update(users())
        dictionary = int(run(TRAIN, path))
        shelf[5] = users()[5]
        assert compressed(shelf, 5) == dictionary
        assert shelf[5] == plain_reader[5] == users()[5]


def test_part_can_be_trained_on(opened: Any) -> None:
    shelf = opened(codec="json", compress="zstd")
    shelf.sub("users").update(users())
    shelf["other"] = "x" * 1_000
    assert shelf.sub("users").train_dictionary(size=2_048).samples == 1_000


def test_dictionary_is_as_secret_as_values(path: Path) -> None:
    with coshelf.open(path, codec="json", compress="zstd", encrypt=KEY) as shelf:
        shelf.update(users())
        done = shelf.train_dictionary(size=4_096)
        shelf.update(users())
        row = shelf._handle.engine.get(row_key(done.dictionary)).record
        assert b"example" not in row
        dictionary = shelf._codec.opened("d", row_key(done.dictionary), row)[1]
        assert b"example" in dictionary
    assert b"example.com" not in path.read_bytes()
    with coshelf.open(path, encrypt=KEY) as shelf:
        # Somebody who can write the file puts a dictionary of their own there.
        planted = records.write_headers([(records.CODEC, b"\x03")]) + dictionary
        shelf._handle.engine.put(row_key(done.dictionary), planted)
        with pytest.raises(coshelf.UntrustedValue, match="not encrypted"):
            shelf[5]


def test_dictionary_is_signed_where_values_are(path: Path) -> None:
    with coshelf.open(path, codec="json", compress="zstd", sign=KEY) as shelf:
        shelf.update(users())
        done = shelf.train_dictionary(size=4_096)
        shelf.update(users())
        assert compressed(shelf, 5) == done.dictionary
        dictionary = shelf._codec.opened(
            "d", row_key(done.dictionary), shelf._handle.engine.get(row_key(done.dictionary)).record
        )[1]
    with coshelf.open(path, sign=KEY) as shelf:
        planted = records.write_headers([(records.CODEC, b"\x03")]) + dictionary
        shelf._handle.engine.put(row_key(done.dictionary), planted)
        with pytest.raises(coshelf.UntrustedValue, match="not signed"):
            shelf[5]
        shelf[6] = users()[6]  # nor is anything written with it
        assert compressed(shelf, 6) in (None, 0)
        assert shelf[6] == users()[6]


@pytest.mark.parametrize("option", ["encrypt", "sign"])
def test_rotated_keys_take_dictionaries_along(path: Path, option: str) -> None:
    with coshelf.open(path, codec="json", compress="zstd", **{option: KEY}) as shelf:
        shelf.update(users())
        done = shelf.train_dictionary(size=4_096)
    with coshelf.open(path, **{option: [OTHER, KEY]}) as shelf:
        shelf.update(users())
        assert compressed(shelf, 5) == done.dictionary
    with coshelf.open(path, **{option: OTHER}) as shelf:
        assert dict(shelf) == users()


def test_encryption_that_is_turned_on_begins_without_a_dictionary(path: Path) -> None:
    with coshelf.open(path, codec="json", compress="zstd") as shelf:
        shelf.update(users())
        shelf.train_dictionary(size=4_096)
        shelf.update(users())
    with coshelf.open(path, encrypt=KEY, recode=True) as shelf:
        assert dict(shelf) == users()
        shelf[5] = users()[5]
        assert compressed(shelf, 5) in (None, 0)


def test_dictionary_that_is_not_there_is_said(path: Path) -> None:
    with coshelf.open(path, codec="json", compress="zstd") as shelf:
        shelf.update(users())
        done = shelf.train_dictionary(size=4_096)
        shelf.update(users())
    with coshelf.open(path) as shelf:
        engine = shelf._handle.engine
        engine.commit(coshelf.contract.Batch(deletes=frozenset((row_key(done.dictionary),))))
        with pytest.raises(coshelf.UnreadableValue, match=f"dictionary {done.dictionary:08x}"):
            shelf[5]
        engine.put(row_key(done.dictionary), records.write_headers([(records.CODEC, b"\x03")]) + b"no dictionary")
        with pytest.raises(coshelf.UnreadableValue, match=f"dictionary {done.dictionary:08x}"):
            shelf[5]


def test_training_says_what_it_lacks(opened: Any) -> None:
    shelf = opened(codec="json")
    with pytest.raises(coshelf.Unsupported, match="compress='zstd'"):
        shelf.train_dictionary()
    shelf = coshelf.open({}, codec="json", compress="zstd")
    for options in ({}, {"size": 10}, {"samples": 1}):
        with pytest.raises(ValueError, match="dictionary"):
            shelf.train_dictionary(**options)
    with shelf.transaction(), pytest.raises(coshelf.TransactionInProgress):
        shelf.train_dictionary()


def test_threads_compress_side_by_side(opened: Any) -> None:
    shelf = opened(codec="str", compress="zstd")

    def work(number: int) -> None:
        for turn in range(50):
            shelf[number, turn] = f"{number} {turn} " * 100

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dict(shelf) == {(number, turn): f"{number} {turn} " * 100 for number in range(4) for turn in range(50)}


def test_forked_child_compresses(path: Path) -> None:
    import os

    with coshelf.open(path, codec="str", compress="zstd") as shelf:
        shelf["before"] = "parent " * 100
        pid = os.fork()
        if pid == 0:
            shelf["child"] = "child " * 100
            os._exit(0 if shelf["before"] == "parent " * 100 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert shelf["child"] == "child " * 100


def test_preview_looks_into_what_is_compressed(opened: Any) -> None:
    shelf = opened(codec="json", compress="zstd")
    shelf["k"] = {"a": ["again and again"] * 20}
    found = shelf.preview("k")
    assert (found.type, found.stored_as, found.problem) == ("dict", "zstd json", None)
    assert found.text.startswith("{'a': ['again and again', ")
    shelf["long"] = ["again and again"] * 20_000
    assert shelf.preview("long").problem is not None
    shelf.update(users())
    shelf.train_dictionary(size=2_048)
    shelf[5] = users()[5]
    assert shelf.preview(5).problem == "it is compressed with a dictionary"
