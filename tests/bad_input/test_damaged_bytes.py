"""Bytes that changed on disk: an error that names the key, never a wrong value, and the rest stays readable."""

from __future__ import annotations

import contextlib
import pickle
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf import records
from coshelf.keys import encode

SCRIPTS = Path(__file__).parent / "scripts" / "damaged_bytes"

ENTRIES: dict[Any, Any] = {"a": 1, "target": {"name": "value", "n": [1, 2.5]}, "z": "last"}
FLIPS = [0x01, 0x20, 0x80, 0xFF]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A shelf with some entries, closed."""
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        shelf.update(ENTRIES)
    return tmp_path / "my.shelf"


def place_of(path: Path, key: Any) -> range:
    """Where in the file the record of a key lies."""
    whole = path.read_bytes()
    body = pickle.dumps(ENTRIES[key], 5)
    assert whole.count(body) == 1
    at = whole.index(body)
    place = range(at, at + len(body) + records.TRAILER)
    assert records.is_intact(encode(key), whole[place.start : place.stop])
    return place


def flip(path: Path, at: int, by: int) -> bytes:
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ by]))
    return path.read_bytes()


def forget_stamp(path: Path) -> None:
    """Make it a shelf that was not closed properly: then damage is not looked for at opening."""
    with open(path, "r+b") as file:
        for page in (0, 4096):
            file.seek(page + 512)
            file.write(bytes(4096 - 512))


def check_rest(shelf: Any) -> None:
    for key in ("a", "z"):
        assert shelf[key] == ENTRIES[key]
    assert list(shelf) == list(ENTRIES)
    assert len(shelf) == 3
    assert "target" in shelf
    assert shelf.get_many(["a", "z"]) == {"a": 1, "z": "last"}


@pytest.mark.parametrize("by", FLIPS)
def test_flip_of_any_byte_of_a_record_is_found(by: int, path: Path) -> None:
    for at in place_of(path, "target"):
        broken = flip(path, at, by)
        with coshelf.open(path) as shelf:
            with pytest.raises(coshelf.DamagedRecord, match="'target'") as caught:
                shelf["target"]
            assert caught.value.key == "target"
            assert not isinstance(caught.value, KeyError)
            check_rest(shelf)
        assert path.read_bytes() == broken
        flip(path, at, by)
    with coshelf.open(path) as shelf:
        assert dict(shelf) == ENTRIES


def edit(shelf: Any) -> None:
    with shelf.edit("target") as value:
        value["name"] = "other"


READS = {
    "get": lambda shelf: shelf.get("target", "default"),
    "get_many": lambda shelf: shelf.get_many(["a", "target"]),
    "items": lambda shelf: list(shelf.items()),
    "values": lambda shelf: list(shelf.values()),
    "copy": lambda shelf: shelf.copy(),
    "cursor": lambda shelf: shelf.cursor().seek("t"),
    "snapshot": lambda shelf: shelf.snapshot()["target"],
    "wait": lambda shelf: shelf.wait("target", timeout=0),
    "pop": lambda shelf: shelf.pop("target", None),
    "setdefault": lambda shelf: shelf.setdefault("target", 1),
    "modify": lambda shelf: shelf.modify("target", dict, {}),
    "replace": lambda shelf: shelf.replace("target", ENTRIES["target"], 1),
    "edit": edit,
    "|": lambda shelf: shelf | {},
    "==": lambda shelf: shelf == ENTRIES,
}


@pytest.mark.parametrize("read", READS)
def test_damage_is_told_by_every_way_to_read(read: str, path: Path) -> None:
    flip(path, place_of(path, "target")[5], 1)
    with coshelf.open(path) as shelf:
        with pytest.raises(coshelf.DamagedRecord, match="'target'"):
            READS[read](shelf)
        check_rest(shelf)


@pytest.mark.parametrize("heal", ["set", "delete", "update"])
def test_damaged_entry_can_be_overwritten_or_deleted(heal: str, path: Path) -> None:
    flip(path, place_of(path, "target")[5], 1)
    with coshelf.open(path) as shelf:
        if heal == "set":
            shelf["target"] = "anew"
        elif heal == "update":
            shelf.update(target="anew")
        else:
            del shelf["target"]
        expected = {"a": 1, "z": "last"} | ({} if heal == "delete" else {"target": "anew"})
        assert shelf.copy() == expected


def test_flip_of_any_byte_of_a_key_is_found_at_opening_or_in_every_miss(path: Path) -> None:
    """Where the keys are in order all the same, the shelf opens, and no key is said to be absent."""
    start = place_of(path, "target").start - len(encode("target"))
    opened = 0
    for at in range(start, start + len(encode("target"))):
        for by in FLIPS:
            flip(path, at, by)
            with contextlib.suppress(coshelf.DamagedShelf), coshelf.open(path) as shelf:
                opened += 1
                check_damaged_key(shelf)
            flip(path, at, by)
    assert opened > 5


def check_damaged_key(shelf: Any) -> None:
    assert (shelf["a"], shelf["z"]) == (1, "last")
    with pytest.raises(coshelf.DamagedShelf, match="damaged records"):
        shelf["target"]
    with pytest.raises(coshelf.DamagedShelf, match="damaged records"):
        "never there" in shelf
    assert len(shelf) == 3
    with pytest.raises(coshelf.DamagedRecord):
        shelf.copy()


def test_flip_of_any_byte_of_a_key_of_an_unstamped_shelf_gives_no_wrong_value(path: Path) -> None:
    forget_stamp(path)
    start = place_of(path, "target").start - len(encode("target"))
    for at in range(start, start + len(encode("target"))):
        flip(path, at, 0x02)
        with coshelf.open(path) as shelf:
            for key, value in ENTRIES.items():
                try:
                    assert shelf[key] == value
                except (KeyError, coshelf.DamagedShelf):
                    continue  # nor is it found by keys around it, where the order of the keys broke
            with pytest.raises(coshelf.DamagedRecord):
                shelf.copy()
        flip(path, at, 0x02)


def test_record_under_another_key_is_damage(path: Path) -> None:
    """Swapping two entries keeps both records whole, but not in their places."""
    whole = path.read_bytes()
    one, other = encode("a"), encode("z")
    # A key lies before its record; two bytes alone could be in a checksum or an id, too.
    first, second = (place_of(path, key).start - len(encode(key)) for key in ("a", "z"))
    broken = bytearray(whole)
    assert (broken[first : first + 2], broken[second : second + 2]) == (one, other)
    broken[first : first + 2], broken[second : second + 2] = other, one
    path.write_bytes(broken)
    with pytest.raises(coshelf.DamagedShelf, match="not in order"):
        coshelf.open(path)
    forget_stamp(path)
    with coshelf.open(path, "r") as shelf, pytest.raises(coshelf.DamagedRecord):
        shelf.copy()


def test_damage_in_a_large_value_that_does_not_load_is_found(path: Path) -> None:
    """Records over 64 KiB are verified by check(); but what does not unpickle any more is damage, not a lost class."""
    large = ["x" * 100, *range(40_000)]
    with coshelf.open(path) as shelf:
        shelf["large"] = large
    body = pickle.dumps(large, 5)
    at = path.read_bytes().index(body[:400])
    for offset in (0, 1, len(body) - 1):
        flip(path, at + offset, 0x7E)
        with coshelf.open(path, "r") as shelf:
            with pytest.raises(coshelf.DamagedRecord, match="'large'"):
                shelf["large"]
            assert shelf["a"] == 1
        flip(path, at + offset, 0x7E)


@pytest.mark.parametrize("length", [0, 1, 11, 12])
def test_record_too_short_for_its_trailer_is_damage(length: int, path: Path) -> None:
    import lmdb

    with lmdb.open(str(path), subdir=False, lock=False, map_size=1 << 24, lib_version=0) as opened:
        with opened.begin(write=True) as transaction:
            transaction.put(encode("target"), b"\x80" * length)
        opened.sync(True)
    with coshelf.open(path) as shelf:
        with pytest.raises(coshelf.DamagedRecord, match="'target'"):
            shelf["target"]
        with pytest.raises(coshelf.DamagedRecord, match="'target'"):
            shelf.copy()
        check_rest(shelf)


def test_flip_of_any_byte_in_a_mapping_is_found() -> None:
    mapping: dict[bytes, bytes] = {}
    coshelf.open(mapping).update(ENTRIES)
    shelf = coshelf.open(mapping)
    whole = mapping[encode("target")]
    for at in range(len(whole)):
        for by in FLIPS:
            mapping[encode("target")] = whole[:at] + bytes([whole[at] ^ by]) + whole[at + 1 :]
            with pytest.raises(coshelf.DamagedRecord, match="'target'"):
                shelf["target"]
    for length in range(len(whole)):
        mapping[encode("target")] = whole[:length]
        with pytest.raises(coshelf.DamagedRecord):
            shelf["target"]
    check_rest(shelf)


# --- pages -----------------------------------------------------------------------------------------------------------

_OVERWRITTEN = SCRIPTS / "overwritten.py"


def test_overwritten_header_pages_are_refused_and_stay(tmp_path: Path, python: Any) -> None:
    python(_OVERWRITTEN, tmp_path / "my.shelf")


_FLIPPED = SCRIPTS / "flipped.py"


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("part", ["headers", "rows"])
def test_flip_of_any_byte_of_the_file_gives_no_wrong_value(part: str, step: int, tmp_path: Path, python: Any) -> None:
    """LMDB's own pages have no checksum: a flip there may hide entries, or crash LMDB. But no value is ever wrong."""
    python(_FLIPPED, tmp_path / "my.shelf", part, step)
